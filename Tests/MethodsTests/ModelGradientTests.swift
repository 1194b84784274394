import Layers
import Methods
import Models
import Tensors
import Testing
import TestSupport

@Suite("The whole model's gradients") struct ModelGradientTests {
    @Test(
        "are those of the formula with every activation and both scalings",
        arguments: ["gelu_new", "gelu", "gelu_pytorch_tanh", "relu", "silu"], [false, true])
    func activations(_ activation: String, scalesByLayer: Bool) throws {
        for (method, settings): (any PEFTMethod.Type, String) in [
            (Full.self, "{}"),
            (LoRA.self, #"{"r": 2, "lora_alpha": 2, "target_modules": "all-linear", "bias": "all"}"#),
        ] {
            let small = try SmallModel(.gpt2(activation: activation, scalesByLayer: scalesByLayer))
            let installation = try small.install(method, settings)
            randomise(installation)
            try expectGradients(of: small, installation, scales: [nil: 1])
        }
    }

    @Test("reach the lowest layer that trains and stop there")
    func partial() throws {
        let small = try SmallModel()
        let installation = try small.install(
            LoRA.self, #"{"r": 2, "lora_alpha": 2, "target_modules": ["h.1.mlp.c_fc"]}"#)
        randomise(installation)
        try expectGradients(of: small, installation, scales: [nil: 1])
        let states = small.model.states(small.batch, rows: [0], .inference())
        #expect(states.needsGradient)
    }

    @Test("don't depend on which rows the last block computes")
    func rows() throws {
        let small = try SmallModel()
        let all = small.model.states(small.batch, rows: nil, .inference())
        let wanted = [0, 3, 4, 11]
        let some = small.model.states(small.batch, rows: wanted, .inference())
        let expected = wanted.flatMap { row in
            Array(all.values[row * SmallModel.width..<(row + 1) * SmallModel.width])
        }
        #expect(relativeDifference(some.values, expected) <= 1e-6)
    }
}
