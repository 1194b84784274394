import Batches
import Configuration
import Diagnostics
import Files
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

/// Every method on models whose linear layers are kept in few bits, in panels (64 inputs) and by rows (24), beside the same
/// models with the same values as floats.
@Suite("A method on a base in few bits") struct QuantizedMethodTests {
    static let methods = [
        "{method: lora, r: 2, target_modules: all-linear}", "{method: lora, r: 2, use_dora: true}",
        "{method: lora, r: 2, bias: all, trainable_token_indices: [3, 5]}",
        "{method: adalora, init_r: 3, target_r: 2, tinit: 1, tfinal: 1, total_step: 10}", "{method: ia3}",
        "{method: loha, r: 2}",
        "{method: loha, r: 12}", "{method: lokr, r: 2}", "{method: prompt_tuning, num_virtual_tokens: 2}",
        "{method: prefix_tuning, num_virtual_tokens: 2}", "{method: p_tuning, num_virtual_tokens: 2}",
        "{method: ln_tuning}", "{method: adapter}",
    ]
    static let kinds = ["load_in_4bit: true", "load_in_4bit: true, bnb_4bit_quant_type: fp4", "load_in_8bit: true"]

    private static let models = [
        """
        {"model_type": "gpt2", "vocab_size": 30, "n_positions": 32, "n_embd": 64, "n_layer": 2, "n_head": 2,
         "eos_token_id": 1, "bos_token_id": 1}
        """,
        """
        {"model_type": "llama", "vocab_size": 30, "hidden_size": 24, "intermediate_size": 64, "num_hidden_layers": 2,
         "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32, "eos_token_id": 1}
        """,
    ]

    private static let batch: TokenBatch = {
        var batch = TokenBatch(sequences: [[3, 1, 4, 1, 5], [9, 2, 6]])
        batch.labels = [1, 4, 1, 5, 9, 2, 6, 5]
        return batch
    }()

    private func run(_ kind: String, _ method: String) throws -> RunConfiguration {
        let text = """
            model: {path: model, \(kind)}
            data: {train: train.txt, text: "{text}"}
            peft: \(method)
            training: {output_dir: run}
            """
        return try RunConfiguration(.parse(yaml: text), warn: { _ in })
    }

    private func base(_ scratch: Scratch, _ run: RunConfiguration) throws -> BaseModel {
        try BaseModel.load(
            scratch("model"), randomSeed: 5, labels: nil, headSeed: 0, quantization: run.quantization, warn: { _ in })
    }

    /// The loss and the gradients of a step, and then the logits of an evaluation.
    private func step(_ base: BaseModel, _ run: RunConfiguration, evaluatesFirst: Bool) throws -> [[Float]] {
        let installation = try run.method.install(
            into: base.model, InstallationContext(seed: 1, basePath: "model", isTraining: true))
        for parameter in installation.trainable {
            let noise = noise(parameter.tensor.count, seed: 3, scale: 0.1)
            for i in 0..<parameter.tensor.count { parameter.tensor.data[i] += noise[i] }
        }
        if evaluatesFirst { _ = base.logits([3, 1, 4]) }
        let loss = base.model.loss(Self.batch, scale: 1, .training(seed: 1, pass: 1))
        loss.tensor.backward()
        return [[Float(loss.sum)], base.logits([3, 1, 4])]
            + installation.trainable.map { $0.tensor.gradient?.values ?? [] }
    }

    @Test(
        "has the loss, gradients and logits that it has on the same values as floats, also after an evaluation",
        arguments: methods, kinds)
    func gradients(method: String, kind: String) throws {
        for model in Self.models {
            let scratch = try Scratch()
            try scratch.write(model, to: "model/config.json")
            let run = try run(kind, method)
            let (quantized, floats) = (try base(scratch, run), try base(scratch, run))
            var count = 0
            for parameter in floats.model.parameters where parameter.value is QuantizedTensor {
                parameter.value = parameter.tensor
                count += 1
            }
            #expect(count == (model.contains("gpt2") ? 8 : 14))
            let found = try step(quantized, run, evaluatesFirst: true)
            let expected = try step(floats, run, evaluatesFirst: false)
            #expect(found.count == expected.count)
            for (found, expected) in zip(found, expected) {
                #expect(relativeDifference(found, expected.map(Double.init)) <= 1e-5)
            }
            #expect(
                quantized.model.parameters.count { $0.value is QuantizedTensor } == count,
                "no weight in few bits has become floats")
        }
    }

    @Test(
        "that would train such a weight, or begin with a part of it, says so and leaves the model as it was",
        arguments: [
            (
                "{method: full}",
                "error: transformer.h.0.attn.c_attn.weight: is kept in 4 bits, in which it can't be trained, as 7 more: "
                    + "choose a method that adapts linear layers, such as lora, or load the base in floats"
            ),
            (
                "{method: last_layers}",
                "error: transformer.h.1.attn.c_attn.weight: is kept in 4 bits, in which it can't be trained, as 3 more: "
                    + "choose a method that adapts linear layers, such as lora, or load the base in floats"
            ),
            (
                "{method: lora, modules_to_save: [mlp.c_fc]}",
                "error: transformer.h.0.mlp.c_fc.weight: is kept in 4 bits, in which it can't be trained, as 1 more: "
                    + "choose a method that adapts linear layers, such as lora, or load the base in floats"
            ),
            (
                "{method: lora, init_lora_weights: pissa}",
                "3:41: error: peft.init_lora_weights: 'pissa' takes its beginning out of the base's weights, and "
                    + "transformer.h.0.attn.c_attn is kept in 4 bits: load the base in floats"
            ),
        ])
    func refusals(method: String, text: String) throws {
        let scratch = try Scratch()
        try scratch.write(Self.models[0], to: "model/config.json")
        let run = try run("load_in_4bit: true", method)
        let base = try base(scratch, run)
        let (values, before) = (base.model.parameters.map(\.value), base.logits([3, 1, 4]))
        let found = complaint(in: scratch.path) {
            _ = try run.method.install(
                into: base.model, InstallationContext(seed: 1, basePath: "model", isTraining: true))
        }
        #expect(found == text)
        #expect(zip(values, base.model.parameters).allSatisfy { $0 === $1.value })
        #expect(base.logits([3, 1, 4]) == before && base.model.isHeadTied)
    }
}
