import Diagnostics
import Glibc

/// The eigenvalues of a symmetric matrix in descending order and the eigenvectors of the first ones, in double precision:
/// Householder's reduction to three diagonals, then QL steps with implicit shifts (Golub and Van Loan, sections 8.3.1 and
/// 8.3.3; Wilkinson's shift).
struct SymmetricEigenvectors {
    /// All eigenvalues, descending.
    let values: [Double]
    /// `count` vectors of length n, one behind the other.
    let vectors: [Double]

    /// - Parameter matrix: [n, n], both triangles.
    init(_ matrix: [Double], size n: Int, count: Int) {
        require(matrix.count == n * n && count <= n, "SymmetricEigenvectors: \(matrix.count) for \(n), \(count)")
        var reduction = Tridiagonal(matrix, size: n)
        let rows = reduction.diagonalise()
        let order = (0..<n).sorted {
            reduction.diagonal[$0] == reduction.diagonal[$1] ? $0 < $1 : reduction.diagonal[$0] > reduction.diagonal[$1]
        }
        values = order.map { reduction.diagonal[$0] }
        var vectors: [Double] = []
        vectors.reserveCapacity(count * n)
        for index in order.prefix(count) {
            var vector = Array(rows[index * n..<(index + 1) * n])
            reduction.reflect(&vector)
            vectors += vector
        }
        self.vectors = vectors
    }
}

/// T = Qᵀ A Q with three diagonals, and the reflections that make up Q.
private struct Tridiagonal {
    let n: Int
    var diagonal: [Double]
    /// Beside the diagonal; the last one is 0.
    var side: [Double]
    /// Of step k: the vector v over the rows k + 1 and on, and τ, in I − τ v vᵀ.
    private var reflections: [(vector: [Double], factor: Double)] = []

    init(_ matrix: [Double], size n: Int) {
        self.n = n
        diagonal = [Double](repeating: 0, count: n)
        side = [Double](repeating: 0, count: n)
        var a = matrix
        a.withUnsafeMutableBufferPointer { a in
            for k in 0..<max(0, n - 1) { reduce(column: k, a) }
            for k in 0..<n { diagonal[k] = a[k * n + k] }
        }
    }

    /// Makes column k zero below its second row, and row k likewise.
    private mutating func reduce(column k: Int, _ a: UnsafeMutableBufferPointer<Double>) {
        let first = k + 1
        let count = n - first
        var v = (first..<n).map { a[$0 * n + k] }
        let tail = v.dropFirst().reduce(0) { $0 + $1 * $1 }
        if tail == 0 {
            side[k] = v[0]
            reflections.append(([], 0))
            return
        }
        let length = (v[0] * v[0] + tail).squareRoot()
        let beta = v[0] > 0 ? -length : length
        v[0] -= beta
        side[k] = beta
        let factor = 2 / (v[0] * v[0] + tail)
        // p = τ A v, row by row, as A is symmetric; then w = p − τ/2 (p · v) v and A ← A − v wᵀ − w vᵀ.
        var p = [Double](repeating: 0, count: count)
        p.withUnsafeMutableBufferPointer { p in
            for i in 0..<count {
                let (row, scale) = ((first + i) * n + first, factor * v[i])
                for j in 0..<count { p[j] += scale * a[row + j] }
            }
        }
        let half = factor / 2 * zip(p, v).reduce(0) { $0 + $1.0 * $1.1 }
        for i in 0..<count { p[i] -= half * v[i] }
        v.withUnsafeBufferPointer { v in
            p.withUnsafeBufferPointer { w in
                for i in 0..<count {
                    let (row, vi, wi) = ((first + i) * n + first, v[i], w[i])
                    for j in 0..<count { a[row + j] -= vi * w[j] + wi * v[j] }
                }
            }
        }
        reflections.append((v, factor))
    }

    /// Turns an eigenvector of T into one of A.
    func reflect(_ x: inout [Double]) {
        for k in stride(from: reflections.count - 1, through: 0, by: -1) {
            let (v, factor) = reflections[k]
            if factor == 0 { continue }
            var sum = 0.0
            for i in v.indices { sum += v[i] * x[k + 1 + i] }
            for i in v.indices { x[k + 1 + i] -= factor * sum * v[i] }
        }
    }

    /// Rotates the side diagonal away; afterwards `diagonal` holds the eigenvalues.
    ///
    /// - Returns: The eigenvectors of T as rows, [n, n].
    mutating func diagonalise() -> [Double] {
        var rows = [Double](repeating: 0, count: n * n)
        for i in 0..<n { rows[i * n + i] = 1 }
        rows.withUnsafeMutableBufferPointer { rows in
            for low in 0..<n {
                // Three steps are usual; what doesn't converge in many holds no numbers.
                for _ in 0..<100 {
                    let high = endOfBlock(from: low)
                    if high == low { break }
                    step(low, high, rows)
                }
            }
        }
        return rows
    }

    /// The last row of the block that begins at `low`, behind which the side diagonal is nothing.
    private func endOfBlock(from low: Int) -> Int {
        var m = low
        while m < n - 1, side[m].magnitude > .ulpOfOne * (diagonal[m].magnitude + diagonal[m + 1].magnitude) { m += 1 }
        return m
    }

    private mutating func step(_ low: Int, _ high: Int, _ rows: UnsafeMutableBufferPointer<Double>) {
        var g = (diagonal[low + 1] - diagonal[low]) / (2 * side[low])
        let root = hypot(g, 1)
        g = diagonal[high] - diagonal[low] + side[low] / (g + (g < 0 ? -root : root))
        var (sine, cosine, shift) = (1.0, 1.0, 0.0)
        for i in stride(from: high - 1, through: low, by: -1) {
            let (f, b) = (sine * side[i], cosine * side[i])
            let length = hypot(f, g)
            side[i + 1] = length
            if length == 0 {
                diagonal[i + 1] -= shift
                side[high] = 0
                return
            }
            (sine, cosine) = (f / length, g / length)
            g = diagonal[i + 1] - shift
            let r = (diagonal[i] - g) * sine + 2 * cosine * b
            shift = sine * r
            diagonal[i + 1] = g + shift
            g = cosine * r - b
            let (upper, lower) = (i * n, (i + 1) * n)
            for k in 0..<n {
                let (x, y) = (rows[upper + k], rows[lower + k])
                rows[lower + k] = sine * x + cosine * y
                rows[upper + k] = cosine * x - sine * y
            }
        }
        diagonal[low] -= shift
        side[low] = g
        side[high] = 0
    }
}
