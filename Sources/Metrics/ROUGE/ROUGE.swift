/// ROUGE-1, -2, -L and -Lsum as rouge_score computes them, averaged over the texts, with 95 % intervals from 1,000 resamples.
public struct ROUGE: TextMetric {
    public static let name = "rouge"
    public static let valueNames = RougeType.allCases.map(\.rawValue)

    private let scorer: RougeScorer
    private let seed: UInt64
    private var aggregator = RougeAggregator(RougeType.allCases)

    public init(_ settings: TextMetricSettings) {
        scorer = RougeScorer(types: RougeType.allCases, useStemmer: settings.usesStemmer)
        seed = settings.seed
    }

    public func statistics(of text: ScoredText) -> RougeScores {
        scorer.score(prediction: text.prediction, references: text.references)
    }

    public mutating func add(_ scores: RougeScores) { aggregator.add(scores) }

    public var scores: [TextScore] {
        let found = aggregator.aggregate(confidence: 0.95, resamples: 1000, seed: seed)
        return RougeType.allCases.compactMap { type in
            found[type].map { score in
                TextScore(
                    type.rawValue, score.fmeasure,
                    details: [
                        ("precision", .number(score.precision)), ("recall", .number(score.recall)),
                        ("fmeasure", .number(score.fmeasure)), ("low", .number(score.low)),
                        ("high", .number(score.high)),
                    ], interval: type == .rougeL ? score.low...score.high : nil)
            }
        }
    }
}
