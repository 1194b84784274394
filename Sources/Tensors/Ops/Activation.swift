import CVectors

/// The activation functions, by the names that model configurations use.
public enum Activation: String, CaseIterable, Sendable {
    /// GELU with the tanh approximation, x · σ(2u), u = √(2/π) (x + 0.044715 x³).
    case geluNew = "gelu_new"
    /// The exact GELU, x · Φ(x).
    case gelu
    /// The same function as `geluNew`.
    case geluPytorchTanh = "gelu_pytorch_tanh"
    /// max(x, 0), with derivative 0 at 0.
    case relu
    /// x · σ(x).
    case silu
}

/// y = f(x), element by element.
public func activate(_ x: Tensor, _ kind: Activation) -> Tensor {
    let y = Tensor(uninitialized: x.shape)
    WorkerPool.shared.run(over: x.count, grain: elementGrain) { range in
        activationForward(x.data + range.lowerBound, y.data + range.lowerBound, count: range.count, kind)
    }
    return y.record([
        pullback(for: x) { dy, dx in
            let (target, isFresh) = dx.accumulator(shape: dy.shape)
            WorkerPool.shared.run(over: x.count, grain: elementGrain) { range in
                let i = range.lowerBound
                activationBackward(
                    x.data + i, dy: dy.data + i, dx: target.data + i, count: range.count, kind, adding: !isFresh)
            }
        }
    ])
}

/// y = x + bias and z = f(y) over a block of a matrix of row stride `stride`: what follows a product's tile while that
/// is in cache. `y` may be `x`; without a backward pass to come `z` may be `y`, so that one matrix serves for all.
/// Without `bias` only the function is applied.
package func applyActivation(
    _ x: UnsafePointer<Float>, bias: UnsafePointer<Float>?, preactivation y: UnsafeMutablePointer<Float>,
    output z: UnsafeMutablePointer<Float>, stride: Int, tile: Tile, _ kind: Activation
) {
    switch kind {
    case .geluNew, .geluPytorchTanh: biasedForward(x, bias, y, z, stride, tile, approximateGELU)
    case .gelu: biasedForward(x, bias, y, z, stride, tile, exactGELU)
    case .relu: biasedForward(x, bias, y, z, stride, tile, rectify)
    case .silu: biasedForward(x, bias, y, z, stride, tile, silu)
    }
}

/// y ← y + bias over a block of a matrix of row stride `stride`.
package func applyBias(_ bias: UnsafePointer<Float>, to y: UnsafeMutablePointer<Float>, stride: Int, tile: Tile) {
    biasedForward(y, bias, y, y, stride, tile, { $0 })
}

/// dx ← f′(x) · dy over a block of matrices of row stride `stride`, where `dy` may be `dx`: the backward epilogue of
/// the product that yields dy.
package func applyActivationGradient(
    _ x: UnsafePointer<Float>, dy: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>, stride: Int, tile: Tile,
    _ kind: Activation
) {
    for row in tile.rows {
        let start = row * stride + tile.columns.lowerBound
        activationBackward(
            x + start, dy: dy + start, dx: dx + start, count: tile.columns.count, kind, adding: false)
    }
}

/// y = f(x) on the calling thread.
func activationForward(
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, count: Int, _ kind: Activation
) {
    let tile = Tile(rows: 0..<1, columns: 0..<count)
    switch kind {
    case .geluNew, .geluPytorchTanh: biasedForward(x, nil, y, y, 0, tile, approximateGELU)
    case .gelu: biasedForward(x, nil, y, y, 0, tile, exactGELU)
    case .relu: biasedForward(x, nil, y, y, 0, tile, rectify)
    case .silu: biasedForward(x, nil, y, y, 0, tile, silu)
    }
}

/// dx = f′(x) · dy on the calling thread, added to what `dx` holds where `adding`.
func activationBackward(
    _ x: UnsafePointer<Float>, dy: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>, count: Int,
    _ kind: Activation, adding: Bool
) {
    switch kind {
    case .geluNew, .geluPytorchTanh: productBackward(x, dy, dx, count, adding, approximateGELUSlope)
    case .gelu: productBackward(x, dy, dx, count, adding, exactGELUSlope)
    case .relu: productBackward(x, dy, dx, count, adding, rectifierSlope)
    case .silu: productBackward(x, dy, dx, count, adding, siluSlope)
    }
}

