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
                rows: i * new..<(i + 1) * new, keys: caches[i].keys.data, values: caches[i].values.data,
                length: lengths[i])
        }
        let found = attendCached(queries, sequences: sequences, heads: heads, scale: 0.4, window: window, bias: bias)
        withExtendedLifetime(caches) {}
        let expected = ranges.flatMap {
            whole.values[($0.upperBound - new) * heads.outputWidth..<$0.upperBound * heads.outputWidth]
        }
        #expect(largestDifference(found.values.map(Double.init), expected.map(Double.init)) < 2e-6)
    }
}
