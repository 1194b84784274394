import Layers
import Tensors
import TestSupport
import Testing

@Suite("A linear layer") struct LinearTests {
    private final class Rank1: LinearAdapter {
        let u: Float
        init(u: Float) { self.u = u }
        func apply(to product: LinearProduct) -> Tensor {
            let rows = product.input.rowCount
            return product.completed(
                adding: LowRankTerm(
                    u: Tensor(repeating: u, [rows, 1]), b: Tensor([1, 2], shape: [product.layer.outputSize, 1])))
        }
    }

    private func layer(isInputByOutput: Bool) -> Linear {
        // W = [[1, 2, 3], [4, 5, 6]]
        let weight =
            isInputByOutput
            ? Tensor([1, 4, 2, 5, 3, 6], shape: [3, 2]) : Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3])
        return Linear(
            path: "h.0.fc", weight: Parameter(name: "h.0.fc.weight", tensor: weight),
            bias: Parameter(name: "h.0.fc.bias", tensor: Tensor([-30, 0.5], shape: [2])),
            isInputByOutput: isInputByOutput)
    }

    @Test("computes act(x · Wᵀ + b) from either layout", arguments: [false, true])
    func product(isInputByOutput: Bool) {
        let layer = layer(isInputByOutput: isInputByOutput)
        #expect(layer.inputSize == 3 && layer.outputSize == 2)
        let x = Tensor([1, 1, 1, 2, 0, -1], shape: [2, 3])
        #expect(layer(x, .inference()).values == [-24, 15.5, -31, 2.5])
        #expect(layer(x, .inference(), activation: .relu).values == [0, 15.5, 0, 2.5])
    }

    private final class Lender: MemoryLender {
        let floats = [Float](unsafeUninitializedCapacity: 6) { buffer, count in
            for i in 0..<6 { buffer[i] = Float(i + 1) }
            count = 6
        }
        var releases = 0
        func releasePages(of memory: UnsafeRawBufferPointer) { releases += 1 }
    }

    @Test(
        "packs a mapped weight at generation's second pass, for as long as it has it",
        .enabled(if: BlockProduct.isPreferred))
    func packing() {
        let lender = Lender()
        lender.floats.withUnsafeBufferPointer { floats in
            guard let base = floats.baseAddress else { return }
            let mapped = Tensor(readOnly: base, shape: [2, 3], owner: lender)
            let weight = Parameter(name: "w", tensor: mapped)
            let layer = Linear(path: "fc", weight: weight, bias: nil, isInputByOutput: false)
            let x = Tensor([1, 1, 1, 2, 0, -1], shape: [2, 3])
            let context = ForwardContext.inference(
                cache: KeyValueCache(layerCount: 1, sequences: 1, capacity: 4, width: 4))
            for pass in 0..<4 {
                #expect(layer(x, .inference()).values == [6, 15, -1, 2])
                #expect(layer(x, context).values == [6, 15, -1, 2])
                #expect(layer.base is PackedWeight == (pass > 0) && (lender.releases > 0) == (pass > 0))
            }
            // A long prompt's pass gains too little to wait for that.
            let read = Linear(path: "fc", weight: weight, bias: nil, isInputByOutput: false)
            let many = Tensor(Array(repeating: 1, count: 65 * 3), shape: [65, 3])
            for pass in 1...8 {
                _ = read(many, context)
                #expect(read.base is PackedWeight == (pass == 8))
            }
            weight.takeOver(tracking: true)
            #expect(layer.base.trainable === weight.tensor)
            weight.tensor.data[0] = 2
            for _ in 0..<3 { #expect(layer(x, context).values == [7, 15, 1, 2]) }
            #expect(layer.base is DenseWeight)
            weight.restore(mapped)
            for _ in 0..<3 { #expect(layer(x, context).values == [6, 15, -1, 2]) }
            #expect(layer.base is PackedWeight)
        }
    }

    @Test("lets its adapter add a low-rank term before the activation, and forgets it with the adapter")
    func adapter() {
        let layer = layer(isInputByOutput: true)
        let x = Tensor([1, 1, 1], shape: [1, 3])
        layer.adapter = Rank1(u: 25)
        #expect(layer(x, .inference()).values == [1, 65.5])
        #expect(layer(x, .inference(), activation: .relu).values == [1, 65.5])
        layer.adapter = Rank1(u: 20)
        #expect(layer(x, .inference(), activation: .relu).values == [0, 55.5])
        layer.adapter = nil
        #expect(layer(x, .inference()).values == [-24, 15.5])
    }
}

@Suite("A parameter") struct ParameterTests {
    @Test("that is taken over has memory of its own, and afterwards the tensor that it had")
    func takeOver() {
        let original = Tensor([1, 2], shape: [2])
        let parameter = Parameter(name: "p", tensor: original)
        parameter.takeOver(tracking: true)
        #expect(parameter.tensor.needsGradient && !original.needsGradient)
        parameter.tensor.data[0] = 9
        #expect(original.values == [1, 2])
        parameter.restore(original)
        #expect(parameter.tensor === original)
        parameter.takeOver(tracking: false)
        #expect(parameter.tensor !== original && !parameter.tensor.needsGradient)
    }
}

@Suite("A layer norm") struct LayerNormTests {
    @Test("asks for a weight of ones and a bias of zeros, and normalises rows")
    func rows() {
        let norm = LayerNorm(ParameterScope(RandomParameters(seed: 1))["ln"], width: 2, epsilon: 0)
        #expect(norm.path == "ln")
        #expect(norm.weight.name == "ln.weight" && norm.weight.tensor.values == [1, 1])
        #expect(norm.bias.name == "ln.bias" && norm.bias.tensor.values == [0, 0])
        #expect(norm(Tensor([3, 5, 7, -1], shape: [2, 2])).values == [-1, 1, 1, -1])
    }
}
