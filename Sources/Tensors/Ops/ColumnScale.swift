import Diagnostics

/// y = x ∘ g + bias, each column j of x [rows, columns] multiplied by g[j]; `bias` [columns] where there is one.
public func scaleColumns(_ x: Tensor, by g: Tensor, bias: Tensor?) -> Tensor {
    let (rows, columns) = (x.rowCount, x.columnCount)
    require(
        g.count == columns && bias.map { $0.count == columns } ?? true,
        "scaleColumns: \(x.shape) by \(g.shape), bias \(bias?.shape ?? [])")
    let y = Tensor(uninitialized: x.shape)
    scaleColumns(x.data, g.data, bias: bias.map { $0.data }, y.data, rows: rows, columns: columns, adding: false)
    let shape = g.shape
    return y.record([
        pullback(for: g) { dy, dg in
            let (target, isFresh) = dg.accumulator(shape: shape)
            sumOverRows(rows: rows, width: columns, into: target.data, adding: !isFresh) { row, column, count in
                let index = row * columns + column
                return dy.data.lanes(index, count: count) * x.data.lanes(index, count: count)
            }
        },
        pullback(for: bias) { dy, db in biasGradient(dy, &db) },
        pullback(for: x) { dy, dx in
            let (target, isFresh) = dx.accumulator(shape: dy.shape)
            scaleColumns(dy.data, g.data, bias: nil, target.data, rows: rows, columns: columns, adding: !isFresh)
        },
    ])
}

/// y = x ∘ g + bias, added to what `y` holds where `adding`.
private func scaleColumns(
    _ x: UnsafePointer<Float>, _ g: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
    _ y: UnsafeMutablePointer<Float>, rows: Int, columns: Int, adding: Bool
) {
    WorkerPool.shared.run(over: rows, grain: max(1, elementGrain / max(1, columns))) { range in
        for row in range {
            let (source, target) = (x + row * columns, y + row * columns)
            var j = 0
            while j + 8 <= columns {
                var value = source.lanes(j) * g.lanes(j)
                if let bias { value += bias.lanes(j) }
                if adding { value += target.lanes(j) }
                target.setLanes(j, value)
                j += 8
            }
            while j < columns {
                target[j] = (adding ? target[j] : 0) + source[j] * g[j] + (bias?[j] ?? 0)
                j += 1
            }
        }
    }
}
