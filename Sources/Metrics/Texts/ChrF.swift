import ChatTemplates

/// chrF as sacrebleu 2.6.0 computes it (Popović 2015): the F-measure with β = 2 of the mean precision and recall of
/// n-grams of 1 to 6 characters, white space left out, against the reference that each prediction fits best.
public struct ChrF: TextMetric {
    public static let name = "chrf"
    static let order = 6

    /// What sacrebleu counts, of a text or of many: n-grams from n = 1 on.
    public struct Statistics: Sendable, Hashable {
        /// Those of the prediction, where the reference has any of that order.
        public var predicted = [Int](repeating: 0, count: ChrF.order)
        public var expected = [Int](repeating: 0, count: ChrF.order)
        public var common = [Int](repeating: 0, count: ChrF.order)
        var references = 0

        /// From 0 to 100.
        public var score: Double {
            var (precision, recall, orders) = (0.0, 0.0, 0)
            for index in common.indices where predicted[index] > 0 && expected[index] > 0 {
                precision += Double(common[index]) / Double(predicted[index])
                recall += Double(common[index]) / Double(expected[index])
                orders += 1
            }
            if orders == 0 { return 0 }
            precision /= Double(orders)
            recall /= Double(orders)
            return precision + recall > 0 ? 100 * 5 * precision * recall / (4 * precision + recall) : 0
        }
    }

    private var sums = Statistics()
    private var sentences = MeanOfTexts()
    private var isEmpty = true

    public init(_ settings: TextMetricSettings) {}

    private static func characters(_ text: String) -> [UInt32] {
        text.unicodeScalars.lazy.filter { !$0.isPythonSpace }.map(\.value)
    }

    public func statistics(of text: ScoredText) -> Statistics {
        let predicted = Self.characters(text.prediction)
        let grams = NGramCounts(predicted, order: Self.order)
        var best: (score: Double, statistics: Statistics)?
        for reference in text.references {
            let expected = Self.characters(reference)
            var statistics = Statistics()
            statistics.common = grams.common(with: grams.counts(in: expected))
            for index in 0..<Self.order {
                statistics.expected[index] = NGramCounts.total(index + 1, in: expected.count)
                if statistics.expected[index] > 0 {
                    statistics.predicted[index] = NGramCounts.total(index + 1, in: predicted.count)
                }
            }
            let score = statistics.score
            if best.map({ score > $0.score }) ?? true { best = (score, statistics) }
        }
        var statistics = best?.statistics ?? Statistics()
        statistics.references = text.references.count
        return statistics
    }

    public mutating func add(_ statistics: Statistics) {
        for index in 0..<Self.order {
            sums.predicted[index] += statistics.predicted[index]
            sums.expected[index] += statistics.expected[index]
            sums.common[index] += statistics.common[index]
        }
        sums.references = isEmpty || sums.references == statistics.references ? statistics.references : -1
        isEmpty = false
        sentences.add(statistics.score)
    }

    private var signature: String {
        let references = sums.references < 0 ? "var" : "\(sums.references)"
        return "nrefs:\(references)|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0"
    }

    public var scores: [TextScore] {
        [
            TextScore(
                Self.name, sums.score, decimals: 2,
                details: [
                    ("score", .number(sums.score)), ("sentence_score", .number(sentences.value)),
                    ("signature", .text(signature)),
                ], signature: signature)
        ]
    }
}
