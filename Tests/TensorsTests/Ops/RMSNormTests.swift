import Tensors
import TestSupport
import Testing

struct RMSNormTests {
    private func reference(_ inputs: [[Double]], width: Int, epsilon: Double) -> [Double] {
        let (x, weight) = (inputs[0], inputs[1])
        return stride(from: 0, to: x.count, by: width).flatMap { start in
            let row = x[start..<start + width]
            let mean = row.reduce(0) { $0 + $1 * $1 } / Double(width)
            return zip(row, weight).map { $0 / (mean + epsilon).squareRoot() * $1 }
        }
    }

    @Test(
        "output and all gradients match the formula",
        arguments: [(1, 1), (1, 8), (3, 5), (2, 16), (70, 24), (4, 41), (3, 576)])
    func matchesFormula(rows: Int, width: Int) {
        let inputs = [
            Tensor(noise(rows * width, seed: 5, scale: 3), shape: [rows, width]),
            Tensor(noise(width, seed: 6).map { $0 + 1 }, shape: [width]),
        ]
        let found = deviation(
            of: { rmsNorm($0[0], weight: $0[1], epsilon: 1e-5) },
            from: { reference($0, width: width, epsilon: 1e-5) }, at: inputs, elementsPerInput: 40)
        #expect(found.forward < 1e-5)
        #expect(found.backward < 1e-4)
    }

    @Test("a row of zeros stays zeros, and elements of ±30 lose no digits", arguments: [Float(0), 30, -30])
    func awkwardRows(value: Float) {
        let x = Tensor(repeating: value, [2, 9])
        let y = rmsNorm(x, weight: Tensor(repeating: 2, [9]), epsilon: 1e-6)
        let expected: Float = value == 0 ? 0 : value > 0 ? 2 : -2
        for found in y.values { #expect((found - expected).magnitude < 1e-6) }
    }

    @Test("a gradient is added to what is there")
    func added() {
        let x = Tensor(noise(24, seed: 3), shape: [2, 12])
        let weight = Tensor(noise(12, seed: 4), shape: [12])
        let found = deviation(
            of: { addResidual($0[0], rmsNorm($0[0], weight: $0[1], epsilon: 1e-5), dropout: nil) },
            from: { inputs in zip(inputs[0], reference(inputs, width: 12, epsilon: 1e-5)).map { $0 + $1 } },
            at: [x, weight])
        #expect(found.forward < 1e-5)
        #expect(found.backward < 1e-4)
    }

    @Test("only the inputs that are tracked get gradients")
    func frozen() {
        let (x, weight) = (Tensor(repeating: 1, [2, 8]), Tensor(repeating: 1, [8]))
        weight.track()
        rmsNorm(x, weight: weight, epsilon: 0).backward()
        #expect(weight.gradient?.values == [Float](repeating: 2, count: 8))
        #expect(x.gradient == nil)
        #expect(!rmsNorm(x, weight: weight.detached(), epsilon: 0).needsGradient)
    }
}
