import Files
import JSONText

/// A line of `metrics.jsonl`.
struct MetricsLine {
    /// What was measured of the validation data after a step.
    struct Evaluation {
        let step: Int
        let loss: Double
        /// A task's measures.
        let scores: [NamedScore]
    }

    let text: String
    let node: JSONNode
    let step: Int
    /// nil where it tells no step's loss.
    let loss: Double?
    /// nil where it tells no evaluation.
    let evaluation: Evaluation?

    init(_ text: String, file: String, line: Int) throws {
        self.text = text
        node = try Array(text.utf8).withUnsafeBytes { try JSONNode.parse($0, file: file, line: line) }
        let step = try node.integer("step")
        self.step = step
        loss = try node.optionalNumber("loss")
        let node = node
        evaluation = try node.optionalNumber("eval_loss").map {
            Evaluation(step: step, loss: $0, scores: try Self.scores(node))
        }
    }

    private static func scores(_ line: JSONNode) throws -> [NamedScore] {
        try line.asObject().compactMap { member in
            guard member.key.hasPrefix("eval_"), !others.contains(member.key) else { return nil }
            return NamedScore(String(member.key.dropFirst("eval_".count)), try line.optionalNumber(member.key))
        }
    }

    private static let others: Set<String> = ["eval_loss", "eval_tokens", "eval_examples"]

    /// All lines of a run's folder, none where there is no file; the last one may be incomplete, and isn't one of them then.
    static func all(in folder: String) throws -> [MetricsLine] {
        let path = FileSystem.join(folder, MetricsLog.fileName)
        guard FileSystem.isFile(path) else { return [] }
        let lines = try FileSystem.text(of: path).split(separator: "\n", omittingEmptySubsequences: false)
        return try lines.dropLast().enumerated().filter { !$0.element.isEmpty }.map { index, line in
            try MetricsLine(String(line), file: path, line: index + 1)
        }
    }
}
