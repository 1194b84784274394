import Diagnostics

/// y = f(gate) ∘ x, element by element: the inside of a gated feed-forward layer (Shazeer 2020, "GLU Variants Improve
/// Transformer", equation 6). `gate` and `x` have one shape.
///
/// f(gate) isn't kept: the way back computes it again, for both gradients at once.
public func gatedProduct(_ gate: Tensor, _ x: Tensor, activation kind: Activation) -> Tensor {
    require(gate.shape == x.shape, "gatedProduct: gate \(gate.shape), x \(x.shape)")
    let y = Tensor(uninitialized: x.shape)
    inPieces(x.count) { start, count, scratch in
        activationForward(gate.data + start, scratch, count: count, kind)
        multiply(scratch, x.data + start, into: y.data + start, count: count)
    }
    let both = SharedGradient { dy in
        let (dg, dx) = (Tensor(uninitialized: dy.shape), Tensor(uninitialized: dy.shape))
        inPieces(dy.count) { start, count, scratch in
            gatedGradients(
                gate.data + start, x.data + start, dy: dy.data + start, dg: dg.data + start, dx: dx.data + start,
                scratch, count: count, kind)
        }
        return (dg, dx)
    }
    return y.record([
        pullback(for: gate) { dy, gradient in gradient.add(both(dy).0) },
        pullback(for: x) { dy, gradient in gradient.add(both(dy).1) },
    ])
}

/// df(gate) = dy ∘ x ∘ f′(gate) and dx = dy ∘ f(gate) in one go, since both need the exponential of the gate.
private func gatedGradients(
    _ gate: UnsafePointer<Float>, _ x: UnsafePointer<Float>, dy: UnsafePointer<Float>,
    dg: UnsafeMutablePointer<Float>, dx: UnsafeMutablePointer<Float>, _ scratch: UnsafeMutablePointer<Float>,
    count: Int, _ kind: Activation
) {
    let whole = kind == .silu ? count & ~7 : 0
    var i = 0
    while i < whole {
        let (g, d) = (gate.lanes(i), dy.lanes(i))
        let s = sigmoid(g)
        let f = g * s
        dx.setLanes(i, d * f)
        var slope = s
        slope.addProduct(f, 1 - s)
        dg.setLanes(i, d * x.lanes(i) * slope)
        i += 8
    }
    let rest = count - whole
    if rest == 0 { return }
    activationForward(gate + whole, scratch, count: rest, kind)
    multiply(scratch, dy + whole, into: dx + whole, count: rest)
    multiply(dy + whole, x + whole, into: scratch, count: rest)
    activationBackward(gate + whole, dy: scratch, dx: dg + whole, count: rest, kind, adding: false)
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

/// y = a ∘ b; `y` may be one of the two.
@inline(__always) private func multiply(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int
) {
    var i = 0
    while i + 8 <= count {
        y.setLanes(i, a.lanes(i) * b.lanes(i))
        i += 8
    }
    while i < count {
        y[i] = a[i] * b[i]
        i += 1
    }
}
