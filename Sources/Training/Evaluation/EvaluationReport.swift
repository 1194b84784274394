public import JSONText
public import Metrics

/// What an evaluation found for one model.
public struct EvaluationReport: Sendable {
    /// The adapter's path as it was given; nil for the base model.
    public var adapter: String?
    /// nil where only texts were scored.
    public var loss: LossSummary?
    /// The number of examples that were scored, and how well; nil where nothing was generated.
    public var rouge: (examples: Int, scores: [RougeType: RougeAggregate])?

    public init(adapter: String?, loss: LossSummary?, rouge: (examples: Int, scores: [RougeType: RougeAggregate])?) {
        self.adapter = adapter
        self.loss = loss
        self.rouge = rouge
    }

    private var members: [JSONValue.Member] {
        var members: [JSONValue.Member] = []
        if let loss {
            members += [
                .init("loss", .number(loss.loss)), .init("perplexity", .number(loss.perplexity)),
                .init("tokens", .integer(loss.tokens)), .init("examples", .integer(loss.examples)),
            ]
        }
        guard let rouge else { return members }
        members.append(.init(loss == nil ? "examples" : "prompts", .integer(rouge.examples)))
        for type in RougeType.allCases {
            guard let score = rouge.scores[type] else { continue }
            members.append(
                .init(
                    type.rawValue,
                    [
                        "precision": .number(score.precision), "recall": .number(score.recall),
                        "fmeasure": .number(score.fmeasure), "low": .number(score.low), "high": .number(score.high),
                    ]))
        }
        return members
    }

    /// The object that `peft eval --json` prints.
    public var json: JSONValue { .object(members) }

    /// The object for several models, one row each.
    public static func json(_ reports: [EvaluationReport]) -> JSONValue {
        [
            "rows": .array(
                reports.map { report in
                    .object([.init("adapter", report.adapter.map(JSONValue.string) ?? nil)] + report.members)
                })
        ]
    }
}
