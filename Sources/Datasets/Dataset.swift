import Diagnostics
import Synchronization

/// Examples from the records of one or more files, tokenized when first needed and kept.
public final class Dataset: Sendable {
    /// What became of the records that were tokenized so far.
    public struct Counts: Sendable, Hashable {
        /// All records of the files.
        public var records = 0
        /// Those that were tokenized; with the policy `drop` and in blocks all of them, from the start.
        public var tokenized = 0
        public var dropped = 0
        public var truncated = 0
        /// The tokens of the examples, and those of them that take part in the loss.
        public var tokens = 0
        public var targetTokens = 0
    }

    private struct State {
        var cache: ExampleCache
        var counts: Counts
        var failure: (any Error)?
    }

    /// 1 GiB of tokens; what is beyond is tokenized each time that it is needed.
    private static let cacheCapacity = 1 << 28

    private let records: RecordSet
    private let encoder: ExampleEncoder
    /// The record of each example, where some were dropped.
    private let kept: [Int32]?
    private let isInBlocks: Bool
    private let state: Mutex<State>

    /// The number of examples.
    public let count: Int

    /// Scans the files; with the policy `drop` tokenizes them too, because it decides how many examples there are.
    ///
    /// Throws a `Problem` with file and line where a record is broken or empty, and where nothing is left.
    public convenience init(paths: [String], encoder: ExampleEncoder) throws {
        try self.init(paths: paths, limit: nil, encoder: encoder)
    }

    /// - Parameter limit: Only so many records, from the first on; nil for all.
    public convenience init(paths: [String], limit: Int?, encoder: ExampleEncoder) throws {
        try self.init(records: RecordSet(paths: paths, limit: limit), encoder: encoder)
    }

    init(records: RecordSet, encoder: ExampleEncoder) throws {
        self.records = records
        self.encoder = encoder
        isInBlocks = false
        var cache = ExampleCache(count: records.count, capacity: Self.cacheCapacity)
        var counts = Counts()
        counts.records = records.count
        guard encoder.mayDrop else {
            kept = nil
            count = records.count
            state = Mutex(State(cache: cache, counts: counts))
            return
        }
        var kept: [Int32] = []
        try records.forEachInParallel({ try encoder.encode($0, $1) }) { index, outcome in
            if case .example(let example, _) = outcome {
                kept.append(Int32(index))
                cache.insert(example, at: index)
            }
            counts.add(outcome)
        }
        if kept.isEmpty, encoder.maximumLength == nil || encoder.policy != .drop {
            throw Problem(
                "data.label_pattern matches none of the \(records.count) records", file: records.files[0].path)
        }
        if kept.isEmpty {
            let limit = encoder.maximumLength.map { " (\($0))" } ?? ""
            throw Problem(
                "all \(records.count) records are longer than \(encoder.limitName)\(limit): nothing is left to learn from",
                file: records.files[0].path)
        }
        self.kept = kept
        count = kept.count
        state = Mutex(State(cache: cache, counts: counts))
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
        precondition(blockSize >= 2, "Dataset: blocks of \(blockSize) tokens have no target")
        records = try RecordSet(paths: paths, limit: limit)
        self.encoder = encoder
        kept = nil
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
            counts.tokenized += 1
        }
        if blocks.isEmpty {
            throw Problem(
                "holds \(block.count) tokens, fewer than one block of block_size \(blockSize)",
                file: records.files[0].path)
        }
        count = blocks.count
        counts.tokens = blocks.count * blockSize
        counts.targetTokens = blocks.count * (blockSize - 1)
        var cache = ExampleCache(count: count, capacity: .max)
        for (index, block) in blocks.enumerated() { cache.insert(Example(tokens: block, firstTarget: 1), at: index) }
        state = Mutex(State(cache: cache, counts: counts))
    }

    /// Whether each example has a label.
    public var hasLabels: Bool { if case .labelled = encoder.templates { true } else { false } }

    /// What became of the records so far.
    public var counts: Counts { state.withLock { $0.counts } }

    /// The example `index`, in the order of the files.
    public func example(_ index: Int) throws -> Example {
        let record = kept.map { Int($0[index]) } ?? index
        if let example = state.withLock({ $0.cache[record] }) { return example }
        let (file, local) = records.locate(record)
        let outcome = try encoder.encode(file, local)
        guard case .example(let example, _) = outcome else {
            preconditionFailure("Dataset: a dropped record among the examples")
        }
        state.withLock { state in
            // Only the first time: another thread may have been here meanwhile.
            if !state.cache.contains(record) {
                state.cache.insert(example, at: record)
                if state.cache.contains(record) { state.counts.add(outcome) }
            }
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
        let values = try file.texts(of: encoder.templates.fieldNames, at: local)
        switch encoder.templates {
        case .completion(let prompt, let completion):
            let count = prompt.fieldNames.count
            return (encoder.given(prompt, values[..<count]), completion.render(values[count...]))
        case .text(let text): return ("", text.render(values))
        case .labelled(let text, let label):
            let count = text.fieldNames.count
            return (encoder.given(text, values[..<count]), label.label(values[count...]) ?? "")
        }
    }

    /// Tokenizes example `index` ahead of its use; false where going on makes no sense.
    func prepare(_ index: Int) -> Bool {
        do {
            _ = try example(index)
            return state.withLock { !$0.cache.isFull }
        } catch {
            state.withLock { $0.failure = error }
            return false
        }
    }

    /// Throws what tokenizing ahead has met, so that a broken record stops a run early.
    func throwFailure() throws { if let failure = state.withLock({ $0.failure }) { throw failure } }
}

extension Dataset.Counts {
    mutating func add(_ outcome: ExampleEncoder.Outcome) {
        tokenized += 1
        switch outcome {
        case .dropped: dropped += 1
        case .example(let example, let isTruncated):
            if isTruncated { truncated += 1 }
            tokens += example.tokens.count
            targetTokens += example.targetCount
        }
    }
}
