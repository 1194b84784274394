import Files
import JSONText

/// How far a run came, as its output folder tells.
struct RunFacts {
    /// The last line with a loss, and the one with the lowest `eval_loss`.
    private(set) var lastStep: JSONNode?
    private(set) var bestEvaluation: JSONNode?
    /// The steps that checkpoints were written after, ascending.
    let checkpoints: [Int]

    static let configurationName = "training_config.yaml"

    /// nil where the folder is no run's output.
    init?(folder: String) throws {
        let metrics = FileSystem.join(folder, "metrics.jsonl")
        let folders = FileSystem.join(folder, "checkpoints")
        guard FileSystem.exists(FileSystem.join(folder, Self.configurationName)) || FileSystem.exists(metrics) else {
            return nil
        }
        checkpoints =
            FileSystem.isFolder(folders)
            ? try FileSystem.names(in: folders).compactMap {
                $0.hasPrefix("step-") ? Int($0.dropFirst("step-".count)) : nil
            }.sorted() : []
        if FileSystem.exists(metrics) { try readMetrics(metrics) }
    }

    private mutating func readMetrics(_ path: String) throws {
        var lowest = Double.infinity
        let text = try FileSystem.text(of: path)
        for (index, line) in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .enumerated()
        where !line.isEmpty {
            let node = try Array(line).withUnsafeBytes { try JSONNode.parse($0, file: path, line: index + 1) }
            if let loss = try node.optionalNumber("eval_loss"), loss < lowest {
                lowest = loss
                bestEvaluation = node
            }
            if try node.optionalNumber("loss") != nil { lastStep = node }
        }
    }

    var json: JSONValue {
        [
            "checkpoints": .array(checkpoints.map { .integer($0) }), "last_step": lastStep?.plain ?? .null,
            "best_evaluation": bestEvaluation?.plain ?? .null,
        ]
    }
}
