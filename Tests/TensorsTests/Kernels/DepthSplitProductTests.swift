import Tensors
import TestSupport
import Testing

struct DepthSplitProductTests {
    @Test(
        "a deep sum that is shared out matches the formula",
        arguments: [(20, 70, 20001), (300, 40, 16385), (17, 800, 16400)], [false, true])
    func deep(shape: (Int, Int, Int), isTransposed: Bool) {
        let (m, n, k) = shape
        let (a, b) = (Tensor(noise(m * k), shape: [m, k]), Tensor(noise(k * n, seed: 2), shape: [k, n]))
        let c = Tensor(noise(m * n, seed: 3), shape: [m, n])
        let start = c.values
        multiply(
            Matrix(a.data, rows: m, columns: k),
            Matrix(b.data, rows: k, columns: n, isTransposed: isTransposed), into: c.data, stride: n, alpha: 0.5,
            beta: 2
        ) { tile in
            for i in tile.rows { for j in tile.columns { c.data[i * n + j] += 10 } }
        }
        var (worst, largest) = (0.0, 0.0)
        for i in stride(from: 0, to: m, by: max(1, m / 6)) {
            for j in stride(from: 0, to: n, by: max(1, n / 6)) {
                var sum = 0.0
                for l in 0..<k {
                    sum += Double(a.data[i * k + l]) * Double(b.data[isTransposed ? j * k + l : l * n + j])
                }
                let expected = 0.5 * sum + 2 * Double(start[i * n + j]) + 10
                worst = max(worst, (Double(c.data[i * n + j]) - expected).magnitude)
                largest = max(largest, expected.magnitude)
            }
        }
        #expect(worst < 1e-5 * largest)
    }
}
