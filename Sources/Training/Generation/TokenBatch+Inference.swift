package import Batches
import Tensors

extension TokenBatch {
    /// New tokens of several sequences, each from a position on, nothing to be predicted.
    package init(newTokens: [[Int32]], positions starts: [Int]) {
        var positions: [Int32] = []
        var offsets = [0]
        for (tokens, start) in zip(newTokens, starts) {
            positions += tokens.indices.map { Int32(start + $0) }
            offsets.append(positions.count)
        }
        self.init(
            tokens: newTokens.flatMap { $0 }, positions: positions, offsets: offsets,
            labels: Array(repeating: Self.ignored, count: positions.count))
    }

    /// Examples without the first tokens of each, so many as `counts` says, which a cache has.
    init(_ examples: [Example], behind counts: [Int]) {
        let whole = TokenBatch(examples)
        let rows = counts.indices.flatMap { whole.offsets[$0] + counts[$0]..<whole.offsets[$0 + 1] }
        let lengths = counts.indices.map { whole.offsets[$0 + 1] - whole.offsets[$0] - counts[$0] }
        self.init(
            tokens: rows.map { whole.tokens[$0] }, positions: rows.map { whole.positions[$0] },
            offsets: lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) },
            labels: rows.map { whole.labels[$0] })
    }
}

extension Tensor {
    /// Row `index`; valid while the tensor lives.
    func row(_ index: Int) -> UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(start: data + index * columnCount, count: columnCount)
    }
}
