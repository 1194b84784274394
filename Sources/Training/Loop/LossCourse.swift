import Files
import JSONText

/// What `metrics.jsonl` tells of a run's losses from its first step on, interruptions or not.
struct LossCourse {
    struct Point {
        let step: Int
        let loss: Double
    }

    private(set) var first: Point?
    private(set) var last: Point?
    private(set) var firstEvaluation: Point?
    private(set) var bestEvaluation: Point?
    private(set) var lastEvaluation: Point?
    /// A task's measures in the last evaluation.
    private(set) var scores: [NamedScore] = []

    init(folder: String) throws {
        let path = FileSystem.join(folder, MetricsLog.fileName)
        for (index, line) in try FileSystem.text(of: path).split(separator: "\n").enumerated() {
            let node = try Array(line.utf8).withUnsafeBytes { try JSONNode.parse($0, file: path, line: index + 1) }
            let step = try node.integer("step")
            if let loss = try node.optionalNumber("loss") {
                last = Point(step: step, loss: loss)
                first = first ?? last
            }
            guard let loss = try node.optionalNumber("eval_loss") else { continue }
            let point = Point(step: step, loss: loss)
            lastEvaluation = point
            firstEvaluation = firstEvaluation ?? point
            if loss < bestEvaluation?.loss ?? .infinity { bestEvaluation = point }
            scores = try Self.scores(node).filter { $0.value != nil }
        }
    }

    /// A task's measures in the line of an evaluation.
    static func scores(_ line: JSONNode) throws -> [NamedScore] {
        try line.asObject().compactMap { member in
            guard member.key.hasPrefix("eval_"), !others.contains(member.key) else { return nil }
            return NamedScore(String(member.key.dropFirst("eval_".count)), try line.optionalNumber(member.key))
        }
    }

    private static let others: Set<String> = ["eval_loss", "eval_tokens", "eval_examples"]
}
