import Diagnostics

/// y = s · x · (w₁ ⊗ w₂)ᵀ for x [rows, m · n], w₁ [l, m], w₂ [k, n] → y [rows, l · k], without the Kronecker product
/// itself: each row of x is a matrix X [m, n], and its row of y is Y = s · w₁ (X w₂ᵀ) [l, k].
public func kroneckerProduct(_ x: Tensor, _ w1: Tensor, _ w2: Tensor, scale: Float) -> Tensor {
    let (l, m) = (w1.rowCount, w1.columnCount)
    let (k, n) = (w2.rowCount, w2.columnCount)
    require(x.columnCount == m * n, "kroneckerProduct: \(x.shape) by \(w1.shape) ⊗ \(w2.shape)")
    let rows = x.rowCount
    // T = X w₂ᵀ for all rows, [rows · m, k].
    let t = Tensor(uninitialized: [rows * m, k])
    multiply(
        Matrix(x.data, rows: rows * m, columns: n), Matrix(w2.data, rows: n, columns: k, isTransposed: true),
        into: t.data, stride: k, alpha: 1, beta: 0)
    let y = Tensor(uninitialized: [rows, l * k])
    WorkerPool.shared.run(over: rows, grain: kroneckerRows) { range in
        for row in range {
            gemm(
                Matrix(w1.data, rows: l, columns: m), Matrix(t.data + row * m * k, rows: m, columns: k),
                into: y.data + row * l * k, stride: k, alpha: scale, beta: 0)
        }
    }
    let inputShape = x.shape
    // dT = s · w₁ᵀ dY, which the gradients of x and w₂ share.
    let inner = SharedGradient { dy in
        let dt = Tensor(uninitialized: [rows * m, k])
        WorkerPool.shared.run(over: rows, grain: kroneckerRows) { range in
            for row in range {
                gemm(
                    Matrix(w1.data, rows: m, columns: l, isTransposed: true),
                    Matrix(dy.data + row * l * k, rows: l, columns: k), into: dt.data + row * m * k, stride: k,
                    alpha: scale, beta: 0)
            }
        }
        return dt
    }
    return y.record([
        pullback(for: w1) { dy, gradient in kroneckerFactorGradient(dy, t, w1.shape, scale, &gradient) },
        pullback(for: w2) { dy, gradient in
            let dt = inner(dy)
            let (target, isFresh) = gradient.accumulator(shape: w2.shape)
            multiply(
                Matrix(dt.data, rows: k, columns: rows * m, isTransposed: true),
                Matrix(x.data, rows: rows * m, columns: n), into: target.data, stride: n, alpha: 1,
                beta: isFresh ? 0 : 1)
        },
        pullback(for: x) { dy, gradient in
            let dt = inner(dy)
            let (target, isFresh) = gradient.accumulator(shape: inputShape)
            multiply(
                Matrix(dt.data, rows: rows * m, columns: k), Matrix(w2.data, rows: k, columns: n), into: target.data,
                stride: n, alpha: 1, beta: isFresh ? 0 : 1)
        },
    ])
}

/// Rows that one part takes: a few small products each.
private let kroneckerRows = 32

/// dw₁ = s · Σ dY Tᵀ over the rows: a sum for each part of the rows, and these in order.
private func kroneckerFactorGradient(
    _ dy: Tensor, _ t: Tensor, _ shape: [Int], _ scale: Float, _ gradient: inout Gradient
) {
    let (l, m, k, rows) = (shape[0], shape[1], t.columnCount, dy.rowCount)
    let parts = (rows + kroneckerRows - 1) / kroneckerRows
    let sums = Tensor(uninitialized: [max(1, parts), l * m])
    if parts == 0 { sums.data.update(repeating: 0, count: sums.count) }
    WorkerPool.shared.run(over: rows, grain: kroneckerRows) { range in
        let sum = sums.data + range.lowerBound / kroneckerRows * l * m
        for row in range {
            gemm(
                Matrix(dy.data + row * l * k, rows: l, columns: k),
                Matrix(t.data + row * m * k, rows: k, columns: m, isTransposed: true), into: sum, stride: m,
                alpha: scale, beta: row == range.lowerBound ? 0 : 1)
        }
    }
    let target = accumulatorFromZero(&gradient, shape)
    for part in 0..<sums.rowCount {
        for i in 0..<l * m { target.data[i] += sums.data[part * l * m + i] }
    }
}
