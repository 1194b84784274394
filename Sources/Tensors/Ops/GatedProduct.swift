import Diagnostics

/// y = f(gate) ∘ x, element by element: the inside of a gated feed-forward layer (Shazeer 2020, "GLU Variants Improve
/// Transformer", equation 6). `gate` and `x` have one shape.
///
/// f(gate) isn't kept: the way back computes it again while a piece of the operands is in cache.
public func gatedProduct(_ gate: Tensor, _ x: Tensor, activation kind: Activation) -> Tensor {
    require(gate.shape == x.shape, "gatedProduct: gate \(gate.shape), x \(x.shape)")
    let y = Tensor(uninitialized: x.shape)
    inPieces(x.count) { start, count, scratch in
        activationForward(gate.data + start, scratch, count: count, kind)
        multiply(scratch, x.data + start, into: y.data + start, count: count, adding: false)
    }
    return y.record([
        pullback(for: gate) { dy, dg in
            let (target, isFresh) = dg.accumulator(shape: dy.shape)
            inPieces(dy.count) { start, count, scratch in
                multiply(dy.data + start, x.data + start, into: scratch, count: count, adding: false)
                activationBackward(
                    gate.data + start, dy: scratch, dx: target.data + start, count: count, kind, adding: !isFresh)
            }
        },
        pullback(for: x) { dy, dx in
            let (target, isFresh) = dx.accumulator(shape: dy.shape)
            inPieces(dy.count) { start, count, scratch in
                activationForward(gate.data + start, scratch, count: count, kind)
                multiply(scratch, dy.data + start, into: target.data + start, count: count, adding: !isFresh)
            }
        },
    ])
}

/// Elements of a piece: with two operands and the result it stays in the first cache.
private let pieceCount = 2048

/// Calls `body` for pieces of `count` elements on all threads, with memory for one piece.
private func inPieces(
    _ count: Int, _ body: (_ start: Int, _ count: Int, _ scratch: UnsafeMutablePointer<Float>) -> Void
) {
    WorkerPool.shared.run(over: count, grain: elementGrain) { range in
        withUnsafeTemporaryAllocation(of: Float.self, capacity: pieceCount) { scratch in
            guard let base = scratch.baseAddress else { return }
            for start in stride(from: range.lowerBound, to: range.upperBound, by: pieceCount) {
                body(start, min(pieceCount, range.upperBound - start), base)
            }
        }
    }
}

/// y = a ∘ b, added to what `y` holds where `adding`; `y` may be one of the two.
@inline(__always) private func multiply(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int, adding: Bool
) {
    var i = 0
    while i + 8 <= count {
        let value = a.lanes(i) * b.lanes(i)
        y.setLanes(i, adding ? y.lanes(i) + value : value)
        i += 8
    }
    while i < count {
        y[i] = (adding ? y[i] : 0) + a[i] * b[i]
        i += 1
    }
}
