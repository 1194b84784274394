public import Batches
import ChatTemplates
public import Diagnostics
import JSONText

/// Examples from the records of one or more files, tokenized at the start and kept.
public final class Dataset: Sendable {
    /// What became of the records.
    public struct Counts: Sendable, Hashable {
        /// All records of the files.
        public var records = 0
        public var dropped = 0
        public var truncated = 0
        /// The tokens of the examples, and those of them that take part in the loss.
        public var tokens = 0
        public var targetTokens = 0
        /// The rows that go through the model for them, and those that an encoder reads.
        public var rows = 0
        public var sourceRows = 0
        /// The examples of each class, by its number; empty where there are none.
        public var ofClass: [Int] = []
        /// The smallest and the largest number where labels are numbers.
        public var values: ClosedRange<Float>?
    }

    /// 1 GiB of tokens; what is beyond is tokenized each time that it is needed.
    private static let cacheCapacity = 1 << 28

    let records: RecordSet
    let encoder: ExampleEncoder
    /// The record, or block, of each example, where not all are examples.
    let kept: [Int32]?
    let isInBlocks: Bool
    let cache: ExampleCache
    /// The records that were cut to the length, ascending.
    let truncated: [Int32]

    /// What became of the records.
    public let counts: Counts
    /// The number of examples.
    public let count: Int
    /// Fields that the templates can do without, and that no record has.
    public let absentFields: [String]

    /// Scans the files and tokenizes the records, so that what is wrong with one of them is known from the start.
    ///
    /// Throws a `Problem` or `Problems` with file and line where records are broken, empty or too long, and where nothing
    /// is left.
    public convenience init(paths: [String], encoder: ExampleEncoder) throws {
        try self.init(paths: paths, limit: nil, encoder: encoder)
    }

    /// - Parameter limit: Only so many records, from the first on; nil for all.
    public convenience init(paths: [String], limit: Int?, encoder: ExampleEncoder) throws {
        try self.init(records: RecordSet(paths: paths, limit: limit), encoder: encoder, capacity: Self.cacheCapacity)
    }

    /// - Parameter capacity: The tokens that are kept.
    package init(records: RecordSet, encoder: ExampleEncoder, capacity: Int) throws {
        self.records = records
        self.encoder = encoder
        isInBlocks = false
        var cache = ExampleCache(count: records.count, capacity: capacity)
        var counts = Counts()
        counts.records = records.count
        if let labels = encoder.labels { counts.ofClass = Array(repeating: 0, count: labels.names.count) }
        var kept: [Int32] = []
        var truncated: [Int32] = []
        try records.forEachInParallel({ try encoder.encode($0, $1) }) { index, outcome in
            if case .example(let example, let isTruncated) = outcome {
                if isTruncated { truncated.append(Int32(index)) }
                if encoder.mayDrop { kept.append(Int32(index)) }
                cache.insert(example, at: index)
            }
            counts.add(outcome)
        }
        self.cache = cache
        self.counts = counts
        self.truncated = truncated
        absentFields = try records.lacking(encoder.templates.fields.filter(\.isOptional).map(\.name))
        guard encoder.mayDrop else {
            self.kept = nil
            count = records.count
            return
        }
        if kept.isEmpty, case .labelled = encoder.templates, encoder.maximumLength == nil || encoder.policy != .drop {
            throw Problem(
                "data.label_pattern matches none of the \(records.count) records", file: records.files[0].path)
        }
        if kept.isEmpty {
            throw Problem(
                "all \(records.count) records are longer than \(encoder.limits): nothing is left to learn from",
                file: records.files[0].path)
        }
        self.kept = kept
        count = kept.count
    }

    /// Tokenizes all records, lays them one behind the other and cuts them into blocks of `blockSize` tokens, of which
    /// all but the first take part in the loss; what is left at the end is dropped, as transformers' run_clm does.
    ///
    /// Lines of a text file keep their line breaks and get no end-of-text token; other records get one.
    public convenience init(paths: [String], blockSize: Int, encoder: ExampleEncoder) throws {
        try self.init(paths: paths, limit: nil, blockSize: blockSize, encoder: encoder)
    }

