import Diagnostics
public import Metrics
import Synchronization
import Tensors

/// Scores texts by several measures as they come; the texts themselves aren't kept.
public struct TextScoring: Sendable {
    /// What texts got.
    public struct Result: Sendable, Hashable {
        /// The number of texts.
        public var texts: Int
        public var scores: [TextScore]
        /// Why scores say little about these texts.
        public var warnings: [String]
    }

    /// Texts that are scored together, on all threads.
    private static let batchSize = 256
    private static let chunk = 16

    private var metrics: [any TextMetric]
    private var count = 0
    private var waiting: [ScoredText] = []

    public init(_ metrics: [any TextMetric.Type], _ settings: TextMetricSettings) {
        self.metrics = metrics.map { $0.init(settings) }
    }

    /// Adds a text, which has at least one reference.
    public mutating func add(_ text: ScoredText) {
        require(!text.references.isEmpty, "TextScoring.add: no reference")
        waiting.append(text)
        if waiting.count == Self.batchSize { scoreWaiting() }
    }

    /// The scores of all texts; nil where there were none.
    public mutating func finish() -> Result? {
        scoreWaiting()
        if count == 0 { return nil }
        return Result(
            texts: count, scores: metrics.flatMap { $0.scores }, warnings: metrics.compactMap { $0.warning })
    }

    private mutating func scoreWaiting() {
        if waiting.isEmpty { return }
        metrics = metrics.map { Self.adding(waiting, to: $0) }
        count += waiting.count
        waiting.removeAll(keepingCapacity: true)
    }

    /// The measure with the texts added in their order.
    private static func adding<Metric: TextMetric>(_ texts: [ScoredText], to metric: Metric) -> any TextMetric {
        let parts = (texts.count + chunk - 1) / chunk
        let found = Mutex<[[Metric.Statistics]]>(Array(repeating: [], count: parts))
        WorkerPool.shared.run(parts) { part in
            let statistics = texts[part * chunk..<min(texts.count, (part + 1) * chunk)].map(metric.statistics)
            found.withLock { $0[part] = statistics }
        }
        var metric = metric
        for part in found.withLock({ $0 }) { for statistics in part { metric.add(statistics) } }
        return metric
    }
}

/// The measures of a list of names with commas between them, in the order in which they are listed, each once.
///
/// - Throws: A `Problem` without a place where a name is none.
public func textMetrics(named list: String) throws -> [any TextMetric.Type] {
    let names = list.split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmingBlanks }
    let known = textMetrics.map { $0.name }
    if let unknown = names.first(where: { !known.contains($0) }) {
        let what = unknown.isEmpty ? "a name is missing in '\(list)'" : "there is no measure '\(unknown)'"
        throw Problem("\(what); the measures are \(known.joined(separator: ", "))", exitStatus: .usage)
    }
    return textMetrics.filter { names.contains($0.name) }
}

extension Substring {
    fileprivate var trimmingBlanks: String {
        String(self.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
