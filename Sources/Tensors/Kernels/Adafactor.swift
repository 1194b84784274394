import Diagnostics
import Glibc

/// The numbers of one step of Adafactor (Shazeer and Stern 2018) with a rate from outside, as transformers' `Trainer`
/// builds it.
public struct AdafactorStep: Sendable {
    public var learningRate: Double
    /// Decoupled: the parameter shrinks by learningRate · weightDecay before the step itself.
    public var weightDecay: Double
    /// 1 for the first step; the decay of the means is 1 − number^decayRate.
    public var number: Int
    public var decayRate: Double
    /// What a step's elements may be in the mean before it is scaled down.
    public var clipThreshold: Double
    /// Added to squares.
    public var epsilon: Double
    /// What gradients are multiplied by on the way in, such as the factor of clipping.
    public var gradientScale: Float

    public init(
        learningRate: Double, weightDecay: Double, number: Int, decayRate: Double, clipThreshold: Double,
        epsilon: Double, gradientScale: Float
    ) {
        require(number >= 1, "AdafactorStep: step \(number)")
        self.learningRate = learningRate
        self.weightDecay = weightDecay
        self.number = number
        self.decayRate = decayRate
        self.clipThreshold = clipThreshold
        self.epsilon = epsilon
        self.gradientScale = gradientScale
    }

    fileprivate var decay: Double { 1 - pow(Double(number), decayRate) }

    /// What a step is multiplied by whose squares add up to `sum` over `count` elements.
    fileprivate func factor(sum: Double, count: Int) -> Double {
        learningRate / max(1, (sum / Double(count)).squareRoot() / clipThreshold)
    }
}

/// Of a matrix [m, n]: R ← β R + (1 − β) mean over columns of (g² + ε), C likewise over rows,
/// u = g / √(R / mean R · C), p ← p (1 − lr λ) − lr u / max(1, RMS(u) / d), with R [m] and C [n].
///
/// u's squares are added up in the pass that adds up the gradient's, because mean R comes out of the sum and C has a
/// factor for each column: Σ u² = mean R · Σⱼ (Σᵢ g² / R) / C. So the gradient is read twice and the parameter once.
public func adafactor(
    parameter: Tensor, gradient: Tensor, rowMeans: Tensor, columnMeans: Tensor, _ step: AdafactorStep
) {
    let (m, n) = (parameter.rowCount, parameter.columnCount)
    require(
        gradient.count == m * n && rowMeans.count == m && columnMeans.count == n && !parameter.isReadOnly,
        "adafactor: parameter \(parameter.shape), gradient \(gradient.shape), means \(rowMeans.shape) and "
            + "\(columnMeans.shape)")
    if m * n == 0 { return }
    let (p, g, rows, columns) = (parameter.data, gradient.data, rowMeans.data, columnMeans.data)
    let (beta, scale) = (step.decay, step.gradientScale)
    // Enough rows for a part that the sums of its columns are little beside it, and no more than 64 parts of them.
    let grain = max(32, elementGrain / n, (m + 63) / 64)
    let partCount = (m + grain - 1) / grain
    let sums = Tensor(zeros: [partCount, 2 * n])
    WorkerPool.shared.run(over: m, grain: grain) { range in
        let squares = sums.data + range.lowerBound / grain * 2 * n
        let shares = squares + n
        for i in range {
            let row = g + i * n
            let mean = rowSum(row, count: n, scale) / Double(n) + step.epsilon
            let new = Float(beta * Double(rows[i]) + (1 - beta) * mean)
            rows[i] = new
            addSquares(row, count: n, scale, 1 / new, to: squares, shares)
        }
    }
    var rowTotal = 0.0
    for i in 0..<m { rowTotal += Double(rows[i]) }
    let rowMean = rowTotal / Double(m)
    let columnFactors = Tensor(uninitialized: [n])
    var total = 0.0
    var totals = [Double](repeating: 0, count: 2 * n)
    for part in 0..<partCount {
        for j in 0..<2 * n { totals[j] += Double(sums.data[part * 2 * n + j]) }
    }
    for j in 0..<n {
        let new = Float(beta * Double(columns[j]) + (1 - beta) * (totals[j] / Double(m) + step.epsilon))
        columns[j] = new
        columnFactors.data[j] = 1 / new.squareRoot()
        total += totals[n + j] / Double(new)
    }
    let size = step.factor(sum: total * rowMean, count: m * n)
    let decay = Float(1 - step.learningRate * step.weightDecay)
    WorkerPool.shared.run(over: m, grain: max(1, elementGrain / n)) { range in
        for i in range {
            let factor = Float(size * (rowMean / Double(rows[i])).squareRoot()) * scale
            move(p + i * n, g + i * n, columnFactors.data, count: n, factor, decay)
        }
    }
    OpTimer.lap()
}

