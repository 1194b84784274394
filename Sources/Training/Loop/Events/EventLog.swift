import Diagnostics
import Files
import Glibc
import JSONText

/// What `metrics.jsonl` says once more, in an event file of TensorBoard's.
///
/// Each start of a run begins a file of its own, which grows by whole records. Names of files are in the order of time, in
/// which TensorBoard reads those of a folder.
final class EventLog {
    /// In a run's folder, where nothing else is said.
    static let folderName = "runs"

    private static let (prefix, ending, writer) = ("events.out.tfevents.", ".peft", "peft")

    private let file: AppendedFile
    private var lastEpochStep = -1

    /// Begins a file.
    ///
    /// - Parameters:
    ///   - folder: Made where it isn't there yet.
    ///   - step: The steps that the run has taken.
    ///   - texts: What is told beside numbers, in Markdown, by its tag.
    ///   - history: The metrics of those steps, which are told where the folder has no file of this tool.
    ///   - elapsed: The seconds that the run took for them.
    init(
        folder: String, after step: Int, texts: [(tag: String, text: String)], history path: String, elapsed: Double
    ) throws {
        try FileSystem.createFolder(folder)
        let former = try Self.files(in: folder)
        let now = Self.now
        let newest = former.compactMap { Int($0.dropFirst(Self.prefix.count).prefix { $0 != "." }) }.max()
        let number = "\(max(Int(now), newest?.addingClamping(1) ?? 0))"
        let name =
            Self.prefix + String(repeating: "0", count: max(0, 10 - number.count)) + number
            + ".\(Self.host).\(getpid())" + Self.ending
        file = try AppendedFile(path: FileSystem.join(folder, name), .new)
        var first = EventRecord(seconds: now, step: 0, .fileVersion(writer: Self.writer)).bytes
        let isTold = step > 0 && !former.isEmpty
        first += EventRecord(seconds: now, step: isTold ? step + 1 : 0, .sessionStart).bytes
        if !isTold {
            for (tag, text) in texts {
                first += EventRecord(seconds: now, step: 0, .text(tag: tag + "/text_summary", text)).bytes
            }
        }
        try first.withUnsafeBytes { try file.write($0) }
        if step > 0, !isTold { try tell(path, startingAt: now - elapsed) }
    }

    /// The names of the files in a folder that this tool wrote.
    static func files(in folder: String) throws -> [String] {
        guard FileSystem.isFolder(folder) else { return [] }
        return try FileSystem.names(in: folder).filter { $0.hasPrefix(prefix) && $0.hasSuffix(ending) }
    }

    private func tell(_ path: String, startingAt start: Double) throws {
        for (index, line) in try FileSystem.text(of: path).split(separator: "\n").enumerated() {
            let node = try Array(line.utf8).withUnsafeBytes { try JSONNode.parse($0, file: path, line: index + 1) }
            try append(
                step: node.integer("step"), node.asObject().map { .init($0.key, $0.value.plain) },
                seconds: start + (node.optionalNumber("elapsed_seconds") ?? 0))
        }
    }

    /// Tells the members of a line of `metrics.jsonl`.
    func append(step: Int, _ members: [JSONValue.Member]) throws { try append(step: step, members, seconds: Self.now) }

    private func append(step: Int, _ members: [JSONValue.Member], seconds: Double) throws {
        let scalars = Self.scalars(members).filter { $0.tag != Self.epochTag || step > lastEpochStep }
        if scalars.contains(where: { $0.tag == Self.epochTag }) { lastEpochStep = step }
        if scalars.isEmpty { return }
        try EventRecord(seconds: seconds, step: step, .scalars(scalars)).bytes.withUnsafeBytes { try file.write($0) }
    }

    private static let epochTag = "train/epoch"

    /// The numbers by the tags that transformers gives them: `eval_loss` is `eval/loss`, and `loss` is `train/loss`. What
    /// else an evaluation has is that of the step before it.
    private static func scalars(_ members: [JSONValue.Member]) -> [(tag: String, value: Float)] {
        let isEvaluation = members.contains { $0.key.hasPrefix("eval_") }
        return members.compactMap { member in
            let value: Double
            switch member.value {
            case .number(let number): value = number
            case .integer(let number): value = Double(number)
            default: return nil
            }
            if member.key == "step" { return nil }
            if member.key.hasPrefix("eval_") { return ("eval/" + member.key.dropFirst("eval_".count), Float(value)) }
            return isEvaluation && member.key != "epoch" ? nil : ("train/" + member.key, Float(value))
        }
    }

    private static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    private static var host: String {
        var name = [CChar](repeating: 0, count: 256)
        let isKnown = gethostname(&name, name.count - 1) == 0
        let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let text = String(decoding: bytes, as: UTF8.self).replacing("/", with: "_")
        return isKnown && !text.isEmpty ? text : "localhost"
    }
}
