import Tensors
import TestSupport
import Testing

struct CachedAttentionTests {
    static let layouts = [
        AttentionHeads(count: 2, keyValueCount: 2, size: 8), AttentionHeads(count: 4, keyValueCount: 2, size: 5),
        AttentionHeads(count: 3, keyValueCount: 1, size: 64), AttentionHeads(count: 1, keyValueCount: 1, size: 44),
    ]

    @Test("the last tokens attend as they do in the whole sequence", arguments: layouts, [1, 2, 5, 6, 40])
    func matchesWhole(heads: AttentionHeads, new: Int) {
        for window in [nil, 1, 13, 60] {
            matchesWhole(heads, new: new, window: window, bias: nil)
            let table = Tensor(noise(heads.count * 250, seed: 9, scale: 2), shape: [heads.count, 250])
            matchesWhole(heads, new: new, window: window, bias: AttentionBias(table: table, origin: 120))
        }
    }

    @Test(
        "a token has the same bits wherever a text is cut into passes, and its keys and values into parts",
        arguments: layouts, [nil, 7, 150])
    func cuts(heads: AttentionHeads, window: Int?) {
        let (count, width) = (300, heads.keyValueWidth)
        let queries = Tensor(noise(count * heads.outputWidth, scale: 2), shape: [count, heads.outputWidth])
        let keys = Tensor(noise(count * width, seed: 2), shape: [count, width])
        let values = Tensor(noise(count * width, seed: 3), shape: [count, width])
        let table = Tensor(noise(heads.count * 700, seed: 9, scale: 2), shape: [heads.count, 700])
        func attend(_ rows: Range<Int>, parts cuts: [Int], read: Int) -> [UInt32] {
            let own = Tensor(
                Array(queries.values[rows.lowerBound * heads.outputWidth..<rows.upperBound * heads.outputWidth]),
                shape: [rows.count, heads.outputWidth])
            let edges = [0] + cuts.filter { $0 < rows.upperBound } + [rows.upperBound]
            let parts = zip(edges, edges.dropFirst()).map {
                KeyValueRows(keys: keys.data + $0 * width, values: values.data + $0 * width, count: $1 - $0)
            }
            let sequence = CachedSequence(rows: 0..<rows.count, parts: parts, readCount: read)
            return withExtendedLifetime((keys, values)) {
                attendCached(
                    own, sequences: [sequence], heads: heads, scale: 0.3, window: window,
                    bias: AttentionBias(table: table, origin: 350)
                ).values.map(\.bitPattern)
            }
        }
        let whole = attend(0..<count, parts: [], read: count)
        for cuts in [[1], [128, 256], [3, 130, 131, 299], [64, 200]] {
            let edges = [0] + cuts + [count]
            let pieces = zip(edges, edges.dropFirst()).map { $0..<$1 }
            #expect(pieces.flatMap { attend($0, parts: [], read: count) } == whole, "cut at \(cuts)")
            #expect(pieces.flatMap { attend($0, parts: cuts, read: count) } == whole, "cut at \(cuts), in parts")
        }
        // New tokens one by one, straight from the parts.
        for row in [0, 5, 140, 299] {
            #expect(attend(row..<row + 1, parts: [], read: 1) == attend(row..<row + 1, parts: [2, 130], read: 1))
        }
    }

    private func matchesWhole(_ heads: AttentionHeads, new: Int, window: Int?, bias: AttentionBias?) {
        let lengths = [new, new + 3, new + 70]
        let offsets = lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
        let qkv = Tensor(noise(offsets[3] * heads.packedWidth, scale: 2), shape: [offsets[3], heads.packedWidth])
        let whole = attention(
            .packed(qkv), offsets: offsets, heads: heads, scale: 0.4, isCausal: true, window: window,
            bias: bias, dropout: nil)

        let (width, cached) = (heads.packedWidth, heads.keyValueCount * heads.size)
        func columns(_ start: Int, _ count: Int, rows: Range<Int>) -> Tensor {
            Tensor(
                rows.flatMap { qkv.values[$0 * width + start..<$0 * width + start + count] },
                shape: [rows.count, count])
        }
        let ranges = zip(offsets, offsets.dropFirst()).map { $0..<$1 }
        let caches = ranges.map { rows in
            (
                keys: columns(heads.outputWidth, cached, rows: rows),
                values: columns(heads.outputWidth + cached, cached, rows: rows)
            )
        }
        let queries = Tensor(
            ranges.flatMap { columns(0, width, rows: $0.upperBound - new..<$0.upperBound).values },
            shape: [3 * new, width])
        let sequences = (0..<3).map { i in
            CachedSequence(
                rows: i * new..<(i + 1) * new,
                parts: [.init(keys: caches[i].keys.data, values: caches[i].values.data, count: lengths[i])],
                readCount: new)
        }
        let found = attendCached(queries, sequences: sequences, heads: heads, scale: 0.4, window: window, bias: bias)
        withExtendedLifetime(caches) {}
        let expected = ranges.flatMap {
            whole.values[($0.upperBound - new) * heads.outputWidth..<$0.upperBound * heads.outputWidth]
        }
        #expect(largestDifference(found.values.map(Double.init), expected.map(Double.init)) < 2e-6)
    }
}
