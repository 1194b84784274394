import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing

@Suite("Dropout of what an adapter sees") struct AdapterDropoutTests {
    @Test(
        "leaves the base's own product alone: rows have it with none of the change, or with all of it over what is kept",
        arguments: [
            (method: LoRA.name, settings: #"{"r": 2, "lora_dropout": 0.5}"#),
            (method: LoRA.name, settings: #"{"r": 2, "lora_dropout": 0.5, "use_dora": true}"#),
            (method: LoRA.name, settings: #"{"r": 2, "lora_dropout": 0.5, "lora_bias": true}"#),
            (
                method: AdaLoRA.name,
                settings: #"{"init_r": 3, "target_r": 2, "lora_dropout": 0.5, "total_step": 9, "tfinal": 1}"#
            ),
        ])
    func rows(method name: String, settings: String) throws {
        let small = try SmallModel()
        let module = try #require(small.model.modules.first { $0.path == "transformer.h.0.attn.c_attn" })
        guard case .linear(let linear) = module.kind else { return }
        let (width, columns) = (SmallModel.width, 3 * SmallModel.width)
        // One number in each row, which is either dropped or not.
        let x = Tensor(zeros: [width, width])
        for i in 0..<width { x.data[i * width + i] = 1 }
        let method = try #require(methods.first { $0.name == name })
        let base = linear(x, .inference()).values
        let installation = try small.install(method, settings)
        #expect(relativeDifference(linear(x, .training(seed: 3, pass: 1)).values, base) < 1e-6)
        for parameter in installation.trainable where !parameter.name.hasSuffix("lora_B.bias") {
            for (i, value) in noise(parameter.tensor.count, seed: UInt64(parameter.tensor.count)).enumerated() {
                parameter.tensor.data[i] += value
            }
        }
        let adapted = linear(x, .inference()).values
        let found = linear(x, .training(seed: 3, pass: 1)).values
        var kept = 0
        for row in 0..<width {
            let range = row * columns..<(row + 1) * columns
            let whole = range.map { base[$0] + 2 * (adapted[$0] - base[$0]) }
            let (own, plain) = (Array(found[range]), Array(base[range]))
            let isKept = relativeDifference(own, whole) < 1e-5
            #expect(isKept || relativeDifference(own, plain) < 1e-5, "row \(row)")
            #expect(relativeDifference(whole, plain) > 1e-2)
            if isKept { kept += 1 }
        }
        #expect((1..<width).contains(kept))
    }
}
