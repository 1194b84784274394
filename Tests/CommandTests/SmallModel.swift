import Checkpoints
import Foundation
import JSONText
import Tensors
import TestSupport

/// A folder with a random two-layer GPT-2 over single bytes, `model`, and adapters for it, `a` and `b`.
final class SmallModel {
    let folder: TemporaryFolder
    var model: String { folder.path + "/model" }

    init() throws {
        folder = try TemporaryFolder()
        try folder.write(
            """
            {"model_type": "gpt2", "vocab_size": 300, "n_positions": 48, "n_embd": 16, "n_layer": 2, "n_head": 2,
             "eos_token_id": 256, "dtype": "float32"}
            """, to: "model/config.json")
        let tokenizer = try JSONNode.load(
            path: repositoryRoot.appending(path: "embedded/base/tokenizer.json").path(percentEncoded: false))
        // The first 256 entries are the bytes.
        let vocabulary = try tokenizer.required("model").object("vocab").filter { try $0.value.asInteger() < 256 }
        let members = vocabulary.map { JSONValue.Member($0.key, $0.value.plain) } + [.init("<|endoftext|>", 256)]
        try folder.write(JSONValue.object(members).text(.compact), to: "model/vocab.json")
        try folder.write("#version: 0.2\n", to: "model/merges.txt")
        try ModelWeights.write(Self.shapes.map { Self.tensor($0.name, $0.shape) }, to: model)
        try makeAdapter("a", seed: 100)
        try makeAdapter("b", seed: 200)
    }

    func path(_ name: String) -> String { folder.path + "/" + name }

    /// The loss of a text, with the arguments of `peft eval` that name a model.
    func loss(_ model: [String]) throws -> Double {
        try folder.write("{\"t\": \"some text\"}\n", to: "data.jsonl")
        let outcome = try RunningTool(
            ["eval", "--json", "--data", path("data.jsonl"), "--text", "{t}"] + model
        ).outcome()
        return try JSONNode.parse(outcome.output).number("loss")
    }

    private static let shapes: [(name: String, shape: [Int])] =
        [("transformer.wte.weight", [300, 16]), ("transformer.wpe.weight", [48, 16])]
        + (0..<2).flatMap { layer in
            [
                ("ln_1.weight", [16]), ("ln_1.bias", [16]), ("attn.c_attn.weight", [16, 48]),
                ("attn.c_attn.bias", [48]),
                ("attn.c_proj.weight", [16, 16]), ("attn.c_proj.bias", [16]), ("ln_2.weight", [16]),
                ("ln_2.bias", [16]),
                ("mlp.c_fc.weight", [16, 64]), ("mlp.c_fc.bias", [64]), ("mlp.c_proj.weight", [64, 16]),
                ("mlp.c_proj.bias", [16]),
            ].map { ("transformer.h.\(layer).\($0.0)", $0.1) }
        } + [("transformer.ln_f.weight", [16]), ("transformer.ln_f.bias", [16])]

    private static func tensor(_ name: String, _ shape: [Int], seed: UInt64 = 1) -> OutgoingTensor {
        let count = shape.reduce(1, *)
        let start = name.utf8.reduce(seed) { $0 &* 31 &+ UInt64($1) }
        return OutgoingTensor(name, Tensor(noise(count, seed: start, scale: 0.6), shape: shape), as: .float32)
    }

    private func makeAdapter(_ name: String, seed: UInt64) throws {
        try folder.write("", to: "\(name)/.keep")
        let tensors = (0..<2).flatMap { layer in
            let module = "base_model.model.transformer.h.\(layer).attn.c_attn"
            return [
                Self.tensor("\(module).lora_A.weight", [2, 16], seed: seed),
                Self.tensor("\(module).lora_B.weight", [48, 2], seed: seed),
            ]
        }
        let configuration: JSONValue = [
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": .string(model), "r": 2,
            "lora_alpha": 4, "target_modules": ["c_attn"], "fan_in_fan_out": true,
        ]
        try AdapterFolder.write(configuration: configuration, tensors: tensors, to: path(name))
    }
}
