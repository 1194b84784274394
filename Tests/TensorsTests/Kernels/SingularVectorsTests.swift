import Tensors
import TestSupport
import Testing

struct SingularVectorsTests {
    /// W [m, n] in double precision from a tensor that may hold it transposed.
    static func logical(_ weight: Tensor, _ isTransposed: Bool, m: Int, n: Int) -> [Double] {
        (0..<m * n).map { index in
            let (i, j) = index.quotientAndRemainder(dividingBy: n)
            return Double(weight.values[isTransposed ? j * m + i : index])
        }
    }

    @Test(
        "are orthonormal, make up W, and no others of that number come nearer to it",
        arguments: [(1, 1), (4, 4), (7, 30), (30, 7), (65, 64)], [false, true])
    func decomposition(_ shape: (Int, Int), isTransposed: Bool) {
        let (m, n) = shape
        let weight = Tensor(noise(m * n), shape: isTransposed ? [n, m] : [m, n])
        let w = Self.logical(weight, isTransposed, m: m, n: n)
        let size = min(m, n)
        let (left, values, right) = leadingSingularVectors(weight, isTransposed: isTransposed, count: size)
        #expect(zip(values, values.dropFirst()).allSatisfy { $0 >= $1 })
        let whole = (0..<m * n).map { index in
            let (i, j) = index.quotientAndRemainder(dividingBy: n)
            return (0..<size).reduce(0) { sum, k in
                sum + Double(left.data[i * size + k]) * values[k] * Double(right.data[k * n + j])
            }
        }
        #expect(largestDifference(whole, w) < 1e-5)
        for a in 0..<size {
            for b in 0..<size {
                let product = (0..<n).reduce(0) { $0 + Double(right.data[a * n + $1]) * Double(right.data[b * n + $1]) }
                #expect((product - (a == b ? 1 : 0)).magnitude < 1e-5)
            }
        }
        // The square error of the best approximation is that of the values left out.
        let rank = (size + 1) / 2
        let part = leadingSingularVectors(weight, isTransposed: isTransposed, count: rank)
        let error = (0..<m * n).reduce(0) { sum, index in
            let (i, j) = index.quotientAndRemainder(dividingBy: n)
            let found = (0..<rank).reduce(0) { total, k in
                total + Double(part.left.data[i * rank + k]) * part.values[k] * Double(part.right.data[k * n + j])
            }
            return sum + (found - w[index]) * (found - w[index])
        }
        let expected = values[rank...].reduce(0) { $0 + $1 * $1 }
        #expect((error - expected).magnitude < 1e-5 * max(1, expected))
    }

    @Test("are 0 beyond the rank of W, and of a W that is 0")
    func deficient() {
        // The outer product of (1, 2, 3) and (1, 0, −1, 2).
        let weight = Tensor([1, 0, -1, 2, 2, 0, -2, 4, 3, 0, -3, 6], shape: [3, 4])
        let (left, values, right) = leadingSingularVectors(weight, isTransposed: false, count: 5)
        #expect((values[0] - 84.0.squareRoot()).magnitude < 1e-6)
        #expect(values[1...].allSatisfy { $0 < 1e-6 })
        #expect(left.shape == [3, 5] && right.shape == [5, 4])
        #expect(leadingSingularVectors(Tensor(zeros: [3, 4]), isTransposed: false, count: 2).values == [0, 0])
    }

    @Test("the first columns of Q and rows of R are those of W = Q R", arguments: [false, true])
    func columns(isTransposed: Bool) {
        let (m, n, r) = (9, 6, 4)
        let weight = Tensor(noise(m * n), shape: isTransposed ? [n, m] : [m, n])
        let w = Self.logical(weight, isTransposed, m: m, n: n)
        let (a, b) = leadingColumns(weight, isTransposed: isTransposed, count: r)
        // Q R agrees with W in the first r columns, and R is 0 below its diagonal.
        for i in 0..<m {
            for j in 0..<r {
                let product = (0..<r).reduce(0) { $0 + Double(b.data[i * r + $1]) * Double(a.data[$1 * n + j]) }
                #expect((product - w[i * n + j]).magnitude < 1e-5)
            }
        }
        for k in 0..<r {
            for j in 0..<k { #expect(a.data[k * n + j].magnitude < 1e-6) }
        }
    }

    @Test("columns that depend on others become 0") func dependent() {
        let q = orthonormalColumns([3, 6, 0, 4, 8, 1], rows: 2, columns: 3)
        for (found, expected) in zip(q, [0.6, 0, -0.8, 0.8, 0, 0.6]) { #expect((found - expected).magnitude < 1e-12) }
    }
}
