import Tensors
import TestSupport
import Testing

struct LayerNormTests {
    private func reference(_ inputs: [[Double]], width: Int, epsilon: Double) -> [Double] {
        let (x, weight, bias) = (inputs[0], inputs[1], inputs[2])
        return stride(from: 0, to: x.count, by: width).flatMap { start in
            let row = x[start..<start + width]
            let mean = row.reduce(0, +) / Double(width)
            let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
            return zip(row, zip(weight, bias)).map {
                ($0 - mean) / (variance + epsilon).squareRoot() * $1.0 + $1.1
            }
        }
    }

    @Test(
        "output and all gradients match the formula",
        arguments: [(1, 1), (1, 8), (3, 5), (2, 16), (70, 24), (4, 41), (3, 768)])
    func matchesFormula(rows: Int, width: Int) {
        let inputs = [
            Tensor(noise(rows * width, seed: 5, scale: 3), shape: [rows, width]),
            Tensor(noise(width, seed: 6).map { $0 + 1 }, shape: [width]), Tensor(noise(width, seed: 7), shape: [width]),
        ]
        let found = deviation(
            of: { layerNorm($0[0], weight: $0[1], bias: $0[2], epsilon: 1e-5) },
            from: { reference($0, width: width, epsilon: 1e-5) }, at: inputs, elementsPerInput: 40)
        #expect(found.forward < 1e-5)
        #expect(found.backward < 1e-4)
    }

    @Test("equal elements give the bias")
    func constantRow() {
        let y = layerNorm(
            Tensor(repeating: 3, [2, 9]), weight: Tensor(repeating: 2, [9]), bias: Tensor(repeating: 0.25, [9]),
            epsilon: 1e-5)
        #expect(y.values == [Float](repeating: 0.25, count: 18))
    }

    @Test("a mean far above the spread costs no more digits than the inputs themselves have lost")
    func largeMean() {
        let x = Tensor(noise(100, seed: 9).map { ($0 * 64).rounded() / 64 + 1000 }, shape: [1, 100])
        let (weight, bias) = (Tensor(repeating: 1, [100]), Tensor(zeros: [100]))
        let y = layerNorm(x, weight: weight, bias: bias, epsilon: 1e-5)
        let expected = reference(
            [x.values.map(Double.init), weight.values.map(Double.init), bias.values.map(Double.init)], width: 100,
            epsilon: 1e-5)
        #expect(largestDifference(y.values.map(Double.init), expected) < 1e-4)
    }

    @Test("only the inputs that are tracked get gradients")
    func frozen() {
        let (x, weight, bias) = (
            Tensor(noise(16), shape: [2, 8]), Tensor(repeating: 1, [8]), Tensor(zeros: [8])
        )
        bias.track()
        layerNorm(x, weight: weight, bias: bias, epsilon: 1e-5).backward()
        #expect(bias.gradient?.values == [Float](repeating: 2, count: 8))
        #expect(x.gradient == nil && weight.gradient == nil)
        #expect(!layerNorm(x, weight: weight, bias: bias.detached(), epsilon: 1e-5).needsGradient)
    }
}
