import Diagnostics

/// Directions in which a gradient G [m, n] is kept, as GaLore has it (Zhao et al. 2024): R = U G Vᵀ with orthonormal rows
/// in U [r, m] and V [r, n], or with one of them alone.
public struct GradientProjection {
    public var left: Tensor?
    public var right: Tensor?

    public init(left: Tensor?, right: Tensor?) {
        self.left = left
        self.right = right
    }

    /// The shape of R for a gradient [m, n].
    public func shape(of gradient: Tensor) -> [Int] {
        [left?.rowCount ?? gradient.rowCount, right?.rowCount ?? gradient.columnCount]
    }

    /// R of a gradient [m, n].
    public func callAsFunction(_ gradient: Tensor) -> Tensor {
        var result = gradient
        if let left { result = product(left, result, transposesFirst: false, transposesSecond: false) }
        if let right { result = product(result, right, transposesFirst: false, transposesSecond: true) }
        return result
    }

    /// parameter ← parameter + Uᵀ R V.
    public func add(_ low: Tensor, to parameter: Tensor) {
        require(
            low.shape == shape(of: parameter) && !parameter.isReadOnly,
            "GradientProjection: \(low.shape) for \(parameter.shape)")
        var part = low
        if let right, left != nil {
            part = product(part, right, transposesFirst: false, transposesSecond: false)
        }
        if let left {
            product(left, part, transposesFirst: true, transposesSecond: false, into: parameter, beta: 1)
        } else if let right {
            product(part, right, transposesFirst: false, transposesSecond: false, into: parameter, beta: 1)
        }
    }
}

/// The singular vectors of a gradient [m, n] with the largest singular values as orthonormal rows, [r, m] or [r, n] with r
/// at most `count`, on the calling thread.
///
/// - Parameters:
///   - isLeft: Whether those over the rows.
///   - previous: Vectors of the same kind, whose directions the new ones take where they are free to, as the sign of a
///     singular vector is.
public func leadingVectors(_ gradient: Tensor, isLeft: Bool, count: Int, previous: Tensor?) -> Tensor {
    let (m, n) = (gradient.rowCount, gradient.columnCount)
    let r = min(count, m, n)
    let size = isLeft ? m : n
    let found = leadingSingularVectors(gradient, isTransposed: false, count: r)
    // The longer side comes from a division by singular values, of which small ones leave little precision.
    let isExact = isLeft == (m <= n)
    let columns =
        isLeft ? found.left.values : (0..<n * r).map { found.right.data[$0 % r * n + $0 / r] }
    let vectors =
        isExact
        ? columns.map(Double.init) : orthonormalColumns(columns.map(Double.init), rows: size, columns: r)
    let result = Tensor(uninitialized: [r, size])
    for k in 0..<r {
        var sign = 1.0
        if let previous {
            require(previous.shape == result.shape, "leadingVectors: \(previous.shape) before \(result.shape)")
            let shared = (0..<size).reduce(0) { $0 + Double(previous.data[k * size + $1]) * vectors[$1 * r + k] }
            if shared < 0 { sign = -1 }
        }
        for i in 0..<size { result.data[k * size + i] = Float(sign * vectors[i * r + k]) }
    }
    return result
}

/// op(a) · op(b), where op transposes or not.
private func product(_ a: Tensor, _ b: Tensor, transposesFirst: Bool, transposesSecond: Bool) -> Tensor {
    let result = Tensor(uninitialized: [
        transposesFirst ? a.columnCount : a.rowCount, transposesSecond ? b.rowCount : b.columnCount,
    ])
    product(a, b, transposesFirst: transposesFirst, transposesSecond: transposesSecond, into: result, beta: 0)
    return result
}

private func product(
    _ a: Tensor, _ b: Tensor, transposesFirst: Bool, transposesSecond: Bool, into c: Tensor, beta: Float
) {
    func matrix(_ x: Tensor, _ transposes: Bool) -> Matrix {
        transposes
            ? Matrix(x.data, rows: x.columnCount, columns: x.rowCount, isTransposed: true)
            : Matrix(x.data, rows: x.rowCount, columns: x.columnCount)
    }
    multiply(
        matrix(a, transposesFirst), matrix(b, transposesSecond), into: c.data, stride: c.columnCount, alpha: 1,
        beta: beta)
}
