import Glibc

/// Corpus BLEU as sacrebleu 2.6.0 computes it (Papineni et al. 2002; Post 2018): bp · exp(¼ Σ ln pₙ), where pₙ is the share
/// of the predictions' n-grams that references have too, and bp = exp(1 − r / c) punishes what is shorter than these.
///
/// Tokenizer 13a; a pₙ without a match is smoothed to 1 / (2ᵏ · n-grams) at the k-th such order.
public struct BLEU: TextMetric {
    public static let name = "bleu"
    static let order = 4

    /// What sacrebleu counts, of a text or of many.
    public struct Statistics: Sendable, Hashable {
        /// The tokens of the predictions, and of the references that are nearest to these in length.
        public var predicted = 0
        public var expected = 0
        /// The n-grams of the predictions that references have too, and all of them, from n = 1 on.
        public var common = [Int](repeating: 0, count: BLEU.order)
        public var totals = [Int](repeating: 0, count: BLEU.order)
        /// How many references there were; −1 where the numbers differ.
        var references = 0

        mutating func add(_ other: Statistics) {
            if references != other.references { references = -1 }
            predicted += other.predicted
            expected += other.expected
            for index in common.indices {
                common[index] += other.common[index]
                totals[index] += other.totals[index]
            }
        }

        private var brevityPenalty: Double {
            if predicted >= expected { return 1 }
            return predicted > 0 ? exp(1 - Double(expected) / Double(predicted)) : 0
        }

        /// From 0 to 100. In the form for single sentences orders that the prediction is too short for don't count.
        func score(ofSentence isSentence: Bool) -> (value: Double, precisions: [Double], brevityPenalty: Double) {
            var precisions = [Double](repeating: 0, count: BLEU.order)
            if !common.contains(where: { $0 > 0 }) { return (0, precisions, brevityPenalty) }
            var smoothing = 1.0
            var last = BLEU.order
            for index in common.indices {
                if totals[index] == 0 { break }
                if isSentence { last = index + 1 }
                if common[index] == 0 {
                    smoothing *= 2
                    precisions[index] = 100 / (smoothing * Double(totals[index]))
                } else {
                    precisions[index] = 100 * Double(common[index]) / Double(totals[index])
                }
            }
            let mean = precisions[..<last].reduce(0) { $0 + log($1) } / Double(last)
            return (brevityPenalty * exp(mean), precisions, brevityPenalty)
        }
    }

    private var sums = Statistics()
    private var sentences = MeanOfTexts()
    private var isEmpty = true

    public init(_ settings: TextMetricSettings) {}

    public func statistics(of text: ScoredText) -> Statistics {
        var tokenizer = Tokenizer13a()
        let predicted = tokenizer.read(text.prediction)
        let grams = NGramCounts(predicted, order: Self.order)
        var most = [Int](repeating: 0, count: grams.counts.count)
        var statistics = Statistics()
        var nearest = Int.max
        for reference in text.references {
            let expected = tokenizer.read(reference)
            let distance = abs(expected.count - predicted.count)
            // Of two that are as near, the shorter.
            if distance < nearest || distance == nearest && expected.count < statistics.expected {
                (nearest, statistics.expected) = (distance, expected.count)
            }
            for (number, count) in grams.counts(in: expected).enumerated() { most[number] = max(most[number], count) }
        }
        statistics.predicted = predicted.count
        statistics.common = grams.common(with: most)
        statistics.totals = (1...Self.order).map { NGramCounts.total($0, in: predicted.count) }
        statistics.references = text.references.count
        return statistics
    }

    public mutating func add(_ statistics: Statistics) {
        if isEmpty { sums = statistics } else { sums.add(statistics) }
        isEmpty = false
        sentences.add(statistics.score(ofSentence: true).value)
    }

    /// How sacrebleu would say what was computed.
    private var signature: String {
        let references = sums.references < 0 ? "var" : "\(sums.references)"
        return "nrefs:\(references)|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"
    }

    public var scores: [TextScore] {
        let score = sums.score(ofSentence: false)
        return [
            TextScore(
                Self.name, score.value, decimals: 2,
                details: [
                    ("score", .number(score.value)), ("sentence_score", .number(sentences.value)),
                    ("counts", .integers(sums.common)), ("totals", .integers(sums.totals)),
                    ("precisions", .numbers(score.precisions)), ("bp", .number(score.brevityPenalty)),
                    ("sys_len", .integer(sums.predicted)), ("ref_len", .integer(sums.expected)),
                    ("signature", .text(signature)),
                ], signature: signature)
        ]
    }

    public var warning: String? {
        guard sums.common[0] > 0, let missing = sums.totals.firstIndex(of: 0) else { return nil }
        return
            "corpus BLEU is 0 by its definition: no prediction has \(missing + 1) words, and it multiplies what was right "
            + "of sequences of 1 to 4 words. For short answers take exact_match, f1 or chrf"
    }
}
