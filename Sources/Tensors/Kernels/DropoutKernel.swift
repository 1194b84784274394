/// y ← x ∘ factors, added to what y holds where `adding`; `index` is the number of x's first element in the choice.
@inline(__always)
func applyDropout(
    _ dropout: Dropout, index: Int, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, count: Int,
    adding: Bool
) {
    var i = 0
    while i + 8 <= count {
        let value = x.lanes(i) * dropout.factors(index + i)
        y.setLanes(i, adding ? y.lanes(i) + value : value)
        i += 8
    }
    while i < count {
        let value = x[i] * dropout.factor(index + i)
        y[i] = adding ? y[i] + value : value
        i += 1
    }
}
