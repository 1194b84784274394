import Diagnostics

/// y = (x − μ) · r ∘ weight + bias over each row of x [rows, width], with μ the row's mean and r = 1 / √(variance + ε),
/// the variance divided by the width.
///
/// Besides x only μ and r are kept for the way back.
public func layerNorm(_ x: Tensor, weight: Tensor, bias: Tensor, epsilon: Float) -> Tensor {
    let width = x.columnCount
    require(
        weight.count == width && bias.count == width,
        "layerNorm: x \(x.shape), weight \(weight.shape), bias \(bias.shape)")
    let y = Tensor(uninitialized: x.shape)
    // μ of row i at 2i, r at 2i + 1.
    let statistics = Tensor(uninitialized: [x.rowCount, 2])
    WorkerPool.shared.run(over: x.rowCount, grain: rowGrain(width)) { rows in
        for row in rows {
            layerNormForward(
                x.data + row * width, weight.data, bias.data, epsilon, y: y.data + row * width,
                statistics: statistics.data + 2 * row, width: width)
        }
    }
    return y.record([
        pullback(for: x) { dy, dx in
            let (target, isFresh) = dx.accumulator(shape: dy.shape)
            WorkerPool.shared.run(over: dy.rowCount, grain: rowGrain(width)) { rows in
                for row in rows {
                    layerNormBackward(
                        x.data + row * width, weight.data, dy: dy.data + row * width,
                        statistics: statistics.data + 2 * row, dx: target.data + row * width, width: width,
                        adding: !isFresh)
                }
            }
        },
        pullback(for: weight) { dy, dw in
            let (target, isFresh) = dw.accumulator(shape: weight.shape)
            sumOverRows(rows: dy.rowCount, width: width, into: target.data, adding: !isFresh) { row, column, count in
                let i = row * width + column
                let mean = statistics.data[2 * row]
                let deviation = statistics.data[2 * row + 1]
                return (x.data.lanes(i, count: count) - mean) * deviation * dy.data.lanes(i, count: count)
            }
        },
        pullback(for: bias) { dy, db in
            let (target, isFresh) = db.accumulator(shape: bias.shape)
            sumOverRows(rows: dy.rowCount, width: width, into: target.data, adding: !isFresh) { row, column, count in
                dy.data.lanes(row * width + column, count: count)
            }
        },
    ])
}

/// Rows per part of a pass over rows.
@inline(__always) func rowGrain(_ width: Int) -> Int { max(1, elementGrain / max(1, width)) }

/// One row: the mean first, then the variance around it, so that a large mean costs no digits.
@inline(__always) private func layerNormForward(
    _ x: UnsafePointer<Float>, _ weight: UnsafePointer<Float>, _ bias: UnsafePointer<Float>, _ epsilon: Float,
    y: UnsafeMutablePointer<Float>, statistics: UnsafeMutablePointer<Float>, width: Int
) {
    let whole = width & ~7
    var sums = (Lanes(repeating: 0), Lanes(repeating: 0))
    var i = 0
    while i + 16 <= whole {
        sums.0 += x.lanes(i)
        sums.1 += x.lanes(i + 8)
        i += 16
    }
    if i < whole { sums.0 += x.lanes(i) }
    var sum = (sums.0 + sums.1).total
    for i in whole..<width { sum += x[i] }
    let mean = sum / Float(width)

    sums = (Lanes(repeating: 0), Lanes(repeating: 0))
    i = 0
    while i + 16 <= whole {
        let (a, b) = (x.lanes(i) - mean, x.lanes(i + 8) - mean)
        sums.0.addProduct(a, a)
        sums.1.addProduct(b, b)
        i += 16
    }
    if i < whole {
        let a = x.lanes(i) - mean
        sums.0.addProduct(a, a)
    }
    var squares = (sums.0 + sums.1).total
    for i in whole..<width { squares += (x[i] - mean) * (x[i] - mean) }
    let deviation = 1 / (squares / Float(width) + epsilon).squareRoot()
    statistics[0] = mean
    statistics[1] = deviation

    i = 0
    while i < whole {
        y.setLanes(i, bias.lanes(i).addingProduct((x.lanes(i) - mean) * deviation, weight.lanes(i)))
        i += 8
    }
    for i in whole..<width { y[i] = (x[i] - mean) * deviation * weight[i] + bias[i] }
}

/// With g = dy ∘ weight and x̂ = (x − μ) r: dx = r (g − mean(g) − x̂ · mean(g ∘ x̂)).
@inline(__always) private func layerNormBackward(
    _ x: UnsafePointer<Float>, _ weight: UnsafePointer<Float>, dy: UnsafePointer<Float>,
    statistics: UnsafePointer<Float>, dx: UnsafeMutablePointer<Float>, width: Int, adding: Bool
) {
    let (mean, deviation) = (statistics[0], statistics[1])
    let whole = width & ~7
    var sums = Lanes(repeating: 0)
    var products = Lanes(repeating: 0)
    var i = 0
    while i < whole {
        let g = dy.lanes(i) * weight.lanes(i)
        sums += g
        products.addProduct(g, x.lanes(i) - mean)
        i += 8
    }
    var sum = sums.total
    var product = products.total
    for i in whole..<width {
        sum += dy[i] * weight[i]
        product += dy[i] * weight[i] * (x[i] - mean)
    }
    let average = sum / Float(width)
    let slope = product * deviation * deviation / Float(width)
    i = 0
    while i < whole {
        let g = dy.lanes(i) * weight.lanes(i)
        let value = (g - average - (x.lanes(i) - mean) * slope) * deviation
        dx.setLanes(i, adding ? dx.lanes(i) + value : value)
        i += 8
    }
    for i in whole..<width {
        let value = (dy[i] * weight[i] - average - (x[i] - mean) * slope) * deviation
        dx[i] = adding ? dx[i] + value : value
    }
}
