import Diagnostics

/// y[i] = x[rows[i]]: some rows of x, in the order given; no row twice.
public func gatherRows(_ x: Tensor, _ rows: [Int]) -> Tensor {
    checkRows(rows, of: x)
    let width = x.columnCount
    let y = Tensor(uninitialized: [rows.count, width])
    WorkerPool.shared.run(over: rows.count, grain: 64) { range in
        for i in range { (y.data + i * width).update(from: x.data + rows[i] * width, count: width) }
    }
    let inputShape = x.shape
    return y.record([
        pullback(for: x) { dy, dx in
            let (target, isFresh) = dx.accumulator(shape: inputShape)
            if isFresh { target.data.update(repeating: 0, count: target.count) }
            WorkerPool.shared.run(over: rows.count, grain: 64) { range in
                for i in range {
                    let (source, destination) = (dy.data + i * width, target.data + rows[i] * width)
                    for column in 0..<width { destination[column] += source[column] }
                }
            }
        }
    ])
}

/// Stops where a row isn't in `x`, or is named twice: two threads could add to its gradient at once.
private func checkRows(_ rows: [Int], of x: Tensor) {
    let count = x.rowCount
    var isTaken = [Bool](repeating: false, count: count)
    for row in rows {
        require(row >= 0 && row < count, "gatherRows: row \(row) of \(x.shape)")
        require(!isTaken[row], "gatherRows: row \(row) of \(x.shape) twice")
        isTaken[row] = true
    }
}
