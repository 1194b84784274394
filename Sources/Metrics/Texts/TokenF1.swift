/// SQuAD's F1: the harmonic mean of the shares of the prediction's words and of the reference's that the other has too, as
/// `AnswerText`, against the reference that fits best. Where one side has no words, it is 1 if the other has none either.
public struct TokenF1: TextMetric {
    public static let name = "f1"
    private var mean = MeanOfTexts()

    public init(_ settings: TextMetricSettings) {}

    public func statistics(of text: ScoredText) -> Double {
        let predicted = Self.counts(text.prediction)
        return text.references.reduce(0) { max($0, Self.f1(predicted, Self.counts($1))) }
    }

    public mutating func add(_ f1: Double) { mean.add(f1) }

    public var scores: [TextScore] { [TextScore(Self.name, mean.value)] }

    private static func counts(_ text: String) -> [[UInt8]: Int] {
        var counts: [[UInt8]: Int] = [:]
        for word in AnswerText(text).words { counts[word, default: 0] += 1 }
        return counts
    }

    private static func f1(_ predicted: [[UInt8]: Int], _ expected: [[UInt8]: Int]) -> Double {
        if predicted.isEmpty || expected.isEmpty { return predicted.isEmpty && expected.isEmpty ? 1 : 0 }
        let common = predicted.reduce(0) { $0 + min($1.value, expected[$1.key] ?? 0) }
        if common == 0 { return 0 }
        let precision = Double(common) / Double(predicted.values.reduce(0, +))
        let recall = Double(common) / Double(expected.values.reduce(0, +))
        return 2 * precision * recall / (precision + recall)
    }
}
