import Diagnostics

/// Some neighbouring columns of x, y[i, j] = x[i, columns.lowerBound + j].
public func sliceColumns(_ x: Tensor, _ columns: Range<Int>) -> Tensor {
    takeColumns(x, columns, ofEvery: x.columnCount)
}

/// The same columns of every `stride` of them side by side: [rows, count · columns of x / stride].
public func takeColumns(_ x: Tensor, _ columns: Range<Int>, ofEvery stride: Int) -> Tensor {
    let (rows, width, count) = (x.rowCount, x.columnCount, columns.count)
    require(
        columns.lowerBound >= 0 && columns.upperBound <= stride && (stride == width || width % stride == 0),
        "takeColumns: \(columns) of every \(stride) of \(x.shape)")
    let groups = stride == 0 ? 0 : width / stride
    let y = Tensor(uninitialized: [rows, groups * count])
    func groupwise(_ body: @Sendable @escaping (_ of: Int, _ taken: Int) -> Void) {
        WorkerPool.shared.run(over: rows, grain: rowGrain(width)) { rows in
            for row in rows {
                for group in 0..<groups {
                    body(row * width + group * stride + columns.lowerBound, (row * groups + group) * count)
                }
            }
        }
    }
    groupwise { of, taken in (y.data + taken).update(from: x.data + of, count: count) }
    return y.record([
        pullback(for: x) { dy, dx in
            let (target, isFresh) = dx.accumulator(shape: x.shape)
            if isFresh { target.data.update(repeating: 0, count: target.count) }
            groupwise { of, taken in
                addRows(target.data + of, dy.data + taken, into: target.data + of, count: count)
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
