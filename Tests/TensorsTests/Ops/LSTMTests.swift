import Glibc
import Tensors
import TestSupport
import Testing

struct LSTMTests {
    @Test(
        "output and gradients match the formula in double precision, both ways", arguments: [1, 2, 6],
        [(1, false), (3, false), (3, true), (8, true)])
    func matchesFormula(steps: Int, shape: (size: Int, isReversed: Bool)) {
        let (size, isReversed) = shape
        let found = deviation(
            of: { lstm($0[0], recurrent: $0[1], bias: $0[2], isReversed: isReversed) },
            from: { formula($0[0], $0[1], $0[2], steps: steps, size: size, isReversed: isReversed) },
            at: [
                Tensor(noise(steps * 4 * size, scale: 3), shape: [steps, 4 * size]),
                Tensor(noise(4 * size * size, seed: 2), shape: [4 * size, size]),
                Tensor(noise(4 * size, seed: 3), shape: [4 * size]),
            ], elementsPerInput: 100)
        #expect(found.forward < 1e-6)
        #expect(found.backward < 1e-5)
    }

    @Test("gates far from 0 stay numbers")
    func extremes() {
        let z = Tensor([30, -30, 30, -30, 1000, -1000, 1000, -1000, 0, 0, 0, 0], shape: [3, 4])
        z.track()
        let y = lstm(z, recurrent: Tensor(zeros: [4, 1]), bias: Tensor(zeros: [4]), isReversed: false)
        #expect(y.values.allSatisfy { $0.isFinite })
        y.backward()
        #expect(z.gradient?.values.allSatisfy { $0.isFinite } == true)
    }

    private func formula(
        _ z: [Double], _ u: [Double], _ b: [Double], steps: Int, size: Int, isReversed: Bool
    ) -> [Double] {
        var (h, c) = ([Double](repeating: 0, count: size), [Double](repeating: 0, count: size))
        var y = [Double](repeating: 0, count: steps * size)
        func logistic(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
        for step in isReversed ? (0..<steps).reversed() : Array(0..<steps) {
            let gates = (0..<4 * size).map { row in
                (0..<size).reduce(z[step * 4 * size + row] + b[row]) { $0 + u[row * size + $1] * h[$1] }
            }
            for j in 0..<size {
                c[j] = logistic(gates[size + j]) * c[j] + logistic(gates[j]) * tanh(gates[2 * size + j])
                h[j] = logistic(gates[3 * size + j]) * tanh(c[j])
                y[step * size + j] = h[j]
            }
        }
        return y
    }
}
