import Layers
import Tensors
import TestSupport
import Testing

@Suite("A key/value cache") struct KeyValueCacheTests {
    static let heads = AttentionHeads(count: 4, keyValueCount: 2, size: 4)

    /// Packed queries, keys and values of one sequence.
    private func sequence(_ count: Int, seed: UInt64) -> [[Float]] {
        let width = Self.heads.packedWidth
        let values = noise(count * width, seed: seed)
        return (0..<count).map { Array(values[$0 * width..<($0 + 1) * width]) }
    }

    private func packed(_ rows: [[Float]]) -> Tensor {
        Tensor(rows.flatMap { $0 }, shape: [rows.count, Self.heads.packedWidth])
    }

    private func expectRows(_ found: [Float], _ sequence: [[Float]], rows: Range<Int>, scale: Float = 0.5) {
        let width = Self.heads.outputWidth
        let all = attention(
            .packed(packed(sequence)), offsets: [0, sequence.count], heads: Self.heads, scale: scale, isCausal: true,
            dropout: nil
        ).values
        let expected = all[rows.lowerBound * width..<rows.upperBound * width]
        #expect(largestDifference(found.map(Double.init), expected.map(Double.init)) <= 1e-6)
    }

    @Test("gives the attention of whole sequences, whatever came in one pass, and in every layer its own")
    func passes() {
        let (first, second) = (
            [sequence(5, seed: 1), sequence(7, seed: 2)], [sequence(5, seed: 3), sequence(7, seed: 4)]
        )
        let cache = KeyValueCache(layerCount: 2, sequences: 2, capacity: 7, width: 8)
        let width = Self.heads.outputWidth
        var start = [0, 0]
        for lengths in [[3, 1], [1, 4], [1, 2]] {
            let ranges = [start[0]..<start[0] + lengths[0], start[1]..<start[1] + lengths[1]]
            for (layer, sequences) in [first, second].enumerated() {
                #expect(cache.lengths == start)
                let y = cache.attend(
                    .packed(packed(Array(sequences[0][ranges[0]]) + Array(sequences[1][ranges[1]]))), layer: layer,
                    offsets: [0, lengths[0], lengths[0] + lengths[1]], heads: Self.heads, scale: 0.5)
                expectRows(Array(y.values.prefix(lengths[0] * width)), sequences[0], rows: ranges[0])
                expectRows(Array(y.values.dropFirst(lengths[0] * width)), sequences[1], rows: ranges[1])
            }
            start = [start[0] + lengths[0], start[1] + lengths[1]]
        }
        #expect(cache.lengths == [5, 7])
    }

    @Test("makes room as it is needed, and begins small however much it may hold")
    func growth() {
        let whole = sequence(600, seed: 9)
        let cache = KeyValueCache(layerCount: 1, sequences: 1, capacity: 1 << 40, width: 8)
        for rows in [0..<200, 200..<257, 257..<258, 258..<600] {
            let y = cache.attend(
                .packed(packed(Array(whole[rows]))), layer: 0, offsets: [0, rows.count], heads: Self.heads, scale: 0.5)
            expectRows(y.values.map { $0 }, whole, rows: rows)
        }
        #expect(cache.lengths == [600])
    }

    @Test("begins with keys and values that are in front of every sequence")
    func prefix() {
        let sequences = [sequence(4, seed: 1), sequence(2, seed: 2)]
        let prefixes = (0..<2).map { layer in
            KeyValuePrefix(
                keys: Tensor(noise(3 * 8, seed: UInt64(5 + layer)), shape: [3, 8]),
                values: Tensor(noise(3 * 8, seed: UInt64(7 + layer)), shape: [3, 8]))
        }
        let cache = KeyValueCache(layerCount: 2, sequences: 2, capacity: 7, width: 8)
        cache.begin(with: prefixes)
        #expect(cache.lengths == [3, 3])
        let whole = packed(sequences[0] + sequences[1])
        for (layer, prefix) in prefixes.enumerated() {
            let found = cache.attend(.packed(whole), layer: layer, offsets: [0, 4, 6], heads: Self.heads, scale: 0.5)
            let expected = attention(
                .packed(whole), prefix: prefix, offsets: [0, 4, 6], heads: Self.heads, scale: 0.5, isCausal: true,
                dropout: nil)
            #expect(largestDifference(found.values.map(Double.init), expected.values.map(Double.init)) <= 1e-6)
        }
        #expect(cache.lengths == [7, 5])
    }

    @Test("reorders its sequences, and copies one that is named twice")
    func reordering() {
        let sequences = [sequence(4, seed: 1), sequence(3, seed: 2)]
        let cache = KeyValueCache(layerCount: 1, sequences: 2, capacity: 5, width: 8)
        _ = cache.attend(
            .packed(packed(Array(sequences[0][..<3]) + Array(sequences[1][..<2]))), layer: 0, offsets: [0, 3, 5],
            heads: Self.heads, scale: 0.5)
        cache.keep([1, 0, 0])
        #expect(cache.lengths == [2, 3, 3])
        let other = sequence(4, seed: 3)[3]
        let y = cache.attend(
            .packed(packed([sequences[1][2], sequences[0][3], other])), layer: 0, offsets: [0, 1, 2, 3],
            heads: Self.heads, scale: 0.5)
        let width = Self.heads.outputWidth
        expectRows(Array(y.values[..<width]), sequences[1], rows: 2..<3)
        expectRows(Array(y.values[width..<2 * width]), sequences[0], rows: 3..<4)
        expectRows(Array(y.values[(2 * width)...]), sequences[0].dropLast() + [other], rows: 3..<4)
    }

