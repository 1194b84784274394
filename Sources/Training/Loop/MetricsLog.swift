import Checkpoints
import Diagnostics
import Glibc
import JSONText

/// `metrics.jsonl` of an output folder: a line for each logged step and each evaluation.
final class MetricsLog {
    private let path: String
    private var lines: [String]

    /// Goes on with the lines of a run up to `step`, or begins anew where that is 0.
    ///
    /// Lines past the step come from a run that went on after its last checkpoint and then stopped without saving.
    init(folder: String, continuingAfter step: Int) throws {
        path = FileSystem.join(folder, "metrics.jsonl")
        lines = []
        guard step > 0, FileSystem.isFile(path) else { return }
        for line in try FileSystem.text(of: path).split(separator: "\n") {
            if try JSONNode.parse(String(line), file: path).integer("step") <= step { lines.append(String(line)) }
        }
    }

    func append(_ metrics: StepMetrics) throws {
        try append([
            .init("step", .integer(metrics.step)), .init("epoch", .number(metrics.epoch)),
            .init("loss", .number(metrics.loss)), .init("grad_norm", .number(metrics.gradientNorm)),
            .init("learning_rate", .number(metrics.learningRate)), .init("tokens", .integer(metrics.tokens)),
            .init("tokens_per_second", .number(metrics.tokensPerSecond)),
            .init("elapsed_seconds", .number(metrics.elapsedSeconds)),
            .init("peak_memory_bytes", .integer(metrics.peakMemoryBytes)),
        ])
    }

    func append(_ metrics: EvaluationMetrics) throws {
        try append([
            .init("step", .integer(metrics.step)), .init("epoch", .number(metrics.epoch)),
            .init("eval_loss", .number(metrics.loss)), .init("eval_tokens", .integer(metrics.tokens)),
            .init("elapsed_seconds", .number(metrics.elapsedSeconds)),
        ])
    }

    /// The whole file is written anew, so that a reader never sees half a line; it stays small.
    private func append(_ members: [JSONValue.Member]) throws {
        lines.append(JSONValue.object(members).text(.compact))
        try AtomicFile.write(lines.joined(separator: "\n") + "\n", to: path)
    }
}
