public import Datasets
public import JSONText
public import Metrics

/// What an evaluation found for one model.
public struct EvaluationReport: Sendable {
    /// The path, as it was given, of the adapter or of the model where that isn't the base of adapters; nil for the base.
    public var adapter: String?
    /// nil where only texts were scored, or labels were told.
    public var loss: LossSummary?
    /// How well generated texts do; nil where there are none.
    public var texts: TextScoring.Result?

    /// The loss over the examples' labels, and how well they were told, or choices made; nil where there are none.
    public var labels: (loss: Double?, examples: Int, scores: [NamedScore])?
    /// How well each label was told, with their names; nil where there are none.
    public var classes: (names: [String], scores: ClassificationScores)?
    /// The records that the model was shown before each question.
    public var shots = 0

    public init(adapter: String?, loss: LossSummary?, texts: TextScoring.Result?) {
        self.adapter = adapter
        self.loss = loss
        self.texts = texts
    }

    public init(adapter: String?, answers: LabelAnswers, labels: LabelSet) {
        self.adapter = adapter
        self.labels = (answers.loss, answers.count, answers.scores(labels))
        classes = answers.classification(labels).map { (labels.names, $0) }
    }

    public init(adapter: String?, choices: ChoiceScores, texts: TextScoring.Result?) {
        self.adapter = adapter
        labels = (nil, choices.count, choices.scores)
        self.texts = texts
    }

    /// The same with a number of shots.
    public func with(shots: Int) -> EvaluationReport {
        var copy = self
        copy.shots = shots
        return copy
    }

    private var members: [JSONValue.Member] {
        var members: [JSONValue.Member] = shots > 0 ? [.init("shots", .integer(shots))] : []
        if let loss {
            members += [
                .init("loss", .number(loss.loss)), .init("perplexity", .number(loss.perplexity)),
                .init("tokens", .integer(loss.tokens)), .init("examples", .integer(loss.examples)),
            ]
        }
        if let labels {
            members += labels.loss.map { [.init("loss", .number($0))] } ?? []
            members.append(.init("examples", .integer(labels.examples)))
            members += labels.scores.map { .init($0.name, $0.value.map(JSONValue.number) ?? nil) }
        }
        if let classes {
            members.append(
                .init(
                    "classes",
                    .array(
                        zip(classes.names, classes.scores.classes).map { name, scores in
                            [
                                "label": .string(name), "precision": .number(scores.precision),
                                "recall": .number(scores.recall), "f1": .number(scores.f1),
                                "support": .integer(scores.support),
                            ]
                        })))
            if let confusion = classes.scores.confusion {
                members.append(
                    .init("confusion", .array(confusion.map { .array($0.map { .integer($0) }) })))
            }
        }
        guard let texts else { return members }
        members.append(.init(loss == nil && labels == nil ? "examples" : "prompts", .integer(texts.texts)))
        return members + texts.scores.map { .init($0.name, $0.json) }
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

extension TextScore {
    /// The value, or an object of all that there is to say.
    fileprivate var json: JSONValue {
        if details.isEmpty { return .number(value) }
        return .object(
            details.map { detail in
                let value: JSONValue =
                    switch detail.value {
                    case .number(let number): .number(number)
                    case .numbers(let numbers): .array(numbers.map(JSONValue.number))
                    case .integer(let number): .integer(number)
                    case .integers(let numbers): .array(numbers.map(JSONValue.integer))
                    case .text(let text): .string(text)
                    }
                return JSONValue.Member(detail.name, value)
            })
    }
}
