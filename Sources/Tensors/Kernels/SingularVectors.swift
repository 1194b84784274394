import COpenBLAS
import Diagnostics

/// The parts of the singular value decomposition W = Σ σₖ uₖ vₖᵀ with the largest σ, in double precision on the calling
/// thread; where W has fewer, the rest is 0.
///
/// One side comes from the eigenvectors of the smaller of W Wᵀ and Wᵀ W and the other from the product with W, so that
/// U Uᵀ W is W's best approximation even where σ is too small for its square to be told from 0.
///
/// - Parameters:
///   - weight: W [m, n], or Wᵀ where `isTransposed`.
///   - count: How many, r.
/// - Returns: U [m, r], σ descending, Vᵀ [r, n].
public func leadingSingularVectors(
    _ weight: Tensor, isTransposed: Bool, count: Int
) -> (left: Tensor, values: [Double], right: Tensor) {
    require(count >= 0, "leadingSingularVectors: \(count) of \(weight.shape)")
    let (rows, columns) = (weight.rowCount, weight.columnCount)
    let s = weight.values.map(Double.init)
    let size = min(rows, columns)
    let found = min(count, size)
    let isWide = rows <= columns
    let gram = product(s, (rows, columns), !isWide, s, (rows, columns), isWide)
    // [r, size]
    let near = SymmetricEigenvectors(gram, size: size, count: found).vectors
    // [r, the other size]: Uᵀ S, or (S V)ᵀ = Vᵀ Sᵀ.
    let far = product(near, (found, size), false, s, (rows, columns), !isWide)
    let other = max(rows, columns)
    var values = [Double](repeating: 0, count: count)
    for k in 0..<found {
        values[k] = (0..<other).reduce(0) { $0 + far[k * other + $1] * far[k * other + $1] }.squareRoot()
    }
    // Whether the near side, of S, is the left one of W.
    let isNearLeft = isWide != isTransposed
    let (m, n) = isTransposed ? (columns, rows) : (rows, columns)
    let (left, right) = (Tensor(zeros: [m, count]), Tensor(zeros: [count, n]))
    for k in 0..<found {
        for i in 0..<m {
            left.data[i * count + k] = Float(isNearLeft ? near[k * size + i] : quotient(far[k * other + i], values[k]))
        }
        for j in 0..<n {
            right.data[k * n + j] = Float(isNearLeft ? quotient(far[k * other + j], values[k]) : near[k * size + j])
        }
    }
    return (left, values, right)
}

private func quotient(_ a: Double, _ b: Double) -> Double { b == 0 ? 0 : a / b }

/// The first r columns of Q and rows of R in W = Q R, on the calling thread: B [m, r] with orthonormal columns, A [r, n].
///
/// - Parameter weight: W [m, n], or Wᵀ where `isTransposed`.
public func leadingColumns(_ weight: Tensor, isTransposed: Bool, count: Int) -> (a: Tensor, b: Tensor) {
    let (rows, columns) = (weight.rowCount, weight.columnCount)
    let (m, n) = isTransposed ? (columns, rows) : (rows, columns)
    require(count >= 0 && count <= n, "leadingColumns: \(count) of [\(m), \(n)]")
    let s = weight.values.map(Double.init)
    let first = (0..<m * count).map { index in
        let (i, k) = index.quotientAndRemainder(dividingBy: count)
        return isTransposed ? s[k * columns + i] : s[i * columns + k]
    }
    let q = orthonormalColumns(first, rows: m, columns: count)
    let r = product(q, (m, count), true, s, (rows, columns), isTransposed)
    return (Tensor(r.map { Float($0) }, shape: [count, n]), Tensor(q.map { Float($0) }, shape: [m, count]))
}

/// The columns of a matrix [rows, columns] made orthonormal one after the other (Gram and Schmidt, each twice, which is
/// enough: Giraud et al. 2005); 0 where a column depends on those before it.
public func orthonormalColumns(_ values: [Double], rows: Int, columns: Int) -> [Double] {
    require(
        Int.product(of: [rows, columns]) == values.count,
        "orthonormalColumns: \(values.count) values of [\(rows), \(columns)]")
    var q = (0..<columns).map { column in (0..<rows).map { values[$0 * columns + column] } }
    for k in 0..<columns {
        let before = norm(q[k])
        for _ in 0..<2 {
            for other in 0..<k {
                let share = zip(q[other], q[k]).reduce(0) { $0 + $1.0 * $1.1 }
                for i in 0..<rows { q[k][i] -= share * q[other][i] }
            }
        }
        let length = norm(q[k])
        let factor = length > 1e-13 * before ? 1 / length : 0
        for i in 0..<rows { q[k][i] *= factor }
    }
    return (0..<rows * columns).map { q[$0 % columns][$0 / columns] }
}

private func norm(_ x: [Double]) -> Double { x.reduce(0) { $0 + $1 * $1 }.squareRoot() }

/// op(a) · op(b) for row-major matrices of the given shapes, where op transposes or not.
private func product(
    _ a: [Double], _ shapeA: (rows: Int, columns: Int), _ transposesA: Bool, _ b: [Double],
    _ shapeB: (rows: Int, columns: Int), _ transposesB: Bool
) -> [Double] {
    let (m, k) = transposesA ? (shapeA.columns, shapeA.rows) : (shapeA.rows, shapeA.columns)
    let n = transposesB ? shapeB.rows : shapeB.columns
    require(
        k == (transposesB ? shapeB.columns : shapeB.rows), "product: \(shapeA) by \(shapeB)")
    var c = [Double](repeating: 0, count: m * n)
    if m == 0 || n == 0 || k == 0 { return c }
    cblas_dgemm(
        Int32(PEFTBlasRowMajor), Int32(transposesA ? PEFTBlasTrans : PEFTBlasNoTrans),
        Int32(transposesB ? PEFTBlasTrans : PEFTBlasNoTrans), Int32(m), Int32(n), Int32(k), 1, a,
        Int32(shapeA.columns), b, Int32(shapeB.columns), 0, &c, Int32(n))
    return c
}

/// The results of `body` for each number below `count`, computed on all threads.
public func parallelMap<Result>(_ count: Int, _ body: (Int) -> Result) -> [Result] {
    let results = UnsafeMutableBufferPointer<Result?>.allocate(capacity: count)
    results.initialize(repeating: nil)
    nonisolated(unsafe) let shared = results
    WorkerPool.shared.run(count) { shared[$0] = body($0) }
    defer {
        results.deinitialize()
        results.deallocate()
    }
    return results.compactMap { $0 }
}
