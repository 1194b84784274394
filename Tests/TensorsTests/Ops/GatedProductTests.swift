import Tensors
import TestSupport
import Testing

struct GatedProductTests {
    /// The op's own activation in floats is tested elsewhere; here it stands for the formula's.
    private func silu(_ x: Double) -> Double { x / (1 + exponential(-x)) }

    private func exponential(_ x: Double) -> Double {
        var (sum, term) = (1.0, 1.0)
        let small = x / 1024
        for n in 1..<20 {
            term *= small / Double(n)
            sum += term
        }
        return (0..<10).reduce(sum) { value, _ in value * value }
    }

    @Test("output and both gradients match the formula", arguments: [1, 7, 8, 33, 2048, 2049, 20_000])
    func matchesFormula(count: Int) {
        let gate = Tensor(noise(count, seed: 5, scale: 6), shape: [count])
        let x = Tensor(noise(count, seed: 6, scale: 2), shape: [count])
        let found = deviation(
            of: { gatedProduct($0[0], $0[1], activation: .silu) },
            from: { inputs in zip(inputs[0], inputs[1]).map { silu($0) * $1 } }, at: [gate, x], elementsPerInput: 12)
        #expect(found.forward < 1e-6)
        #expect(found.backward < 1e-5)
    }

    @Test("is the product of the activation and the other factor, to the bit", arguments: Activation.allCases)
    func everyActivation(kind: Activation) {
        let gate = Tensor([0, -0.0, 30, -30, 1e-20] + noise(40, seed: 2, scale: 4), shape: [9, 5])
        let x = Tensor(noise(45, seed: 3), shape: [9, 5])
        let expected = zip(activate(gate, kind).values, x.values).map { $0 * $1 }
        #expect(gatedProduct(gate, x, activation: kind).values == expected)
    }

    @Test("a gradient is added to what is there")
    func added() {
        let (gate, x) = (Tensor(noise(19, seed: 7), shape: [19]), Tensor(noise(19, seed: 8), shape: [19]))
        let found = deviation(
            of: {
                let once = gatedProduct($0[0], $0[1], activation: .silu)
                return addResidual(addResidual($0[0], $0[1], dropout: nil), once, dropout: nil)
            },
            from: { inputs in zip(inputs[0], inputs[1]).map { $0 + $1 + silu($0) * $1 } }, at: [gate, x])
        #expect(found.forward < 1e-6)
        #expect(found.backward < 1e-5)
    }

    @Test("only the inputs that are tracked get gradients")
    func frozen() {
        let (gate, x) = (Tensor(repeating: 1, [4]), Tensor(repeating: 2, [4]))
        gate.track()
        gatedProduct(gate, x, activation: .relu).backward()
        #expect(gate.gradient?.values == [2, 2, 2, 2])
        #expect(x.gradient == nil)
    }
}
