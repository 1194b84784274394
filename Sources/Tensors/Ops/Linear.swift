import Diagnostics

/// A term u · Bᵀ that is added to a linear layer's product tile by tile, while the tile is in cache.
public struct LowRankTerm {
    /// [rows, rank]
    public let u: Tensor
    /// [outputs, rank]
    public let b: Tensor

    public init(u: Tensor, b: Tensor) {
        require(u.columnCount == b.columnCount, "LowRankTerm: u \(u.shape), B \(b.shape)")
        self.u = u
        self.b = b
    }

    /// Whether the term is as large as a product [rows, outputs].
    func fits(rows: Int, outputs: Int) -> Bool { u.rowCount == rows && b.rowCount == outputs }
}

/// y = act(x · Wᵀ + u · Bᵀ + bias) for x [rows, inputs] → y [rows, outputs]; everything after the first product happens
/// while a tile of it is in cache.
///
/// - Parameters:
///   - omitsValue: Records the operation and leaves y uncomputed, for an output that nobody reads.
///   - byRow: Whether a row of y has the same bits whatever rows are beside it, as long as they are few; without that some
///     processors are faster.
public func linear(
    _ x: Tensor, _ weight: any BaseWeight, bias: Tensor?, lowRank: LowRankTerm?, activation: Activation?,
    omitsValue: Bool = false, byRow: Bool = true
) -> Tensor {
    require(!omitsValue || activation == nil, "linear: the way back through an activation reads what went in")
    require(
        x.columnCount == weight.inputSize && bias?.count ?? weight.outputSize == weight.outputSize
            && lowRank?.fits(rows: x.rowCount, outputs: weight.outputSize) ?? true,
        "linear: \(x.shape) by a weight of \(weight.inputSize) inputs and \(weight.outputSize) outputs, bias "
            + "\(bias?.shape ?? []), low-rank term \(lowRank?.u.shape ?? []) by \(lowRank?.b.shape ?? [])")
    let inputs = [x, weight.trainable, bias, lowRank?.u, lowRank?.b]
    let isRecorded = inputs.contains { $0?.needsGradient == true }
    let shape = [x.rowCount, weight.outputSize]
    // What lives longer comes first: memory cut from a larger buffer, which the pool has last, is soon whole again.
    let preActivation = activation != nil && isRecorded ? Tensor(uninitialized: shape) : nil
    let y = Tensor(uninitialized: shape)
    if !omitsValue {
        linearForward(
            x, weight, bias, lowRank, activation, y, preActivation: preActivation, byRow: byRow)
    }
    let sizes = (x.columnCount, y.columnCount)
    guard isRecorded else { return y.record([], sizes: sizes) }

    // Only the weight's gradient needs x itself; the others must not keep it in memory.
    let inputShape = x.shape
    // The gradient before the activation is wanted by up to five pullbacks, one after the other.
    let before = SharedGradient { dy in
        guard let activation, let preActivation else { return dy }
        let dz = Tensor(uninitialized: dy.shape)
        WorkerPool.shared.run(over: dy.count, grain: elementGrain) { range in
            let i = range.lowerBound
            activationBackward(
                preActivation.data + i, dy: dy.data + i, dx: dz.data + i, count: range.count, activation, adding: false)
        }
        return dz
    }
    return y.record(
        [
            pullback(for: weight.trainable) { dy, dw in weightGradient(x, before(dy), weight, &dw) },
            pullback(for: bias) { dy, db in biasGradient(before(dy), &db) },
            pullback(for: lowRank?.b) { dy, db in
                if let lowRank { thinTransposedProduct(before(dy), lowRank.u, &db) }
            },
            pullback(for: lowRank?.u) { dy, du in if let lowRank { thinProduct(before(dy), lowRank.b, &du) } },
            pullback(for: x) { dy, dx in
                let dz = before(dy)
                let (target, isFresh) = dx.accumulator(shape: inputShape)
                weight.multiplyTransposed(dz.data, rows: dz.rowCount, into: target.data, beta: isFresh ? 0 : 1)
            },
        ], sizes: sizes)
}