    /// - Parameter limit: Only so many records, from the first on; nil for all.
    public init(paths: [String], limit: Int?, blockSize: Int, encoder: ExampleEncoder) throws {
        require(blockSize >= 2, "Dataset: blocks of \(blockSize) tokens have no target")
        records = try RecordSet(paths: paths, limit: limit)
        self.encoder = encoder
        kept = nil
        truncated = []
        isInBlocks = true
        var blocks: [[Int32]] = []
        var block: [Int32] = []
        var counts = Counts()
        counts.records = records.count
        try records.forEachInParallel({ try encoder.encodeForBlocks($0, $1) }) { _, tokens in
            var rest = tokens[...]
            while !rest.isEmpty {
                let part = rest.prefix(blockSize - block.count)
                block += part
                rest = rest.dropFirst(part.count)
                if block.count == blockSize {
                    blocks.append(block)
                    block.removeAll(keepingCapacity: true)
                }
            }
        }
        if blocks.isEmpty {
            throw Problem(
                "holds \(block.count) tokens, fewer than one block of block_size \(blockSize)",
                file: records.files[0].path)
        }
        count = blocks.count
        counts.tokens = blocks.count * blockSize
        counts.targetTokens = blocks.count * (blockSize - 1)
        counts.rows = counts.targetTokens
        var cache = ExampleCache(count: count, capacity: .max)
        for (index, block) in blocks.enumerated() { cache.insert(Example(tokens: block, firstTarget: 1), at: index) }
        self.cache = cache
        self.counts = counts
        absentFields = try records.lacking(encoder.templates.fields.filter(\.isOptional).map(\.name))
    }

    /// Some of the examples of another data set, by their numbers there, ascending; records that it dropped count as those of
    /// the part that `countsDropped`.
    init(_ whole: Dataset, _ examples: [Int], countsDropped: Bool) throws {
        records = whole.records
        encoder = whole.encoder
        isInBlocks = whole.isInBlocks
        cache = whole.cache
        truncated = whole.truncated
        absentFields = whole.absentFields
        let kept = examples.map { whole.kept?[$0] ?? Int32($0) }
        self.kept = kept
        count = examples.count
        var counts = Counts()
        counts.ofClass = Array(repeating: 0, count: whole.counts.ofClass.count)
        let cut = Set(truncated)
        for (example, record) in zip(examples, kept) {
            counts.add(.example(try whole.example(example), isTruncated: cut.contains(record)))
        }
        counts.dropped = countsDropped ? whole.counts.dropped : 0
        counts.records = isInBlocks ? whole.counts.records : count + counts.dropped
        self.counts = counts
    }

    /// What is doubtful about the records, though they can be used.
    public var warnings: [Problem] {
        absentFields.map { name in
            let names = (try? records.files[0].fieldNames(at: 0)) ?? []
            let message = RecordFile.message(missing: name, among: names)
            return Problem(
                "\(message). What depends on it is left out everywhere", file: records.files[0].path, severity: .warning
            )
        }
    }

    /// What stands behind each text that is learned, for people; nil where they have labels, and in blocks.
    public var endSummary: String? {
        if hasLabels || isInBlocks { return nil }
        let codec = encoder.codec
        if let chat = encoder.chat {
            let end = chat.turnEnd
            return end.isEmpty
                ? "nothing ends the assistant's turns" : "each of the assistant's turns ends with \(end)"
        }
        guard let end = codec.ending.first else { return "nothing ends the texts: the model names no token for it" }
        return "each text ends with the token \(end) (\(codec.spelling(of: end)))"
    }

    /// A number by which other data shows: that of the fields that the templates take of each record, in their order.
    ///
    /// - Parameter isParallel: Whether all cores take part, or only this thread.
    public func contentHash(isParallel: Bool) throws -> UInt64 {
        let fields = encoder.templates.fields
        let conversation = encoder.templates.conversation?.field
        @Sendable func hash(_ file: RecordFile, _ index: Int) -> UInt64 {
            var hash = ContentHash()
            if let conversation { hash.add((try? file.conversation(in: conversation, at: index))?.text ?? "") }
            // A record that can't be used is reported where it is.
            for text in (try? file.texts(of: fields, at: index)) ?? [] { hash.add(text) }
            for field in fields {
                guard let source = field.choices else { continue }
                for text in (try? file.choices(source, answer: field.name, at: index))?.texts ?? [] { hash.add(text) }
            }
            return hash.value
        }
        var whole = ContentHash()
        if let chat = encoder.chat { whole.add(chat.template.source) }
        if isParallel {
            try records.forEachInParallel(hash) { _, part in whole.add(part) }
        } else {
            for index in 0..<records.count {
                let (file, local) = records.locate(index)
                whole.add(hash(file, local))
            }
        }
        return whole.value
    }