@inline(__always) private func biasedForward(
    _ x: UnsafePointer<Float>, _ bias: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>,
    _ z: UnsafeMutablePointer<Float>, _ stride: Int, _ tile: Tile, _ f: (Lanes) -> Lanes
) {
    let savesBoth = y != z
    for row in tile.rows {
        let start = row * stride
        var column = tile.columns.lowerBound
        while column + 8 <= tile.columns.upperBound {
            var value = x.lanes(start + column)
            if let bias { value += bias.lanes(column) }
            if savesBoth { y.setLanes(start + column, value) }
            z.setLanes(start + column, f(value))
            column += 8
        }
        let rest = tile.columns.upperBound - column
        if rest > 0 {
            var value = Lanes(x + start + column, count: rest, otherwise: 0)
            if let bias { value += Lanes(bias + column, count: rest, otherwise: 0) }
            if savesBoth { value.store(y + start + column, count: rest) }
            f(value).store(z + start + column, count: rest)
        }
    }
}

@inline(__always) private func productBackward(
    _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, _ dx: UnsafeMutablePointer<Float>, _ count: Int,
    _ adding: Bool, _ slope: (Lanes) -> Lanes
) {
    var i = 0
    while i + 8 <= count {
        let value = slope(x.lanes(i)) * dy.lanes(i)
        dx.setLanes(i, adding ? dx.lanes(i) + value : value)
        i += 8
    }
    if i < count {
        var value = slope(Lanes(x + i, count: count - i, otherwise: 0)) * Lanes(dy + i, count: count - i, otherwise: 0)
        if adding { value += Lanes(dx + i, count: count - i, otherwise: 0) }
        value.store(dx + i, count: count - i)
    }
}

// 2 √(2/π) and that times 0.044715: the coefficients of 2u.
private let linear: Float = 1.595_769_1
private let cubic: Float = 0.071_354_82

@inline(__always) private func approximateGELU(_ x: Lanes) -> Lanes {
    x * sigmoid(x * fma(x * x, Lanes(repeating: cubic), linear))
}

/// σ + x σ (1 − σ) (2u)′ with σ = σ(2u).
@inline(__always) private func approximateGELUSlope(_ x: Lanes) -> Lanes {
    // Beyond ±20 the slope is 0 or 1 to the last bit, and x³ stays finite.
    let x = peft_max(Lanes(repeating: -20), peft_min(Lanes(repeating: 20), x))
    let square = x * x
    let s = sigmoid(x * fma(square, Lanes(repeating: cubic), linear))
    return s.addingProduct(x * s * (1 - s), fma(square, Lanes(repeating: 3 * cubic), linear))
}

@inline(__always) private func exactGELU(_ x: Lanes) -> Lanes { x * normalDistribution(x).cumulative }

/// Φ(x) + x φ(x).
@inline(__always) private func exactGELUSlope(_ x: Lanes) -> Lanes {
    let x = peft_max(Lanes(repeating: -20), peft_min(Lanes(repeating: 20), x))
    let (cumulative, density) = normalDistribution(x)
    return cumulative.addingProduct(x, density)
}

@inline(__always) private func rectify(_ x: Lanes) -> Lanes { peft_max(Lanes(repeating: 0), x) }

@inline(__always) private func rectifierSlope(_ x: Lanes) -> Lanes {
    peft_where_less(Lanes(repeating: 0), x, Lanes(repeating: 1), Lanes(repeating: 0))
}

@inline(__always) private func silu(_ x: Lanes) -> Lanes { x * sigmoid(x) }

/// σ + x σ (1 − σ) with σ = σ(x).
@inline(__always) private func siluSlope(_ x: Lanes) -> Lanes {
    let x = peft_max(Lanes(repeating: -100), peft_min(Lanes(repeating: 100), x))
    let s = sigmoid(x)
    return s.addingProduct(x * s, 1 - s)
}
