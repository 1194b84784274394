import Diagnostics

/// What an encoder reads for the sequences of a batch: one source after the other, without padding.
public struct SourceRows: Sendable, Hashable {
    /// The token of each row, [rows]; `TokenBatch.virtualToken(k)` for the virtual token k.
    public var tokens: [Int32]
    /// The row where each source starts, and as last element the number of rows, [sources + 1].
    public var offsets: [Int]
    /// The source of each of the batch's sequences, [sequences]; several may have the same one.
    public var indices: [Int]

    public init(tokens: [Int32], offsets: [Int], indices: [Int]) {
        require(
            offsets.first == 0 && offsets.last == tokens.count
                && zip(offsets, offsets.dropFirst()).allSatisfy { $0 <= $1 }
                && indices.allSatisfy { $0 >= 0 && $0 < offsets.count - 1 },
            "SourceRows: offsets \(offsets) of \(tokens.count) rows, sources \(indices)")
        self.tokens = tokens
        self.offsets = offsets
        self.indices = indices
    }

    /// The sources of as many sequences, equal ones once.
    public init(_ sources: [[Int32]]) {
        var (tokens, offsets, indices): ([Int32], [Int], [Int]) = ([], [0], [])
        var known: [[Int32]: Int] = [:]
        for source in sources {
            let index = known[source] ?? offsets.count - 1
            if known.updateValue(index, forKey: source) == nil {
                tokens += source
                offsets.append(tokens.count)
            }
            indices.append(index)
        }
        self.init(tokens: tokens, offsets: offsets, indices: indices)
    }

    public var sourceCount: Int { offsets.count - 1 }

    /// The tokens of all sources, those of each as often as it is read.
    public var readCount: Int { indices.reduce(0) { $0 + offsets[$1 + 1] - offsets[$1] } }

    /// Whether each sequence has a source of its own, in their order.
    public var isOneToOne: Bool { indices.count == sourceCount && indices.indices.allSatisfy { indices[$0] == $0 } }

    /// For each sequence its source in a list; nil where each has its own.
    public var chains: [[Int]]? { isOneToOne ? nil : indices.map { [$0] } }

    /// The same with a source for each sequence, equal ones as often as they are read.
    public var repeated: SourceRows {
        isOneToOne ? self : laid(indices, indices: Array(indices.indices), prefix: [])
    }

    /// The same with the first `count` virtual tokens in front of each source.
    public func prepending(virtualTokens count: Int) -> SourceRows {
        count == 0
            ? self : laid(0..<sourceCount, indices: indices, prefix: (0..<count).map(TokenBatch.virtualToken))
    }

    /// Some of the sources one after the other, each behind `prefix`.
    private func laid(_ sources: some Sequence<Int>, indices: [Int], prefix: [Int32]) -> SourceRows {
        var (tokens, offsets): ([Int32], [Int]) = ([], [0])
        for source in sources {
            tokens += prefix + self.tokens[self.offsets[source]..<self.offsets[source + 1]]
            offsets.append(tokens.count)
        }
        return SourceRows(tokens: tokens, offsets: offsets, indices: indices)
    }
}