    /// Whether each example has a label.
    public var hasLabels: Bool { encoder.templates.task == .sequenceClassification }

    /// Whether each example's completion is one of several.
    public var hasChoices: Bool { encoder.templates.choices != nil }

    /// The prompt of example `index`, the answers that it has, and the completion that each of them makes.
    public func choices(of index: Int) throws -> (prompt: PlacedText, choices: Choices, completions: [String]) {
        guard case .completion(let prompt, let completion) = encoder.templates, let source = encoder.templates.choices
        else { defect("Dataset.choices: templates without choices") }
        let (file, local) = records.locate(kept.map { Int($0[index]) } ?? index)
        let choices = try file.choices(source, answer: completion.fields[0].name, at: local)
        return (
            prompt.renderPlaces(try file.texts(of: prompt.fields, at: local)), choices,
            choices.texts.map { completion.render([$0]) }
        )
    }

    /// Whether something is given in front of what is learned of an example.
    public var hasPrompts: Bool {
        if case .text = encoder.templates { return false }
        return !isInBlocks
    }

    /// The example `index`, in the order of the files.
    public func example(_ index: Int) throws -> Example {
        let record = kept.map { Int($0[index]) } ?? index
        if let example = cache[record] { return example }
        let (file, local) = records.locate(record)
        guard case .example(let example, _) = try encoder.encode(file, local) else {
            throw file.problem("has changed since it was read", at: local)
        }
        return example
    }

    /// The file and line of the record that example `index` was made from; nil where examples are blocks.
    public func place(of index: Int) -> (file: String, line: Int)? {
        isInBlocks ? nil : place(ofRecord: kept.map { Int($0[index]) } ?? index)
    }

    /// The file and line of a record, dropped ones counted too.
    public func place(ofRecord record: Int) -> (file: String, line: Int) {
        let (file, local) = records.locate(record)
        return (file.path, file.line(of: local))
    }

    /// The texts of example `index`: what is given, and what is to come of it, a completion or a label; the first is
    /// empty for a text that is learned as a whole.
    public func texts(of index: Int) throws -> (given: String, wanted: String) {
        let (file, local) = records.locate(kept.map { Int($0[index]) } ?? index)
        if case .conversation(let source) = encoder.templates {
            let text = try encoder.chatText(source, file, local)
            let start = text.learned.last?.lowerBound ?? 0
            let bytes = text.text.utf8
            return (
                String(decoding: bytes.prefix(start), as: UTF8.self),
                String(decoding: bytes.dropFirst(start), as: UTF8.self)
            )
        }
        let values = try file.texts(of: encoder.templates.fields, at: local)
        switch encoder.templates {
        case .completion(let prompt, let completion):
            let count = prompt.fields.count
            return (encoder.given(prompt, values[..<count]), completion.render(values[count...]))
        case .text(let text): return ("", text.render(values))
        case .conversation: return ("", "")
        case .labelled(let text, let label):
            let count = text.fields.count
            return (encoder.given(text, values[..<count]), label.label(values[count...]) ?? "")
        }
    }
}

extension Dataset.Counts {
    mutating func add(_ outcome: ExampleEncoder.Outcome) {
        switch outcome {
        case .dropped: dropped += 1
        case .example(let example, let isTruncated):
            if isTruncated { truncated += 1 }
            tokens += example.source == nil ? example.tokens.count : example.passCount
            targetTokens += example.targetCount
            rows += example.rowCount
            sourceRows += example.source?.count ?? 0
            switch example.label {
            case nil: break
            case .category(let number): ofClass[Int(number)] += 1
            case .value(let value):
                values = min(values?.lowerBound ?? value, value)...max(values?.upperBound ?? value, value)
            }
        }
    }
}
