import Diagnostics

/// C[(i, j), n] = a[i, n] · b[j, n]: the column-wise Khatri-Rao product of a [p, columns] and b [q, columns],
/// [p · q, columns].
///
/// With R by rows for the other side, (A₁B₁) ∘ (A₂B₂) = rowProducts(A₁, A₂) · columnProducts(B₁, B₂).
public func columnProducts(_ a: Tensor, _ b: Tensor) -> Tensor {
    let (p, q, columns) = (a.rowCount, b.rowCount, a.columnCount)
    require(b.columnCount == columns, "columnProducts: \(a.shape) by \(b.shape)")
    let c = Tensor(uninitialized: [p * q, columns])
    for i in 0..<p {
        for j in 0..<q {
            let target = c.data + (i * q + j) * columns
            for n in 0..<columns { target[n] = a.data[i * columns + n] * b.data[j * columns + n] }
        }
    }
    return c.record([
        pullback(for: a) { dc, gradient in
            let da = accumulatorFromZero(&gradient, a.shape)
            for i in 0..<p {
                for j in 0..<q {
                    let source = dc.data + (i * q + j) * columns
                    for n in 0..<columns { da.data[i * columns + n] += source[n] * b.data[j * columns + n] }
                }
            }
        },
        pullback(for: b) { dc, gradient in
            let db = accumulatorFromZero(&gradient, b.shape)
            for i in 0..<p {
                for j in 0..<q {
                    let source = dc.data + (i * q + j) * columns
                    for n in 0..<columns { db.data[j * columns + n] += source[n] * a.data[i * columns + n] }
                }
            }
        },
    ])
}

/// C[n, (i, j)] = g[n] · a[n, i] · b[n, j] for a [rows, p] and b [rows, q], [rows, p · q]; without g it is 1.
public func rowProducts(_ a: Tensor, _ b: Tensor, scale g: [Float]?) -> Tensor {
    let (p, q, rows) = (a.columnCount, b.columnCount, a.rowCount)
    require(
        b.rowCount == rows && g.map { $0.count == rows } ?? true,
        "rowProducts: \(a.shape) by \(b.shape), \(g?.count ?? 0) factors")
    let c = Tensor(uninitialized: [rows, p * q])
    for n in 0..<rows {
        let factor = g?[n] ?? 1
        for i in 0..<p {
            let left = factor * a.data[n * p + i]
            for j in 0..<q { c.data[(n * p + i) * q + j] = left * b.data[n * q + j] }
        }
    }
    return c.record([
        pullback(for: a) { dc, gradient in
            let da = accumulatorFromZero(&gradient, a.shape)
            for n in 0..<rows {
                let factor = g?[n] ?? 1
                for i in 0..<p {
                    var sum: Float = 0
                    for j in 0..<q { sum += dc.data[(n * p + i) * q + j] * b.data[n * q + j] }
                    da.data[n * p + i] += factor * sum
                }
            }
        },
        pullback(for: b) { dc, gradient in
            let db = accumulatorFromZero(&gradient, b.shape)
            for n in 0..<rows {
                let factor = g?[n] ?? 1
                for i in 0..<p {
                    let left = factor * a.data[n * p + i]
                    for j in 0..<q { db.data[n * q + j] += left * dc.data[(n * p + i) * q + j] }
                }
            }
        },
    ])
}

/// Memory for a gradient that is added to, zeros at first.
func accumulatorFromZero(_ gradient: inout Gradient, _ shape: [Int]) -> Tensor {
    let (target, isFresh) = gradient.accumulator(shape: shape)
    if isFresh { target.data.update(repeating: 0, count: target.count) }
    return target
}
