import Batches
import TestSupport
import Testing

@Suite("A batch of records that begin alike") struct SharedBeginningsTests {
    private let ignored = TokenBatch.ignored

    /// The rows of each example, put together again.
    private func whole(_ batch: TokenBatch, last count: Int) -> [[Int32]] {
        let chains = batch.chains ?? (0..<batch.sequenceCount).map { [$0] }
        return chains.suffix(count).map { $0.flatMap { batch.tokens[batch.offsets[$0]..<batch.offsets[$0 + 1]] } }
    }

    @Test("has their beginnings once, in front of all, as a tree") func tree() {
        let batch = TokenBatch(
            sharing: [
                Example(tokens: [1, 2, 3, 4, 5, 6], firstTarget: 5), Example(tokens: [7, 8], firstTarget: 1),
                Example(tokens: [1, 2, 3, 9, 5, 6], firstTarget: 5),
                Example(tokens: [1, 2, 3, 4, 8, 7], firstTarget: 5),
            ], .init(rows: 1, savedRows: 1))
        #expect(batch.tokens == [1, 2, 3] + [4] + [5] + [7] + [9, 5] + [8])
        #expect(batch.positions == [0, 1, 2] + [3] + [4] + [0] + [3, 4] + [4])
        #expect(batch.offsets == [0, 3, 4, 5, 6, 8, 9])
        #expect(batch.labels == [ignored, ignored, ignored, ignored, 6, 8, ignored, 6, 7])
        #expect(batch.parents == [nil, 0, 1, nil, 0, 1])
        #expect(batch.chains == [[0], [0, 1], [0, 1, 2], [3], [0, 4], [0, 1, 5]])
        #expect(batch.counts == [3, 3, 3, 2, 1, 1, 1, 1, 1])
        #expect(batch.savedCount == 7 && batch.tokenCount == 16 && batch.computedCount == 9)
        #expect(whole(batch, last: 4) == [[1, 2, 3, 4, 5], [7], [1, 2, 3, 9, 5], [1, 2, 3, 4, 8]])
    }

    @Test("shares what is learned as long as all learn the same, and counts it for each") func learned() {
        let given: [Int32] = [1, 2, 3, 4, 5, 6, 7, 8]
        let examples = [
            Example(tokens: given + [20, 21, 22], firstTarget: 8),
            Example(tokens: given + [20, 21, 23], firstTarget: 8),
        ]
        let batch = TokenBatch(sharing: examples)
        #expect(batch.offsets == [0, 9, 10, 11] && batch.parents == [nil, 0, 0])
        #expect(batch.labels == Array(repeating: ignored, count: 7) + [20, 21, 22, 23])
        #expect(batch.counts == [2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1] && batch.labelCount == 6)
        // The same tokens, of which one record learns more.
        let other = Example(tokens: given + [20, 21, 22], targets: [2..<3, 8..<11])
        #expect(TokenBatch(sharing: [examples[0], other]) == TokenBatch([examples[0], other]))
        // The last row of each is its own, though all be equal.
        let twice = TokenBatch(sharing: [examples[0], examples[0]])
        #expect(twice.offsets == [0, 9, 10, 11] && twice.labelCount == 6)
    }

    @Test("leaves to each what isn't worth a sequence, and in order what has a label as a whole") func limits() {
        let given: [Int32] = [1, 2, 3, 4, 5, 6, 7]
        let short = [
            Example(tokens: given + [20, 21], firstTarget: 8), Example(tokens: given + [22, 21], firstTarget: 8),
            Example(tokens: [4], label: .category(1)),
        ]
        #expect(TokenBatch(sharing: short) == TokenBatch(short))
        #expect(TokenBatch(sharing: []) == TokenBatch([]))
        let marked = (0..<20).map { Example(tokens: [99, $0, 1], firstTarget: 1) }
        #expect(TokenBatch(sharing: marked) == TokenBatch(marked))
        let long = [
            Example(tokens: given + [8, 3], label: .value(1.5)), Example(tokens: [5], label: .value(0.5)),
            Example(tokens: given + [8, 4], label: .value(2.5)),
        ]
        let batch = TokenBatch(sharing: long)
        #expect(batch.parents == [nil, 0, nil, 0] && batch.offsets == [0, 8, 9, 10, 11])
        #expect(batch.values == [1.5, 0.5, 2.5] && batch.labelCount == 3)
        let pairs = (0..<9).map { Example(tokens: [99, 98, $0, 1], firstTarget: 2) }
        #expect(TokenBatch(sharing: pairs).savedCount == 0)
        let more = (0..<9).map { Example(tokens: [99, 98, 97, $0, 1], firstTarget: 3) }
        #expect(TokenBatch(sharing: more).savedCount == 16)
    }

    @Test("has as few rows as any one-by-one look at beginnings finds, whatever the examples") func random() {
        var numbers = noise(20_000, seed: 8)[...]
        func next(_ range: Range<Int>) -> Int {
            range.lowerBound + Int((numbers.removeFirst() + 1) / 2 * Float(range.count)) % range.count
        }
        for round in 0..<200 {
            let count = next(1..<13)
            let examples = (0..<count).map { _ in
                let tokens = (0..<next(2..<10)).map { _ in Int32(next(0..<2)) }
                return Example(tokens: tokens, firstTarget: next(1..<tokens.count))
            }
            let plain = TokenBatch(examples)
            let batch = TokenBatch(sharing: examples, .init(rows: 1, savedRows: 1))
            #expect(whole(batch, last: count) == whole(plain, last: count))
            #expect(batch.tokenCount == plain.tokenCount && batch.labelCount == plain.labelCount)
            // A row but a last one is there once for each text and its labels that lead to it.
            let rows = Set(
                examples.indices.flatMap { example in
                    let start = plain.offsets[example]
                    return (start..<plain.offsets[example + 1] - 1).map { row in
                        [plain.tokens[start...row], plain.labels[start...row]].map(Array.init)
                    }
                })
            #expect(batch.rowCount == rows.count + count, "round \(round)")
            for limits in [(2, 1), (3, 6), (1, 8)] {
                let batch = TokenBatch(sharing: examples, .init(rows: limits.0, savedRows: limits.1))
                #expect(whole(batch, last: count) == whole(plain, last: count))
                #expect(batch.labelCount == plain.labelCount)
                for sequence in 0..<batch.sequenceCount - count {
                    let length = batch.offsets[sequence + 1] - batch.offsets[sequence]
                    let others = batch.counts[batch.offsets[sequence]] - 1
                    #expect(length >= limits.0 && length * others >= limits.1)
                }
            }
        }
    }
}
