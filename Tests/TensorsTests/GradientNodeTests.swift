import Tensors
import TestSupport
import Testing

struct GradientNodeTests {
    @Test("a tensor used several times gets the sum of the gradients, in every op")
    func usedTwice() {
        let x = Tensor(noise(24), shape: [3, 8])
        x.track()
        let heads = AttentionHeads(count: 1, keyValueCount: 1, size: 8)
        let (weight, bias) = (Tensor(repeating: 1, [8]), Tensor(zeros: [8]))
        let thinning = Dropout(probability: 0.5, key: 3)
        let table = Tensor(noise(24), shape: [3, 8])
        let packed = Tensor(noise(72), shape: [3, 24])
        let operations: [(Tensor) -> Tensor] = [
            { activate($0, .geluNew) }, { layerNorm($0, weight: weight, bias: bias, epsilon: 1e-5) },
            { dropout($0, thinning) }, { addResidual($0, $0, dropout: thinning) },
            { embed(tokens: [2, 0], positions: [1, 1], tokenTable: $0, positionTable: $0) },
        ]
        for operation in operations { expectDoubled(operation, at: table) }
        expectDoubled(
            { attention(.packed($0), offsets: [0, 2, 3], heads: heads, scale: 1, isCausal: true, dropout: nil) },
            at: packed)
    }

    /// The gradient through f(x) and g(x) = f(x) together is twice the one through f(x).
    private func expectDoubled(_ operation: (Tensor) -> Tensor, at value: Tensor) {
        let (once, twice) = (value.copy(), value.copy())
        once.track()
        twice.track()
        operation(once).backward()
        addResidual(operation(twice), operation(twice), dropout: nil).backward()
        let expected = (once.gradient?.values ?? []).map { Double($0) * 2 }
        #expect(expected.contains { $0 != 0 })
        #expect(largestDifference((twice.gradient?.values ?? []).map(Double.init), expected) < 1e-6)
    }

    @Test("gradients add up over backward passes until they are cleared")
    func accumulation() {
        let x = Tensor([1, -2, 3], shape: [3])
        x.track()
        for pass in 1...3 {
            activate(x, .relu).backward()
            #expect(x.gradient?.values == [Float(pass), 0, Float(pass)])
        }
        x.clearGradient()
        #expect(x.gradient == nil)
    }

    @Test("a seed that is passed through is not changed by what is added later")
    func sharedSeed() {
        let x = Tensor([1, 2], shape: [2])
        x.track()
        let seed = Tensor([1, 10], shape: [2])
        addResidual(addResidual(x, x, dropout: nil), x, dropout: nil).backward(seed: seed)
        #expect(seed.values == [1, 10])
        #expect(x.gradient?.values == [3, 30])
    }

    @Test("nothing is recorded on frozen tensors")
    func frozen() {
        let x = Tensor(noise(24), shape: [1, 24])
        #expect(!activate(x, .gelu).needsGradient)
        let heads = AttentionHeads(count: 1, keyValueCount: 1, size: 8)
        let y = attention(.packed(x), offsets: [0, 1], heads: heads, scale: 1, isCausal: true, dropout: nil)
        #expect(!y.needsGradient)
    }
}
