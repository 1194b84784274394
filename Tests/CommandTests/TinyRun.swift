import Foundation
import JSONText
import TestSupport
import Testing

/// A run of six steps on a two-layer GPT-2 over single bytes, in a folder of its own.
struct TinyRun {
    let folder: TemporaryFolder
    /// The path of its configuration.
    let configuration: String

    /// The arguments that train it.
    var arguments: [String] { ["train", "--config", configuration, "--threads", "1"] }

    init() throws {
        folder = try TemporaryFolder()
        try Self.makeModel(in: folder)
        let records = (0..<24).map { #"{"q": "\#($0 % 7)", "a": "\#($0 % 5)\#($0 % 3)"}"# }
        try folder.write(records.joined(separator: "\n") + "\n", to: "data.jsonl")
        configuration = try folder.write(
            """
            model: {path: \(folder.path)/model, init: random}
            data:
              train: \(folder.path)/data.jsonl
              validation: \(folder.path)/data.jsonl
              prompt: "{q}="
              completion: "{a}"
            peft: {method: lora, r: 2, target_modules: [c_attn]}
            training:
              output_dir: \(folder.path)/run
              max_steps: 6
              logging_steps: 2
              per_device_train_batch_size: 4
              learning_rate: 1.0e-2

            """, to: "run.yaml"
        ).path(percentEncoded: false)
    }

    /// The folder of the model with weights, as it is after a step, for commands that begin no run.
    func trainedModel() throws -> String {
        let place = "\(folder.path)/weights"
        let changes = ["peft={method: full}", "training.max_steps=1", "training.output_dir=\(place)"]
        let outcome = try RunningTool(arguments + changes.flatMap { ["--set", $0] }).outcome()
        try #require(outcome.status == 0, "\(outcome.errors)")
        return place
    }

    private static func makeModel(in folder: TemporaryFolder) throws {
        try folder.write(
            """
            {"model_type": "gpt2", "vocab_size": 300, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2,
             "embd_pdrop": 0.0, "resid_pdrop": 0.0, "attn_pdrop": 0.0}
            """, to: "model/config.json")
        let tokenizer = try JSONNode.load(
            path: repositoryRoot.appending(path: "embedded/base/tokenizer.json").path(percentEncoded: false))
        // The first 256 entries are the bytes.
        let vocabulary = try tokenizer.required("model").object("vocab").filter { try $0.value.asInteger() < 256 }
        let members = vocabulary.map { JSONValue.Member($0.key, $0.value.plain) } + [.init("<|endoftext|>", 256)]
        try folder.write(JSONValue.object(members).text(.compact), to: "model/vocab.json")
        try folder.write("#version: 0.2\n", to: "model/merges.txt")
    }
}
