import Diagnostics

/// y[i, j] = x[i, columns.lowerBound + j]: some neighbouring columns of x.
public func sliceColumns(_ x: Tensor, _ columns: Range<Int>) -> Tensor {
    let (rows, width) = (x.rowCount, x.columnCount)
    require(
        columns.lowerBound >= 0 && columns.upperBound <= width, "sliceColumns: \(columns) of \(x.shape)")
    let y = Tensor(uninitialized: [rows, columns.count])
    for i in 0..<rows {
        (y.data + i * columns.count).update(from: x.data + i * width + columns.lowerBound, count: columns.count)
    }
    return y.record([
        pullback(for: x) { dy, dx in
            let (target, isFresh) = dx.accumulator(shape: [rows, width])
            if isFresh { target.data.update(repeating: 0, count: target.count) }
            for i in 0..<rows {
                let row = target.data + i * width + columns.lowerBound
                addRows(row, dy.data + i * columns.count, into: row, count: columns.count)
            }
        }
    ])
}

/// [a, b]: the rows of both side by side, [rows, columns of a + columns of b].
public func concatenateColumns(_ a: Tensor, _ b: Tensor) -> Tensor {
    require(a.rowCount == b.rowCount, "concatenateColumns: \(a.shape) and \(b.shape)")
    let (rows, left, right) = (a.rowCount, a.columnCount, b.columnCount)
    let y = Tensor(uninitialized: [rows, left + right])
    for i in 0..<rows {
        let row = y.data + i * (left + right)
        row.update(from: a.data + i * left, count: left)
        (row + left).update(from: b.data + i * right, count: right)
    }
    func take(_ dy: Tensor, from column: Int, _ count: Int, _ gradient: inout Gradient) {
        let (target, isFresh) = gradient.accumulator(shape: [rows, count])
        if isFresh { target.data.update(repeating: 0, count: target.count) }
        for i in 0..<rows {
            let row = target.data + i * count
            addRows(row, dy.data + i * (left + right) + column, into: row, count: count)
        }
    }
    return y.record([
        pullback(for: a) { dy, da in take(dy, from: 0, left, &da) },
        pullback(for: b) { dy, db in take(dy, from: left, right, &db) },
    ])
}
