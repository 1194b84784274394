import Foundation
import JSONText
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

    @Test("names blocks of a text by their numbers in it, whichever are left out to be evaluated on")
    func blocks() throws {
        let training = try TinyTraining()
        let text = (0..<60).map { "near the \($0 % 7) soup \($0 % 5)\n" }.joined()
        try training.scratch.write(text, to: "text.txt")
        let message = try #require(
            training.failure([
                "data={train: \(training.scratch("text.txt")), block_size: 16, validation_fraction: 0.5, shuffle: false}",
                "training.learning_rate=1e30", "training.lr_scheduler_type=constant",
                "training.gradient_accumulation_steps=1",
            ]))
        let named = try training.scratch.text("run/validation_records.jsonl").split(separator: "\n").map {
            try JSONNode.parse(String($0)).integer("block")
        }
        let learned = (1...2 * named.count + 2).filter { !named.contains($0) }
        try #require(learned[2...3] != [3, 4], "the first blocks are learned, so that nothing is tested")
        #expect(message.hasPrefix("error: the loss or a gradient of step 2 is no finite number (loss "), "\(message)")
        #expect(message.contains("), on block \(learned[2]), block \(learned[3]). "), "\(message)")
    }

    @Test("neither saves nor delivers parameters that are no numbers", arguments: [1, 3])
    func parameters(steps: Int) throws {
        let training = try TinyTraining()
        let changes = [
            "training.learning_rate=1e38", "training.lr_scheduler_type=constant", "training.max_steps=\(steps)",
            "training.weight_decay=1e6", "training.save_steps=1",
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
