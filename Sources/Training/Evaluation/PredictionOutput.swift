import Checkpoints
public import Diagnostics
import Files
public import JSONText

/// Predictions that are written to a JSON lines file as they come, in order, and can be gone on with where an evaluation was
/// interrupted. Until it is complete a file beside it, `.NAME.progress`, says what the predictions depend on.
public final class PredictionOutput {
    public let path: String
    private let progressPath: String
    private let beginning: AppendedFile.Beginning
    private var file: AppendedFile?
    /// What the lines of each model depend on, in the order of the models; those of the file to be gone on with first.
    private var identities: [EvaluationIdentity] = []
    private var begun = 0
    /// The loss of each model, as far as it was measured.
    private var losses: [LossSummary?] = []
    /// How many of `identities` the progress file has.
    private var saved = 0
    /// The lines that were there; nil where there were none, and once others are written.
    private var recorded: FileBytes?
    private var offset = 0
    private var line = 0
    /// Where the line began that was read last.
    private var lastOffset = 0

    /// Looks before any work is done whether the file can be written; nothing is.
    ///
    /// - Parameters:
    ///   - replacing: Whether an existing file gives way.
    ///   - resuming: Whether predictions that an interrupted evaluation left there are gone on with, if there are any.
    ///   - inputs: As of `OutputFile`.
    public init(_ path: String, replacing: Bool, resuming: Bool, inputs: [String]) throws {
        self.path = path
        progressPath = AtomicFile.hiddenName(of: path, "progress")
        let isUnfinished = FileSystem.isFile(path) && FileSystem.isFile(progressPath)
        if resuming, FileSystem.isFile(path), !isUnfinished {
            throw Problem(
                "can't be gone on with: nothing beside it says that an evaluation of it was interrupted. Give --overwrite to "
                    + "replace it, or choose another file", file: path, exitStatus: .cannotCreate)
        }
        let advice =
            isUnfinished
            ? "give --resume to go on with it, --overwrite to replace it" : "give --overwrite to replace it"
        _ = try OutputFile(path, replacing: replacing || resuming, advice: advice, inputs: inputs)
        guard resuming, isUnfinished else {
            recorded = nil
            beginning = replacing ? .replacing : .new
            return
        }
        recorded = try FileBytes(path: path)
        beginning = .keeping(0)
        do {
            let progress = try JSONNode.load(path: progressPath)
            identities = try progress.array("models").map(EvaluationIdentity.init)
            losses = try progress.optionalArray("losses")?.map { $0.isNull ? nil : try LossSummary($0) } ?? []
        } catch var problem as Problem {
            problem.message +=
                ", so that the predictions beside it can't be gone on with. Give --overwrite to begin anew"
            throw problem
        }
        saved = identities.count
    }

    /// Begins with the lines of the next model.
    ///
    /// - Throws: A `Problem` where there are lines that depend on something else.
    public func begin(_ identity: EvaluationIdentity) throws {
        begun += 1
        if begun > identities.count {
            identities.append(identity)
        } else if let difference = identity.difference(from: identities[begun - 1]) {
            throw Problem(
                "can't be gone on with: the \(difference) of its predictions was another. Give --overwrite to begin anew",
                file: path)
        }
    }

    /// What the interrupted evaluation had of the loss of the model at hand; nil where it had nothing.
    public var recordedLoss: LossSummary? { losses.indices.contains(begun - 1) ? losses[begun - 1] : nil }

    /// Notes what there is of the loss of the model at hand.
    public func record(_ loss: LossSummary) throws {
        while losses.count < begun { losses.append(nil) }
        losses[begun - 1] = loss
        // Lines that are there already aren't read yet.
        if file == nil, recorded == nil { _ = try opened() }
        try save()
    }

    /// Says beside the file what all its lines depend on.
    private func save() throws {
        let members = [
            JSONValue.Member("models", .array(identities.map(\.json))),
            .init("losses", .array(losses.map { $0?.json ?? nil })),
        ]
        try AtomicFile.write(JSONValue.object(members).text(.indented), to: progressPath)
        saved = identities.count
    }

    /// The next line that is there already; nil where there is none. What a stopped process left of a line is none.
    public func nextRecorded() throws -> JSONNode? {
        guard let recorded else { return nil }
        return try recorded.withBytes { bytes in
            guard let end = bytes[offset...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
            let content = UnsafeRawBufferPointer(rebasing: bytes[offset..<end])
            do {
                let node = try JSONNode.parse(content, file: path, line: line + 1)
                lastOffset = offset
                offset = end + 1
                line += 1
                return node
            } catch  where end + 1 == bytes.count {
                return nil
            }
        }
    }

    /// The line that was read last is the next one again.
    public func giveBack() {
        offset = lastOffset
        line -= 1
    }

    /// What is wrong with the line that was read last.
    public func problem(_ message: String) -> Problem {
        Problem(
            "\(message). Give --overwrite to begin anew", file: path, position: TextPosition(line: line, column: 1))
    }

    /// Writes a line.
    public func write(_ value: JSONValue) throws {
        try opened().write(value.text(.compact) + "\n")
    }

    /// The file is complete.
    public func finish() throws {
        if try nextRecorded() != nil { throw problem("is a line more than this evaluation makes") }
        try opened().finish()
        try FileSystem.remove(progressPath)
    }

    /// The file, and beside it what all its lines depend on.
    private func opened() throws -> AppendedFile {
        let opened: AppendedFile
        if let file {
            opened = file
        } else {
            try FileSystem.createFolder(FileSystem.split(path).folder)
            opened = try AppendedFile(path: path, recorded == nil ? beginning : .keeping(offset))
            file = opened
            // What was cut off can't be read any more.
            recorded = nil
        }
        if saved < identities.count { try save() }
        return opened
    }
}

extension LossSummary {
    fileprivate init(_ node: JSONNode) throws {
        self.init()
        sum = try node.number("sum")
        (tokens, examples) = (try Self.count("tokens", node), try Self.count("examples", node))
    }

    private static func count(_ key: String, _ node: JSONNode) throws -> Int {
        let count = try node.integer(key)
        if !(0...largestCount).contains(count) {
            throw try node.required(key).problem("must be a count up to \(largestCount.grouped), got \(count)")
        }
        return count
    }

    /// More than any evaluation has, and small enough to be added to.
    private static let largestCount = 1 << 53

    fileprivate var json: JSONValue {
        ["sum": .number(sum), "tokens": .integer(tokens), "examples": .integer(examples)]
    }
}
