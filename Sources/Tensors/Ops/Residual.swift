import Diagnostics

/// y = h + f, where f is first thinned out by `dropout`.
///
/// The residual stream's gradient passes through unchanged, so both directions cost one pass over f at most.
public func addResidual(_ h: Tensor, _ f: Tensor, dropout: Dropout?) -> Tensor {
    require(h.shape == f.shape, "addResidual: shapes \(h.shape) and \(f.shape)")
    let y = Tensor(uninitialized: h.shape)
    residualForward(h.data, f.data, y.data, count: y.count, dropout: dropout)
    return y.record([
        pullback(for: h, { dy, dh in dh.add(dy) }),
        pullback(for: f) { dy, df in
            guard let dropout else { return df.add(dy) }
            let (target, isFresh) = df.accumulator(shape: dy.shape)
            dropoutBackward(dy.data, target.data, count: dy.count, dropout: dropout, adding: !isFresh)
        },
    ])
}

/// y = h + f ∘ factors.
private func residualForward(
    _ h: UnsafePointer<Float>, _ f: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, count: Int,
    dropout: Dropout?
) {
    WorkerPool.shared.run(over: count, grain: elementGrain) { range in
        var i = range.lowerBound
        while i + 8 <= range.upperBound {
            var value = f.lanes(i)
            if let dropout { value *= dropout.factors(i) }
            y.setLanes(i, h.lanes(i) + value)
            i += 8
        }
        while i < range.upperBound {
            y[i] = h[i] + (dropout.map { f[i] * $0.factor(i) } ?? f[i])
            i += 1
        }
    }
}

/// dx = dy ∘ factors, added to what `dx` holds where `adding`.
func dropoutBackward(
    _ dy: UnsafePointer<Float>, _ dx: UnsafeMutablePointer<Float>, count: Int, dropout: Dropout, adding: Bool
) {
    WorkerPool.shared.run(over: count, grain: elementGrain) { range in
        let start = range.lowerBound
        applyDropout(dropout, index: start, dy + start, dx + start, count: range.count, adding: adding)
    }
}