/// What several pullbacks of one operation need of its output's gradient, computed at the first of them.
final class SharedGradient<Result> {
    private let compute: (Tensor) -> Result
    private var result: Result?

    init(_ compute: @escaping (Tensor) -> Result) { self.compute = compute }

    func callAsFunction(_ dy: Tensor) -> Result {
        if let result { return result }
        let computed = compute(dy)
        result = computed
        return computed
    }
}

/// z = x · Wᵀ + u · Bᵀ + bias, y = act(z).
private func linearForward(
    _ x: Tensor, _ weight: any BaseWeight, _ bias: Tensor?, _ lowRank: LowRankTerm?, _ activation: Activation?,
    _ y: Tensor, preActivation: Tensor?, byRow: Bool
) {
    let z = preActivation ?? y
    let stride = weight.outputSize
    let needsEpilogue = bias != nil || lowRank != nil || activation != nil
    let epilogue: ((Tile) -> Void)? = { tile in
        if let lowRank { addLowRank(lowRank, to: z.data, stride: stride, tile, byRow: byRow) }
        if let activation {
            applyActivation(
                z.data, bias: bias.map { UnsafePointer($0.data) }, preactivation: z.data, output: y.data,
                stride: stride, tile: tile, activation)
        } else if let bias {
            applyBias(bias.data, to: z.data, stride: stride, tile: tile)
        }
    }
    weight.multiply(
        x.data, rows: x.rowCount, into: z.data, beta: 0, byRow: byRow, epilogue: needsEpilogue ? epilogue : nil)
}

/// z ← z + u · Bᵀ within one tile, `byRow` as `gemmByRow` does.
func addLowRank(
    _ term: LowRankTerm, to z: UnsafeMutablePointer<Float>, stride: Int, _ tile: Tile, byRow: Bool
) {
    let rank = term.u.columnCount
    let product = byRow ? gemmByRow : gemm
    product(
        Matrix(term.u.data + tile.rows.lowerBound * rank, rows: tile.rows.count, columns: rank),
        Matrix(
            term.b.data + tile.columns.lowerBound * rank, rows: rank, columns: tile.columns.count, isTransposed: true),
        z + tile.rows.lowerBound * stride + tile.columns.lowerBound, stride, 1, 1)
}

/// dW = dzᵀ · x, in the weight's own layout.
func weightGradient(_ x: Tensor, _ dz: Tensor, _ weight: any BaseWeight, _ gradient: inout Gradient) {
    guard let tensor = weight.trainable else { return }
    let (left, right) = weight.isInputByOutput ? (x, dz) : (dz, x)
    require(
        tensor.shape == [left.columnCount, right.columnCount],
        "weightGradient: x \(x.shape), dz \(dz.shape) for a weight \(tensor.shape)")
    let (target, isFresh) = gradient.accumulator(shape: tensor.shape)
    let a = Matrix(left.data, rows: left.columnCount, columns: left.rowCount, isTransposed: true)
    let b = Matrix(right.data, rows: right.rowCount, columns: right.columnCount)
    if weight is RoundedWeight {
        return BlockProduct.run(
            a, BlockOperand(b), into: target.data, stride: right.columnCount, adding: !isFresh, isRounding: true,
            epilogue: nil)
    }
    multiply(a, b, into: target.data, stride: right.columnCount, alpha: 1, beta: isFresh ? 0 : 1)
}

/// db = the sum of dz over the rows.
func biasGradient(_ dz: Tensor, _ gradient: inout Gradient) {
    let (rows, columns) = (dz.rowCount, dz.columnCount)
    let (target, isFresh) = gradient.accumulator(shape: [columns])
    WorkerPool.shared.run(over: columns, grain: 64) { range in
        if isFresh { (target.data + range.lowerBound).update(repeating: 0, count: range.count) }
        for row in 0..<rows {
            let source = dz.data + row * columns
            var i = range.lowerBound
            while i + 8 <= range.upperBound {
                target.data.setLanes(i, target.data.lanes(i) + source.lanes(i))
                i += 8
            }
            while i < range.upperBound {
                target.data[i] += source[i]
                i += 1
            }
        }
    }
}
