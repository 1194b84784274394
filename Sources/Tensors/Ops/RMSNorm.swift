import Diagnostics

/// y = x · r ∘ weight over each stretch of `width` columns of x [rows, n · width], r = 1 / √(mean(x²) + ε) (Zhang and Sennrich 2019, "Root Mean
/// Square Layer Normalization", equation 4); `weight` is [width].
///
/// Besides x only r is kept for the way back.
public func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Float) -> Tensor {
    let width = weight.count
    require(width > 0 && x.columnCount % width == 0, "rmsNorm: x \(x.shape), weight \(weight.shape)")
    let count = x.count / width
    let y = Tensor(uninitialized: x.shape)
    let scales = Tensor(uninitialized: [count])
    WorkerPool.shared.run(over: count, grain: rowGrain(width)) { rows in
        for row in rows {
            scales.data[row] = rmsNormForward(
                x.data + row * width, weight.data, epsilon, y: y.data + row * width, width: width)
        }
    }
    return y.record([
        pullback(for: x) { dy, dx in
            let (target, isFresh) = dx.accumulator(shape: dy.shape)
            WorkerPool.shared.run(over: count, grain: rowGrain(width)) { rows in
                for row in rows {
                    rmsNormBackward(
                        x.data + row * width, weight.data, dy: dy.data + row * width, scale: scales.data[row],
                        dx: target.data + row * width, width: width, adding: !isFresh)
                }
            }
        },
        pullback(for: weight) { dy, dw in
            let (target, isFresh) = dw.accumulator(shape: weight.shape)
            sumOverRows(rows: count, width: width, into: target.data, adding: !isFresh) { row, column, count in
                let i = row * width + column
                return x.data.lanes(i, count: count) * scales.data[row] * dy.data.lanes(i, count: count)
            }
        },
    ])
}

/// One row; returns r.
@inline(__always) private func rmsNormForward(
    _ x: UnsafePointer<Float>, _ weight: UnsafePointer<Float>, _ epsilon: Float, y: UnsafeMutablePointer<Float>,
    width: Int
) -> Float {
    let whole = width & ~7
    var sums = (Lanes(repeating: 0), Lanes(repeating: 0))
    var i = 0
    while i + 16 <= whole {
        let (a, b) = (x.lanes(i), x.lanes(i + 8))
        sums.0.addProduct(a, a)
        sums.1.addProduct(b, b)
        i += 16
    }
    if i < whole {
        let a = x.lanes(i)
        sums.0.addProduct(a, a)
    }
    var squares = (sums.0 + sums.1).total
    for i in whole..<width { squares += x[i] * x[i] }
    let scale = 1 / (squares / Float(width) + epsilon).squareRoot()
    i = 0
    while i < whole {
        y.setLanes(i, x.lanes(i) * scale * weight.lanes(i))
        i += 8
    }
    for i in whole..<width { y[i] = x[i] * scale * weight[i] }
    return scale
}

/// With g = dy ∘ weight: dx = r (g − x · r² · mean(g ∘ x)).
@inline(__always) private func rmsNormBackward(
    _ x: UnsafePointer<Float>, _ weight: UnsafePointer<Float>, dy: UnsafePointer<Float>, scale: Float,
    dx: UnsafeMutablePointer<Float>, width: Int, adding: Bool
) {
    let whole = width & ~7
    var products = Lanes(repeating: 0)
    var i = 0
    while i < whole {
        products.addProduct(dy.lanes(i) * weight.lanes(i), x.lanes(i))
        i += 8
    }
    var product = products.total
    for i in whole..<width { product += dy[i] * weight[i] * x[i] }
    let slope = product * scale * scale / Float(width)
    i = 0
    while i < whole {
        let value = (dy.lanes(i) * weight.lanes(i) - x.lanes(i) * slope) * scale
        dx.setLanes(i, adding ? dx.lanes(i) + value : value)
        i += 8
    }
    for i in whole..<width {
        let value = (dy[i] * weight[i] - x[i] * slope) * scale
        dx[i] = adding ? dx[i] + value : value
    }
}
