public import Metrics
import Synchronization
import Tensors

/// A prediction with the texts that it is compared with.
public struct ScoredText: Sendable, Hashable {
    public var prediction: String
    /// At least one.
    public var references: [String]

    public init(prediction: String, references: [String]) {
        self.prediction = prediction
        self.references = references
    }
}

/// How texts are scored.
public struct RougeSettings: Sendable, Hashable {
    public var usesStemmer: Bool
    /// Starts the drawing of the bootstrap samples.
    public var seed: UInt64

    public init(usesStemmer: Bool, seed: UInt64) {
        self.usesStemmer = usesStemmer
        self.seed = seed
    }
}

/// ROUGE-1, -2, -L and -Lsum of the texts, averaged, with 95 % intervals from 1,000 resamples; scored on all threads.
public func rouge(of texts: [ScoredText], _ settings: RougeSettings) -> [RougeType: RougeAggregate] {
    let scorer = RougeScorer(types: RougeType.allCases, useStemmer: settings.usesStemmer)
    let chunk = 16
    let parts = (texts.count + chunk - 1) / chunk
    let found = Mutex<[[RougeScores]]>(Array(repeating: [], count: parts))
    WorkerPool.shared.run(parts) { part in
        let scores = texts[part * chunk..<min(texts.count, (part + 1) * chunk)].map {
            scorer.score(prediction: $0.prediction, references: $0.references)
        }
        found.withLock { $0[part] = scores }
    }
    return aggregate(found.withLock { $0.flatMap { $0 } }, confidence: 0.95, resamples: 1000, seed: settings.seed)
}
