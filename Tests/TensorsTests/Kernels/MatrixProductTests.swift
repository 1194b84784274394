import Tensors
import TestSupport
import Testing

struct MatrixProductTests {
    @Test(
        "every layout matches the formula",
        arguments: [(1, 1, 1), (3, 5, 7), (17, 1, 4), (64, 64, 64), (130, 700, 33), (600, 300, 40)],
        [(false, false), (true, false), (false, true), (true, true)])
    func layouts(shape: (Int, Int, Int), transposed: (Bool, Bool)) {
        let (m, n, k) = shape
        let (a, b) = (noise(m * k, seed: 1), noise(k * n, seed: 2))
        let c = Tensor(noise(m * n, seed: 3), shape: [m, n])
        let start = c.values
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                guard let left = a.baseAddress, let right = b.baseAddress else { return }
                multiply(
                    Matrix(left, rows: m, columns: k, isTransposed: transposed.0),
                    Matrix(right, rows: k, columns: n, isTransposed: transposed.1), into: c.data, stride: n,
                    alpha: 0.5, beta: 2)
            }
        }
        let found = c.values
        var worst = 0.0
        for i in stride(from: 0, to: m, by: max(1, m / 40)) {
            for j in stride(from: 0, to: n, by: max(1, n / 40)) {
                var sum = 0.0
                for l in 0..<k {
                    let left = a[transposed.0 ? l * m + i : i * k + l]
                    let right = b[transposed.1 ? j * k + l : l * n + j]
                    sum += Double(left) * Double(right)
                }
                worst = max(worst, (Double(found[i * n + j]) - 0.5 * sum - 2 * Double(start[i * n + j])).magnitude)
            }
        }
        #expect(worst < 1e-5)
    }

    @Test("the epilogue sees every element once, after it was computed", arguments: [(1, 1), (40, 900), (700, 800)])
    func epilogue(m: Int, n: Int) {
        let k = 64
        let (a, b) = (Tensor(repeating: 1, [m, k]), Tensor(repeating: 1, [k, n]))
        let c = Tensor(uninitialized: [m, n])
        multiply(
            Matrix(a.data, rows: m, columns: k), Matrix(b.data, rows: k, columns: n), into: c.data, stride: n,
            alpha: 1, beta: 0
        ) { tile in
            for i in tile.rows { for j in tile.columns { c.data[i * n + j] += 1 } }
        }
        #expect(c.values.allSatisfy { $0 == 65 })
    }
}
