/// SQuAD's exact match: the share of predictions that, as `AnswerText`, are one of their references.
public struct ExactMatch: TextMetric {
    public static let name = "exact_match"
    private var mean = MeanOfTexts()

    public init(_ settings: TextMetricSettings) {}

    public func statistics(of text: ScoredText) -> Bool {
        let words = AnswerText(text.prediction).words
        return text.references.contains { AnswerText($0).words == words }
    }

    public mutating func add(_ isRight: Bool) { mean.add(isRight ? 1 : 0) }

    public var scores: [TextScore] { [TextScore(Self.name, mean.value)] }
}
