import Diagnostics
import Files
import Glibc
import JSONText

/// `metrics.jsonl` of an output folder: a line for each logged step and each evaluation.
///
/// A line is appended with one write, because writing the whole file anew each time would cost more than a step of a
/// small model; the disk is waited for only where a checkpoint relies on the lines before it.
final class MetricsLog {
    static let fileName = RunMetrics.fileName

    private let path: String
    private let descriptor: Int32
    /// The loss of the last logged step, and the last evaluation with its step.
    private(set) var lastLoss: Double?
    private(set) var lastEvaluation: MetricsLine.Evaluation?
    /// The line of the last evaluation that the log began with.
    private(set) var lastEvaluationLine: String?
    /// As the last line that the log began with has them.
    private(set) var tokens = 0
    private(set) var elapsedSeconds = 0.0
    /// The courses of the losses and of the learning rate.
    private(set) var course: RunMetrics
    private var events: EventLog?

    /// Goes on with the lines of a run up to `step`, or begins anew where that is 0.
    ///
    /// Lines past the step come from a run that went on after its last checkpoint and then stopped without saving; the
    /// last of them may be incomplete.
    init(folder: String, continuingAfter step: Int) throws {
        let path = FileSystem.join(folder, Self.fileName)
        self.path = path
        var kept: [String] = []
        var course = RunMetrics(keeping: LossPicture.keys)
        for line in step > 0 ? try MetricsLine.all(in: folder) : [] where line.step <= step {
            kept.append(line.text)
            try Array(line.text.utf8).withUnsafeBytes { try course.add($0, file: path, line: kept.count) }
            elapsedSeconds = try line.node.optionalNumber("elapsed_seconds") ?? elapsedSeconds
            if let loss = line.loss {
                lastLoss = loss
                tokens = try line.node.integer("tokens")
            }
            if let evaluation = line.evaluation { (lastEvaluation, lastEvaluationLine) = (evaluation, line.text) }
        }
        self.course = course
        try AtomicFile.write(kept.map { $0 + "\n" }.joined(), to: path)
        descriptor = open(path, O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC)
        if descriptor < 0 { throw writingProblem() }
    }

    /// The step of the last line of a run's log; nil where there is none.
    static func lastStep(in folder: String) -> Int? {
        guard let text = try? FileSystem.text(of: FileSystem.join(folder, fileName)) else { return nil }
        return text.split(separator: "\n").reversed().lazy.compactMap { line in
            try? JSONNode.parse(String(line)).integer("step")
        }.first
    }

    /// Has TensorBoard told too, from now on.
    ///
    /// - Parameters:
    ///   - step: The step that the log goes on after.
    ///   - texts: What is told beside numbers.
    func tellTensorBoard(in folder: String, after step: Int, texts: [(tag: String, text: String)]) throws {
        events = try EventLog(folder: folder, after: step, texts: texts, history: path, elapsed: elapsedSeconds)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func append(_ metrics: StepMetrics) throws {
        lastLoss = metrics.loss
        try append(
            metrics.step,
            [
                .init("step", .integer(metrics.step)), .init("epoch", .number(metrics.epoch)),
                .init("loss", .number(metrics.loss)), .init("grad_norm", .number(metrics.gradientNorm)),
                .init("learning_rate", .number(metrics.learningRate)), .init("tokens", .integer(metrics.tokens)),
                .init("tokens_per_second", .number(metrics.tokensPerSecond)),
                .init("elapsed_seconds", .number(metrics.elapsedSeconds)),
                .init("peak_memory_bytes", .integer(metrics.peakMemoryBytes)),
            ])
    }

    func append(_ metrics: EvaluationMetrics) throws {
        lastEvaluation = .init(step: metrics.step, loss: metrics.loss, scores: metrics.scores)
        try append(
            metrics.step,
            [
                .init("step", .integer(metrics.step)), .init("epoch", .number(metrics.epoch)),
                .init("eval_loss", .number(metrics.loss)),
                .init(metrics.countsTexts ? "eval_examples" : "eval_tokens", .integer(metrics.tokens)),
            ] + metrics.scores.map { .init("eval_\($0.name)", $0.value.map(JSONValue.number) ?? nil) } + [
                .init("elapsed_seconds", .number(metrics.elapsedSeconds))
            ])
    }

    /// Waits until all lines are on the disk.
    func synchronize() throws { if fsync(descriptor) != 0 { throw writingProblem() } }

    /// Whether the lines still go to the file of that name, and not to one that was removed or moved.
    var isInPlace: Bool {
        var (here, there) = (stat(), stat())
        return fstat(descriptor, &here) == 0 && lstat(path, &there) == 0 && here.st_ino == there.st_ino
            && here.st_dev == there.st_dev
    }

    /// Writes the lines so far, wherever their file is now, into another folder.
    func copy(to folder: String) throws {
        var content: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = pread(descriptor, &part, part.count, off_t(content.count))
            if count < 0 {
                if errno == EINTR { continue }
                throw writingProblem()
            }
            if count == 0 { break }
            content += part[..<count]
        }
        try AtomicFile.write(content, to: FileSystem.join(folder, Self.fileName))
    }

    private func append(_ step: Int, _ members: [JSONValue.Member]) throws {
        let line = Array((JSONValue.object(members).text(.compact) + "\n").utf8)
        try line.withUnsafeBytes { try course.add($0, file: path, line: 1) }
        var rest = line[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if written < 0 {
                if errno == EINTR { continue }
                throw writingProblem()
            }
            rest = rest.dropFirst(written)
        }
        try events?.append(step: step, members)
    }

    private func writingProblem() -> Problem {
        Problem("writing failed: \(String(cString: strerror(errno)))", file: path, exitStatus: .inputOutput)
    }
}
