import ChatTemplates

/// The share of predictions that are one of their references, character by character but for white space at both ends.
public struct AnswerAccuracy: TextMetric {
    public static let name = "accuracy"
    private var mean = MeanOfTexts()

    public init(_ settings: TextMetricSettings) {}

    public func statistics(of text: ScoredText) -> Bool {
        let prediction = Self.trimmed(text.prediction)
        return text.references.contains { Self.trimmed($0) == prediction }
    }

    public mutating func add(_ isRight: Bool) { mean.add(isRight ? 1 : 0) }

    public var scores: [TextScore] { [TextScore(Self.name, mean.value)] }

    private static func trimmed(_ text: String) -> [UnicodeScalar] {
        let scalars = text.unicodeScalars
        guard let first = scalars.firstIndex(where: { !$0.isPythonSpace }),
            let last = scalars.lastIndex(where: { !$0.isPythonSpace })
        else { return [] }
        return Array(scalars[first...last])
    }
}
