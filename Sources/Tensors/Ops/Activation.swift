import CVectors

/// The activation functions, by the names that `transformers` has for them; several names stand for one function.
public enum Activation: String, CaseIterable, Sendable {
    /// GELU with the tanh approximation, x · σ(2u), u = √(2/π) (x + 0.044715 x³).
    case geluNew = "gelu_new"
    /// The exact GELU, x · Φ(x).
    case gelu
    /// As `geluNew`.
    case geluPytorchTanh = "gelu_pytorch_tanh"
    case geluPythonTanh = "gelu_python_tanh"
    case geluFast = "gelu_fast"
    case geluAccurate = "gelu_accurate"
    /// As `gelu`.
    case geluPython = "gelu_python"
    /// The exact GELU, at most 10.
    case gelu10 = "gelu_10"
    /// x · σ(1.702 x).
    case quickGELU = "quick_gelu"
    /// max(x, 0), with derivative 0 at 0.
    case relu
    /// min(max(x, 0), 6), with derivative 0 at both ends.
    case relu6
    /// max(x, 0)².
    case relu2
    /// x where that is positive, 0.01 x otherwise.
    case leakyReLU = "leaky_relu"
    /// x · σ(x).
    case silu
    /// As `silu`.
    case swish
    /// x · min(max(x + 3, 0), 6) / 6.
    case hardswish
    /// x · tanh(ln(1 + eˣ)) (Misra 2019).
    case mish
    case tanh
    /// σ(x) = 1 / (1 + e⁻ˣ).
    case sigmoid
    /// Φ((x − 0.707107) / 0.282095) (Ma et al. 2022).
    case laplace
    /// x.
    case linear
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
    case .geluNew, .geluPytorchTanh, .geluPythonTanh, .geluFast, .geluAccurate:
        biasedForward(x, bias, y, z, stride, tile, approximateGELU)
    case .gelu, .geluPython: biasedForward(x, bias, y, z, stride, tile, exactGELU)
    case .gelu10: biasedForward(x, bias, y, z, stride, tile, clippedGELU)
    case .quickGELU: biasedForward(x, bias, y, z, stride, tile, quickGELU)
    case .relu: biasedForward(x, bias, y, z, stride, tile, rectify)
    case .relu6: biasedForward(x, bias, y, z, stride, tile, rectifyBelowSix)
    case .relu2: biasedForward(x, bias, y, z, stride, tile, squaredRectifier)
    case .leakyReLU: biasedForward(x, bias, y, z, stride, tile, leakyRectifier)
    case .silu, .swish: biasedForward(x, bias, y, z, stride, tile, silu)
    case .hardswish: biasedForward(x, bias, y, z, stride, tile, hardSwish)
    case .mish: biasedForward(x, bias, y, z, stride, tile, mish)
    case .tanh: biasedForward(x, bias, y, z, stride, tile, hyperbolicTangent)
    case .sigmoid: biasedForward(x, bias, y, z, stride, tile, sigmoid)
    case .laplace: biasedForward(x, bias, y, z, stride, tile, laplace)
    case .linear: biasedForward(x, bias, y, z, stride, tile, { $0 })
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
    applyActivation(x, bias: nil, preactivation: y, output: y, stride: 0, tile: tile, kind)
}

/// dx = f′(x) · dy on the calling thread, added to what `dx` holds where `adding`.
func activationBackward(
    _ x: UnsafePointer<Float>, dy: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>, count: Int,
    _ kind: Activation, adding: Bool
) {
    switch kind {
    case .geluNew, .geluPytorchTanh, .geluPythonTanh, .geluFast, .geluAccurate:
        productBackward(x, dy, dx, count, adding, approximateGELUSlope)
    case .gelu, .geluPython: productBackward(x, dy, dx, count, adding, exactGELUSlope)
    case .gelu10: productBackward(x, dy, dx, count, adding, clippedGELUSlope)
    case .quickGELU: productBackward(x, dy, dx, count, adding, quickGELUSlope)
    case .relu: productBackward(x, dy, dx, count, adding, rectifierSlope)
    case .relu6: productBackward(x, dy, dx, count, adding, rectifierBelowSixSlope)
    case .relu2: productBackward(x, dy, dx, count, adding, squaredRectifierSlope)
    case .leakyReLU: productBackward(x, dy, dx, count, adding, leakyRectifierSlope)
    case .silu, .swish: productBackward(x, dy, dx, count, adding, siluSlope)
    case .hardswish: productBackward(x, dy, dx, count, adding, hardSwishSlope)
    case .mish: productBackward(x, dy, dx, count, adding, mishSlope)
    case .tanh: productBackward(x, dy, dx, count, adding, hyperbolicTangentSlope)
    case .sigmoid: productBackward(x, dy, dx, count, adding, sigmoidSlope)
    case .laplace: productBackward(x, dy, dx, count, adding, laplaceSlope)
    case .linear: productBackward(x, dy, dx, count, adding, { _ in Lanes(repeating: 1) })
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
