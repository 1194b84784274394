import Diagnostics

/// u = s · drop(x) · Aᵀ for x [rows, inputs], A [rank, inputs] → u [rows, rank]: the narrow half of a low-rank update.
///
/// The dropped-out x is never stored: both directions draw the same choice block by block.
///
/// - Parameter byRow: As in `linear`.
public func lowRankInput(_ x: Tensor, _ a: Tensor, scale: Float, dropout: Dropout?, byRow: Bool = true) -> Tensor {
    require(x.columnCount == a.columnCount, "lowRankInput: \(x.shape) by \(a.shape)")
    let (rows, inputs, rank) = (x.rowCount, x.columnCount, a.rowCount)
    let u = Tensor(uninitialized: [rows, rank])
    let down = Matrix(a.data, rows: inputs, columns: rank, isTransposed: true)
    let product = byRow ? gemmByRow : gemm
    WorkerPool.shared.run(over: rows, grain: rowBlock) { block in
        withDropped(x, block, 0..<inputs, dropout) { kept, stride in
            product(
                Matrix(kept, rows: block.count, columns: inputs, stride: stride), down,
                u.data + block.lowerBound * rank,
                rank, scale, 0)
        }
    }
    return u.record([
        pullback(for: a) { du, da in lowRankWeightGradient(x, du, scale, dropout, &da) },
        pullback(for: x) { du, dx in lowRankInputGradient(du, a, scale, dropout, shape: x.shape, &dx) },
    ])
}

/// dA = s · duᵀ · drop(x); each part owns some columns, so that every sum runs over the rows in order.
private func lowRankWeightGradient(
    _ x: Tensor, _ du: Tensor, _ scale: Float, _ dropout: Dropout?, _ gradient: inout Gradient
) {
    let (rows, inputs, rank) = (x.rowCount, x.columnCount, du.columnCount)
    let (target, isFresh) = gradient.accumulator(shape: [rank, inputs])
    WorkerPool.shared.run(over: inputs, grain: 128) { columns in
        var first = 0
        while first < rows {
            let block = first..<min(rows, first + rowBlock)
            withDropped(x, block, columns, dropout) { kept, stride in
                gemm(
                    Matrix(du.data + first * rank, rows: rank, columns: block.count, isTransposed: true),
                    Matrix(kept, rows: block.count, columns: columns.count, stride: stride),
                    into: target.data + columns.lowerBound, stride: inputs, alpha: scale,
                    beta: isFresh && first == 0 ? 0 : 1)
            }
            first = block.upperBound
        }
    }
}

/// dx = s · (du · A) ∘ factors.
private func lowRankInputGradient(
    _ du: Tensor, _ a: Tensor, _ scale: Float, _ dropout: Dropout?, shape: [Int], _ gradient: inout Gradient
) {
    let (rows, inputs, rank) = (du.rowCount, a.columnCount, a.rowCount)
    let (target, isFresh) = gradient.accumulator(shape: shape)
    WorkerPool.shared.run(over: rows, grain: rowBlock) { block in
        let left = Matrix(du.data + block.lowerBound * rank, rows: block.count, columns: rank)
        let right = Matrix(a.data, rows: rank, columns: inputs)
        let start = block.lowerBound * inputs
        guard let dropout else {
            return gemm(
                left, right, into: target.data + start, stride: inputs, alpha: scale, beta: isFresh ? 0 : 1)
        }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: block.count * inputs) { scratch in
            guard let scratch = scratch.baseAddress else { return }
            gemm(left, right, into: scratch, stride: inputs, alpha: scale, beta: 0)
            applyDropout(
                dropout, index: start, scratch, target.data + start, count: block.count * inputs, adding: !isFresh)
        }
    }
}

/// Rows that one part of a thin product takes: enough for the product's rate, few enough for their scratch to stay in
/// cache.
private let rowBlock = 64

/// Calls `body` with a block of x after dropout and its row stride: x itself where nothing is dropped.
private func withDropped(
    _ x: Tensor, _ rows: Range<Int>, _ columns: Range<Int>, _ dropout: Dropout?,
    _ body: (UnsafePointer<Float>, Int) -> Void
) {
    let width = x.columnCount
    guard let dropout else { return body(x.data + rows.lowerBound * width + columns.lowerBound, width) }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: rows.count * columns.count) { scratch in
        guard let scratch = scratch.baseAddress else { return }
        for row in rows {
            let target = scratch + (row - rows.lowerBound) * columns.count
            let start = row * width + columns.lowerBound
            applyDropout(dropout, index: start, x.data + start, target, count: columns.count, adding: false)
        }
        body(scratch, columns.count)
    }
}

/// du = dz · B for dz [rows, outputs], B [outputs, rank].
func thinProduct(_ dz: Tensor, _ b: Tensor, _ gradient: inout Gradient) {
    require(dz.columnCount == b.rowCount, "thinProduct: dz \(dz.shape) by B \(b.shape)")
    let (rows, outputs, rank) = (dz.rowCount, dz.columnCount, b.columnCount)
    let (target, isFresh) = gradient.accumulator(shape: [rows, rank])
    WorkerPool.shared.run(over: rows, grain: rowBlock) { block in
        gemm(
            Matrix(dz.data + block.lowerBound * outputs, rows: block.count, columns: outputs),
            Matrix(b.data, rows: outputs, columns: rank), into: target.data + block.lowerBound * rank, stride: rank,
            alpha: 1, beta: isFresh ? 0 : 1)
    }
}

/// dB = dzᵀ · u for dz [rows, outputs], u [rows, rank].
func thinTransposedProduct(_ dz: Tensor, _ u: Tensor, _ gradient: inout Gradient) {
    require(dz.rowCount == u.rowCount, "thinTransposedProduct: dz \(dz.shape) by u \(u.shape)")
    let (rows, outputs, rank) = (dz.rowCount, dz.columnCount, u.columnCount)
    let (target, isFresh) = gradient.accumulator(shape: [outputs, rank])
    WorkerPool.shared.run(over: outputs, grain: 128) { columns in
        gemm(
            Matrix(
                dz.data + columns.lowerBound, rows: columns.count, columns: rows, stride: outputs, isTransposed: true),
            Matrix(u.data, rows: rows, columns: rank), into: target.data + columns.lowerBound * rank, stride: rank,
            alpha: 1, beta: isFresh ? 0 : 1)
    }
}
