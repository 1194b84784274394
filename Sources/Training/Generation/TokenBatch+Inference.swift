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
}

extension Tensor {
    /// Row `index`; valid while the tensor lives.
    func row(_ index: Int) -> UnsafeBufferPointer<Float> {
        UnsafeBufferPointer(start: data + index * columnCount, count: columnCount)
    }
}
