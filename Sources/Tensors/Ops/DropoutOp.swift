/// y = x ∘ factors, where the factors of `d` are 0 or 1 / (1 − p).
public func dropout(_ x: Tensor, _ d: Dropout) -> Tensor {
    let y = Tensor(uninitialized: x.shape)
    dropoutBackward(x.data, y.data, count: x.count, dropout: d, adding: false)
    return y.record([
        pullback(for: x) { dy, dx in
            let (target, isFresh) = dx.accumulator(shape: dy.shape)
            dropoutBackward(dy.data, target.data, count: dy.count, dropout: d, adding: !isFresh)
        }
    ])
}