/// Of a vector: v ← β v + (1 − β) (g² + ε), u = g / √v, p ← p (1 − lr λ) − lr u / max(1, RMS(u) / d).
public func adafactor(parameter: Tensor, gradient: Tensor, squares: Tensor, _ step: AdafactorStep) {
    let count = parameter.count
    require(
        gradient.count == count && squares.count == count && !parameter.isReadOnly,
        "adafactor: parameter \(parameter.shape), gradient \(gradient.shape), squares \(squares.shape)")
    if count == 0 { return }
    let (p, g, v) = (parameter.data, gradient.data, squares.data)
    let (beta, scale) = (step.decay, step.gradientScale)
    var total = 0.0
    for i in 0..<count {
        let value = Double(g[i] * scale)
        v[i] = Float(beta * Double(v[i]) + (1 - beta) * (value * value + step.epsilon))
        total += value * value / Double(v[i])
    }
    let size = step.factor(sum: total, count: count)
    let decay = 1 - step.learningRate * step.weightDecay
    for i in 0..<count {
        p[i] = Float(Double(p[i]) * decay - size * Double(g[i] * scale) / Double(v[i]).squareRoot())
    }
    OpTimer.lap()
}

/// Σ (scale · x)².
@inline(__always) private func rowSum(_ x: UnsafePointer<Float>, count: Int, _ scale: Float) -> Double {
    var sum = 0.0
    var j = 0
    while j + 8 <= count {
        let end = min(count & ~7, j + 512)
        var partial = (Lanes(repeating: 0), Lanes(repeating: 0))
        while j + 16 <= end {
            let (a, b) = (x.lanes(j) * scale, x.lanes(j + 8) * scale)
            partial.0 = partial.0.addingProduct(a, a)
            partial.1 = partial.1.addingProduct(b, b)
            j += 16
        }
        if j < end {
            let a = x.lanes(j) * scale
            partial.0 = partial.0.addingProduct(a, a)
            j += 8
        }
        sum += Double((partial.0 + partial.1).total)
    }
    while j < count {
        let value = x[j] * scale
        sum += Double(value * value)
        j += 1
    }
    return sum
}

/// squares ← squares + x², shares ← shares + x² · weight, of scaled x.
@inline(__always) private func addSquares(
    _ x: UnsafePointer<Float>, count: Int, _ scale: Float, _ weight: Float, to squares: UnsafeMutablePointer<Float>,
    _ shares: UnsafeMutablePointer<Float>
) {
    let weights = Lanes(repeating: weight)
    var j = 0
    while j + 8 <= count {
        let a = x.lanes(j) * scale
        let square = a * a
        squares.setLanes(j, squares.lanes(j) + square)
        shares.setLanes(j, shares.lanes(j).addingProduct(square, weights))
        j += 8
    }
    while j < count {
        let a = x[j] * scale
        squares[j] += a * a
        shares[j] += a * a * weight
        j += 1
    }
}

/// p ← p · decay − factor · g · columns.
@inline(__always) private func move(
    _ p: UnsafeMutablePointer<Float>, _ g: UnsafePointer<Float>, _ columns: UnsafePointer<Float>, count: Int,
    _ factor: Float, _ decay: Float
) {
    let factors = Lanes(repeating: -factor)
    var j = 0
    while j + 8 <= count {
        p.setLanes(j, (p.lanes(j) * decay).addingProduct(g.lanes(j) * columns.lanes(j), factors))
        j += 8
    }
    while j < count {
        p[j] = p[j] * decay - factor * g[j] * columns[j]
        j += 1
    }
}
