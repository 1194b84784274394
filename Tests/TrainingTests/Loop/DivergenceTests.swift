import Foundation
import Testing
import Training

@Suite("A run whose numbers stop being finite") struct DivergenceTests {
    private let advice =
        "Nothing was saved since the last checkpoint. A lower training.learning_rate, training.max_grad_norm: 1 or a "
        + "longer training.warmup_steps usually helps"

    @Test("ends with the step, the records and advice; what was saved before stays, nothing is delivered")
    func loss() throws {
        let training = try TinyTraining()
        let changes = [
            "training.learning_rate=1e30", "training.save_steps=1", "training.lr_scheduler_type=constant",
            "data.shuffle=false",
        ]
        let message = try #require(training.failure(changes))
        let data = training.scratch("data.jsonl")
        #expect(message.hasPrefix("error: the loss or a gradient of step 2 is no finite number (loss "))
        #expect(message.hasSuffix("), on \(data):5, \(data):6, \(data):7, \(data):8. \(advice)"))
        #expect(
            try training.scratch.names("run") == ["checkpoints", "metrics.jsonl", "training_config.yaml"])
        #expect(try training.scratch.names("run/checkpoints") == ["step-1"])
        #expect(
            try training.scratch.names("run/checkpoints/step-1") == [
                "adapter_config.json", "adapter_model.safetensors", "training_config.yaml", "training_state.json",
                "training_state.safetensors",
            ])
    }

    @Test("neither saves nor delivers parameters that are no numbers", arguments: [1, 3])
    func parameters(steps: Int) throws {
        let training = try TinyTraining()
        let changes = [
            "training.learning_rate=1e39", "training.lr_scheduler_type=constant", "training.max_steps=\(steps)",
            "training.save_steps=1",
        ]
        let name = "transformer.h.0.attn.c_attn.lora_A.weight"
        #expect(
            training.failure(changes) == "error: \(name): not all elements are finite numbers after step 1. \(advice)")
        #expect(
            try training.scratch.names("run").filter { $0 != "checkpoints" } == [
                "metrics.jsonl", "training_config.yaml",
            ]
        )
    }
}
