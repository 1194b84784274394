import Diagnostics

/// Several token sequences laid one after the other, without padding.
///
/// Row i of every per-row array speaks of the same token. A row's label is the token that the model must predict
/// *from* this row (the next one of its sequence), so labels are already shifted; `TokenBatch.ignored` where no loss
/// is taken. The last token of a sequence predicts nothing and need not be a row at all. Where sequences are classified
/// the label is the class, at the last row of each.
public struct TokenBatch: Sendable, Hashable {
    /// A label that takes no part in the loss.
    public static let ignored: Int32 = -1

    /// How the virtual token k stands among tokens: a row that no vocabulary has, but a prompt that was learned.
    public static func virtualToken(_ index: Int) -> Int32 { -1 - Int32(index) }

    /// The token of each row, [rows]; `virtualToken(k)` for the virtual token k.
    public var tokens: [Int32]
    /// The position of each row within its sequence, [rows]; an index into the position embedding.
    public var positions: [Int32]
    /// The row where each sequence starts, and as last element the number of rows, [sequences + 1].
    public var offsets: [Int]
    /// What each row must predict, or `ignored`, [rows].
    public var labels: [Int32]
    /// What a model of numbers must predict at each labelled row, in their order; empty for all others.
    public var values: [Float] = []
    /// The tokens of the longest sequence, last ones that are no rows among them and virtual ones in front not, where more
    /// of it is known than its rows.
    public var wholeLength: Int?
    /// What an encoder reads for the sequences; nil where there is none.
    public var source: SourceRows?
    /// For each sequence the one before it that it goes on from, whose rows it has in front of its own, and so on; empty
    /// where each stands alone, [sequences].
    public private(set) var parents: [Int?] = []
    /// For each sequence those that it goes on from, the first one first, and itself; nil where each stands alone. Every
    /// block of a model reads them.
    public private(set) var chains: [[Int]]?
    /// For each row how many sequences have it, and what it must predict; empty where each is that of one, [rows].
    public var counts: [Int] = []
    /// How many more rows there would be if each sequence had all of its rows itself.
    public var savedCount = 0

    public init(tokens: [Int32], positions: [Int32], offsets: [Int], labels: [Int32]) {
        require(tokens.count == positions.count && tokens.count == labels.count, "TokenBatch: uneven rows")
        require(
            offsets.first == 0 && offsets.last == tokens.count
                && zip(offsets, offsets.dropFirst()).allSatisfy { $0 <= $1 },
            "TokenBatch: offsets \(offsets) of \(tokens.count) rows")
        self.tokens = tokens
        self.positions = positions
        self.offsets = offsets
        self.labels = labels
    }

    /// Whole sequences one after the other, without labels.
    public init(sequences: [[Int32]]) {
        self.init(
            tokens: sequences.flatMap { $0 }, positions: sequences.flatMap { $0.indices.map(Int32.init) },
            offsets: sequences.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.count) },
            labels: sequences.flatMap { $0.map { _ in Self.ignored } })
    }

    public var rowCount: Int { tokens.count }
    /// The tokens of the longest sequence, as far as is known.
    public var longest: Int { wholeLength ?? zip(offsets, offsets.dropFirst()).reduce(0) { max($0, $1.1 - $1.0) } }
    /// The tokens that a pass is about, those of the sources too; what several sequences have in common counts for each.
    public var tokenCount: Int { tokens.count + savedCount + (source?.readCount ?? 0) }
    /// Those of them that are computed.
    public var computedCount: Int { tokens.count + (source?.tokens.count ?? 0) }
    public var sequenceCount: Int { offsets.count - 1 }
    /// The rows that have a label, in ascending order.
    public var labelledRows: [Int] { labels.indices.filter { labels[$0] != Self.ignored } }
    /// The number of rows that have a label, those of several sequences once for each.
    public var labelCount: Int {
        if counts.isEmpty { return labels.lazy.filter { $0 != Self.ignored }.count }
        return zip(labels, counts).reduce(0) { $0 + ($1.0 == Self.ignored ? 0 : $1.1) }
    }

    /// Makes each sequence go on from its parent.
    mutating func connect(_ parents: [Int?]) {
        self.parents = parents
        if parents.isEmpty {
            chains = nil
            return
        }
        require(parents.count == sequenceCount, "TokenBatch: \(parents.count) parents of \(sequenceCount) sequences")
        chains = parents.indices.reduce(into: [[Int]]()) { chains, sequence in
            let parent = parents[sequence]
            require(
                parent.map { $0 >= 0 && $0 < sequence } ?? true,
                "TokenBatch: sequence \(sequence) goes on from \(parent ?? 0)")
            chains.append((parent.map { chains[$0] } ?? []) + [sequence])
        }
    }
}
