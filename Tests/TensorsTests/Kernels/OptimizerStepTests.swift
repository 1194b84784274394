import Glibc
import Tensors
import TestSupport
import Testing

@Suite("The kernels of optimizers") struct OptimizerStepTests {
    private func gradient(_ count: Int, _ number: Int, _ shape: [Int]? = nil) -> Tensor {
        Tensor(noise(count, seed: UInt64(20 + number)), shape: shape ?? [count])
    }

    @Test(
        "Adafactor's matches the formula in double precision",
        arguments: [(1, 1), (1, 40), (7, 3), (130, 65), (700, 9)])
    func adafactorOfMatrices(m: Int, n: Int) {
        let p = Tensor(noise(m * n), shape: [m, n])
        let (rows, columns) = (Tensor(zeros: [m]), Tensor(zeros: [n]))
        var expected = p.values.map(Double.init)
        var (r, c) = ([Double](repeating: 0, count: m), [Double](repeating: 0, count: n))
        for number in 1...4 {
            let g = gradient(m * n, number, [m, n])
            adafactor(
                parameter: p, gradient: g, rowMeans: rows, columnMeans: columns,
                AdafactorStep(
                    learningRate: 0.05, weightDecay: 0.1, number: number, decayRate: -0.8, clipThreshold: 1,
                    epsilon: 1e-30, gradientScale: 0.5))
            let x = g.values.map { Double($0) / 2 }
            let beta = 1 - pow(Double(number), -0.8)
            for i in 0..<m {
                let mean = (0..<n).reduce(0.0) { $0 + x[i * n + $1] * x[i * n + $1] } / Double(n)
                r[i] = beta * r[i] + (1 - beta) * (mean + 1e-30)
            }
            for j in 0..<n {
                let mean = (0..<m).reduce(0.0) { $0 + x[$1 * n + j] * x[$1 * n + j] } / Double(m)
                c[j] = beta * c[j] + (1 - beta) * (mean + 1e-30)
            }
            let whole = r.reduce(0, +) / Double(m)
            let u = (0..<m * n).map { x[$0] / (r[$0 / n] / whole * c[$0 % n]).squareRoot() }
            let size = max(1, (u.reduce(0) { $0 + $1 * $1 } / Double(m * n)).squareRoot())
            for i in expected.indices { expected[i] = expected[i] * (1 - 0.05 * 0.1) - 0.05 / size * u[i] }
        }
        #expect(largestDifference(p.values.map(Double.init), expected) < 1e-5)
        #expect(largestDifference(rows.values.map(Double.init), r) < 1e-6)
        #expect(largestDifference(columns.values.map(Double.init), c) < 1e-6)
    }

    @Test("leave what has no gradient where it is, and divide nothing by 0")
    func zeros() {
        let g = Tensor(zeros: [3, 5])
        let step = AdafactorStep(
            learningRate: 0.1, weightDecay: 0, number: 1, decayRate: -0.8, clipThreshold: 1, epsilon: 1e-30,
            gradientScale: 1)
        let p = Tensor(noise(15), shape: [3, 5])
        adafactor(parameter: p, gradient: g, rowMeans: Tensor(zeros: [3]), columnMeans: Tensor(zeros: [5]), step)
        adafactor(parameter: p.reshaped([15]), gradient: g.reshaped([15]), squares: Tensor(zeros: [15]), step)
        lion(
            parameter: p, gradient: g, moment: Tensor(zeros: [3, 5]),
            LionStep(learningRate: 0.1, beta1: 0.9, beta2: 0.99, weightDecay: 0, gradientScale: 1))
        rmsProp(
            parameter: p, gradient: g, squares: Tensor(zeros: [3, 5]), buffer: nil,
            RMSPropStep(
                learningRate: 0.1, alpha: 0.9, epsilon: 1e-8, momentum: 0, weightDecay: 0, gradientScale: 1))
        #expect(p.values == noise(15))
    }

    @Test("take the last elements as the others", arguments: [1, 7, 8, 9, 40_003])
    func rests(count: Int) {
        let g = gradient(count, 1)
        let (p, m) = (Tensor(noise(count), shape: [count]), Tensor(noise(count, seed: 3), shape: [count]))
        let step = LionStep(learningRate: 0.01, beta1: 0.9, beta2: 0.99, weightDecay: 0.5, gradientScale: 0.5)
        let (before, moment) = (p.values, m.values)
        lion(parameter: p, gradient: g, moment: m, step)
        for i in 0..<count {
            let x = Double(g.values[i]) / 2
            let direction = 0.9 * Double(moment[i]) + 0.1 * x
            let expected = Double(before[i]) * (1 - 0.005) - (direction > 0 ? 0.01 : direction < 0 ? -0.01 : 0)
            guard abs(Double(p.data[i]) - expected) > 1e-6 else { continue }
            Issue.record("\(i) of \(count): \(p.data[i]) for \(expected)")
            break
        }
    }
}