    @Test("makes a sequence another by its last tokens, behind a beginning that they share")
    func copying() {
        let start = sequence(5, seed: 1)
        let (first, second) = (sequence(4, seed: 2), sequence(4, seed: 3))
        func attend(_ cache: KeyValueCache, _ rows: [[Float]], lengths: [Int]) -> [Float] {
            cache.attend(
                .packed(packed(rows)), layer: 0,
                offsets: lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }, heads: Self.heads, scale: 0.5
            ).values
        }
        let read = KeyValueCache(layerCount: 1, sequences: 1, capacity: 5, width: 8)
        _ = attend(read, start, lengths: [5])
        let cache = KeyValueCache(continuing: [read.beginning(of: 0)], capacities: [4])
        _ = attend(cache, [first[0]], lengths: [1])
        cache.keep([0, 0])
        _ = attend(cache, [first[1], second[1]], lengths: [1, 1])
        _ = attend(cache, [first[2], second[2]], lengths: [1, 1])
        cache.copy(0, to: 1, last: 2)
        #expect(cache.lengths == [8, 8])
        let width = Self.heads.outputWidth
        let y = attend(cache, [first[3], second[3]], lengths: [1, 1])
        expectRows(Array(y[..<width]), start + first, rows: 8..<9)
        expectRows(Array(y[width...]), start + Array(first[..<3]) + [second[3]], rows: 8..<9)
    }

    @Test("takes in the sequences of another, and lets some go")
    func joining() {
        let sequences = [sequence(3, seed: 1), sequence(4, seed: 2), sequence(2, seed: 3)]
        func filled(_ index: Int, capacity: Int) -> KeyValueCache {
            let cache = KeyValueCache(layerCount: 1, sequences: 1, capacity: capacity, width: 8)
            let rows = sequences[index].dropLast()
            _ = cache.attend(
                .packed(packed(Array(rows))), layer: 0, offsets: [0, rows.count], heads: Self.heads, scale: 0.5)
            return cache
        }
        let cache = filled(0, capacity: 3)
        let other = filled(1, capacity: 9)
        other.append(filled(2, capacity: 2))
        cache.append(other)
        #expect(cache.lengths == [2, 3, 1])
        #expect(other.count == 0)
        cache.keep([0, 2])
        #expect(cache.count == 2 && cache.lengths == [2, 1])
        let y = cache.attend(
            .packed(packed([sequences[0][2], sequences[2][1]])), layer: 0, offsets: [0, 1, 2], heads: Self.heads,
            scale: 0.5)
        expectRows(Array(y.values.prefix(16)), sequences[0], rows: 2..<3)
        expectRows(Array(y.values.dropFirst(16)), sequences[2], rows: 1..<2)
    }

    @Test(
        "goes on from what another sequence has so far, of which several share one copy, with the bits of a whole one")
    func beginnings() {
        let whole = sequence(40, seed: 1)
        let others = [sequence(3, seed: 2), sequence(9, seed: 3)]
        let first = KeyValueCache(layerCount: 1, sequences: 1, capacity: 40, width: 8)
        func attend(_ cache: KeyValueCache, _ rows: [[Float]], lengths: [Int]) -> [Float] {
            cache.attend(
                .packed(packed(rows)), layer: 0,
                offsets: lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) },
                heads: Self.heads, scale: 0.5
            ).values
        }
        let width = Self.heads.outputWidth
        first.read([40], behind: 0)
        let start = attend(first, Array(whole[..<30]), lengths: [30])
        let beginning = first.beginning(of: 0)
        #expect(beginning.count == 30 && beginning.prefix(17).count == 17 && beginning.prefix(0).count == 0)
        // What the sequence gets later is no part of it.
        let rest = attend(first, Array(whole[30...]), lengths: [10])
        #expect(
            start + rest
                == attend(KeyValueCache(layerCount: 1, sequences: 1, capacity: 40, width: 8), whole, lengths: [40]))

        let cache = KeyValueCache(continuing: [beginning, beginning.prefix(17)], capacities: [4, 10])
        #expect(cache.lengths == [30, 17])
        cache.read([33, 26], behind: 0)
        let found = attend(cache, others[0] + others[1], lengths: [3, 9])
        for (index, texts) in [Array(whole[..<30]) + others[0], Array(whole[..<17]) + others[1]].enumerated() {
            let alone = KeyValueCache(layerCount: 1, sequences: 1, capacity: 40, width: 8)
            let expected = attend(alone, texts, lengths: [texts.count]).suffix(others[index].count * width)
            #expect(Array(found[(index == 0 ? 0 : 3 * width)...].prefix(expected.count)) == Array(expected))
            // One new token, behind a beginning of two parts.
            let forked = KeyValueCache(continuing: [cache.beginning(of: index)], capacities: [1])
            #expect(attend(forked, [whole[39]], lengths: [1]) == attend(alone, [whole[39]], lengths: [1]))
        }
        cache.keep([1, 0, 0])
        let last = attend(cache, [whole[3], whole[4], whole[5]], lengths: [1, 1, 1])
        #expect(last.count == 3 * width && cache.lengths == [27, 34, 34])
        expectRows(Array(last.suffix(width)), Array(whole[..<30]) + others[0] + [whole[5]], rows: 33..<34)
    }
}
