import Diagnostics

/// Random numbers from U(−magnitude, magnitude), one for each element, from a counter-based generator: the same key gives
/// the same ones.
public struct EmbeddingNoise: Sendable, Hashable {
    public let magnitude: Float
    /// Names the choice; derived from the seed, the step and the place in the model.
    public let key: UInt64

    public init(magnitude: Float, key: UInt64) {
        require(magnitude >= 0 && magnitude.isFinite, "EmbeddingNoise: a magnitude of \(magnitude)")
        self.magnitude = magnitude
        self.key = key
    }

    /// Those of the eight elements from `index` on.
    @inline(__always) func lanes(_ index: Int) -> Lanes {
        // Random bits behind the point of a number from 1 to 2; conversions aren't vectorised.
        let bits = (randomBits(index, key: key) &>> 9) | 0x3F80_0000
        return (unsafeBitCast(bits, to: Lanes.self) - 1.5) * (2 * magnitude)
    }
}

/// y = x + noise in the rows of tokens from 0 on, x [tokens, width]; rows of virtual tokens, which are below 0, stay as they
/// are.
public func addNoise(_ x: Tensor, _ noise: EmbeddingNoise, tokens: [Int32]) -> Tensor {
    let width = x.columnCount
    require(x.rowCount == tokens.count, "addNoise: \(x.shape) for \(tokens.count) tokens")
    let y = Tensor(uninitialized: x.shape)
    WorkerPool.shared.run(over: tokens.count, grain: max(1, elementGrain / max(1, width))) { range in
        for row in range {
            let start = row * width
            guard tokens[row] >= 0 else {
                (y.data + start).update(from: x.data + start, count: width)
                continue
            }
            var j = 0
            while j + 8 <= width {
                y.data.setLanes(start + j, x.data.lanes(start + j) + noise.lanes(start + j))
                j += 8
            }
            let last = noise.lanes(start + j)
            for k in j..<width { y.data[start + k] = x.data[start + k] + last[k - j] }
        }
    }
    return y.record([pullback(for: x) { dy, dx in dx.add(dy) }])
}
