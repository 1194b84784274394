import Batches
import Checkpoints
import Configuration
import Datasets
import Foundation
import JSONText
import Layers
import Models
import Tensors
import TestSupport
import Testing
import Training

/// The Python of an environment with transformers.
private let interpreter = ProcessInfo.processInfo.environment["PEFT_REFERENCE_PYTHON"]

@Suite("What a run delivers") struct DeliveryTests {
    @Test("is an adapter with its card, configuration and metrics, beside the checkpoints")
    func files() throws {
        let training = try TinyTraining()
        try training.run(["training.save_steps=8"])
        #expect(
            try training.scratch.names("run") == [
                "README.md", "adapter_config.json", "adapter_model.safetensors", "checkpoints", "loss.svg",
                "metrics.jsonl", "training_config.yaml",
            ])
        #expect(try training.scratch.names("run/checkpoints") == ["step-8"])
    }

    @Test("has a card whose front matter is YAML whatever the base's path, and whose commands are ones to a shell")
    func card() throws {
        let training = try TinyTraining()
        let odd = "it's: a #model"
        try FileManager.default.moveItem(atPath: training.scratch("model"), toPath: training.scratch(odd))
        let path = training.scratch(odd)
        // A path with ': ' is given as the command line's YAML.
        let output = training.scratch("it's")
        try training.run(
            ["model.init=random", "training.max_steps=1", "peft.method=full"], into: "base", model: path)
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.moveItem(atPath: training.scratch("base"), toPath: path)
        try training.run(["model.init=pretrained", "training.max_steps=1"], into: "it's", model: path)
        let card = try training.scratch.text("it's/README.md")
        let parts = card.components(separatedBy: "---\n")
        #expect(parts.count == 3 && parts[0].isEmpty)
        let front = try ConfigDocument.parse(yaml: parts[1]).root
        #expect(front.requiredString("base_model") == path)
        #expect(front.requiredString("library_name") == "peft")
        #expect(front.requiredString("pipeline_tag") == "text-generation")
        #expect(front.optionalStrings("tags") == ["base_model:adapter:\(path)", "lora", "transformers"])
        let quoted = output.replacingOccurrences(of: "'", with: "'\\''")
        #expect(parts[2].contains("\npeft generate --adapter '\(quoted)' --as-trained --prompt 'TEXT'\n"))
        #expect(parts[2].contains("AutoModelForCausalLM.from_pretrained(\"\(path)\")\n"))
    }

    @Test("has a card with the method, the data, the settings and the losses")
    func wholeCard() throws {
        let training = try TinyTraining()
        let validation = training.scratch("validation.jsonl")
        let run = try training.run([
            "data.validation=\(validation)", "training.num_train_epochs=3", "training.save_steps=6", "peft.r=2",
        ])
        let card = try training.scratch.text("run/README.md")
        func number(_ loss: Double?) -> String { String(format: "%.4f", loss ?? .nan) }
        let losses = run.evaluated.map(\.loss)
        let best = try #require(losses.min())
        for line in [
            "# run", "| `r` | `2` |", "| `learning_rate` | `0.01` |", "| `lr_scheduler_type` | `linear` |",
            "| `num_train_epochs` | `3.0` |", "| `per_device_train_batch_size` | `2` |", "| `seed` | `42` |",
            "| training | `\(training.scratch("data.jsonl"))` | 21 | 21 | 0 | 0 | \(try tokens("data.jsonl", training)) |",
            "| validation | `\(validation)` | 5 | 5 | 0 | 0 | \(try tokens("validation.jsonl", training)) |",
            #"prompt: "{q}=""#, #"completion: "{a}""#,
            "| training loss, first, step 3 | \(number(run.logged.first?.loss)) |",
            "| training loss, last, step 18 | \(number(run.summary?.finalLoss)) |",
            "| evaluation loss, first, step 6 | \(number(losses.first)) |",
            "| evaluation loss, lowest, step \(6 * ((losses.firstIndex(of: best) ?? 0) + 1)) | \(number(best)) |",
            "| evaluation loss, last, step 18 | \(number(losses.last)) |", "| steps | 18 |",
            "| tokens | \(run.summary?.tokens ?? 0) |", "from peft import PeftModel",
            "model = PeftModel.from_pretrained(model, \"\(training.scratch("run"))\")", "## Licence",
        ] { #expect(card.contains("\n\(line)\n"), "\(line)\n\(card)") }
        // A run that stopped on the way has the same card, but for the clock and the memory.
        try training.run(
            ["data.validation=\(validation)", "training.num_train_epochs=3", "training.save_steps=6", "peft.r=2"],
            into: "halves", stoppingAfter: 7)
        try training.run(
            ["data.validation=\(validation)", "training.num_train_epochs=3", "training.save_steps=6", "peft.r=2"],
            into: "halves", .resume)
        func steady(_ card: String) -> [Substring] {
            card.split(separator: "\n").filter { !$0.hasPrefix("| seconds") && !$0.hasPrefix("| peak memory") }
        }
        let halves = try training.scratch.text("halves/README.md").replacingOccurrences(of: "halves", with: "run")
        #expect(steady(halves) == steady(card))
    }

    /// The tokens of a data set, as its evaluation counts them: those that go in, and the last one.
    private func tokens(_ name: String, _ training: TinyTraining) throws -> Int {
        let configuration = try training.configuration([])
        let base = try BaseModel.load(training.scratch("model"), randomSeed: 1, warn: { _ in })
        let data = try configuration.data.dataset(
            paths: [training.scratch(name)], codec: base.codec(), lengthLimit: nil)
        return try (0..<data.count).reduce(0) { try $0 + data.example($1).tokens.count }
    }

    @Test("has a card that says what libraries can't do with it, and names no base where there is none")
    func otherCards() throws {
        let training = try TinyTraining()
        try training.run(["peft.method=loha", "training.max_steps=1"], into: "loha")
        #expect(
            try training.scratch.text("loha/README.md").contains(
                "\npeft refuses this method where weights are transposed, as GPT-2's are: merge the adapter, or convert it to a "
                    + "LoRA.\n"))
        try training.run(["peft.method=adapter", "training.max_steps=1"], into: "adapter")
        let adapter = try training.scratch.text("adapter/README.md")
        #expect(adapter.contains("\nimport adapters\n") && adapter.contains("\nlibrary_name: adapters\n"))
        #expect(adapter.contains("\nIt can't be merged into its base: ") && !adapter.contains("peft merge"))
        try training.run(["peft.method=full", "training.max_steps=1"], into: "new")
        let new = try training.scratch.text("new/README.md")
        #expect(!new.contains("base_model") && new.contains("trained from the beginning: "))
        #expect(new.contains("\npeft generate --base \(training.scratch("new")) --as-trained --prompt 'TEXT'\n"))
    }

    @Test("comes out again, to the bit, of the configuration that lies beside it")
    func configuration() throws {
        let training = try TinyTraining()
        try training.run(["peft.r=3", "peft.lora_dropout=0.1", "peft.bias=all"])
        try training.run(into: "again", file: "run/training_config.yaml")
        for name in ["adapter_model.safetensors", "adapter_config.json"] {
            #expect(try training.bytes("again/\(name)") == training.bytes("run/\(name)"))
        }
        #expect(try training.metrics("again") == training.metrics("run"))
        // And once more where it names an adapter to start from.
        let start = ["peft.init_from=\(training.scratch("run"))", "peft.lora_dropout=0.05"]
        try training.run(start, into: "second")
        try training.run(into: "second-again", file: "second/training_config.yaml")
        #expect(
            try training.bytes("second/adapter_model.safetensors")
                == training.bytes("second-again/adapter_model.safetensors"))
    }

    /// A model folder in half precision, with what transformers saves beside it.
    private func halfPrecisionModel(_ training: TinyTraining) throws {
        let base = try BaseModel.load(training.scratch("model"), randomSeed: 5, warn: { _ in })
        try FileManager.default.copyItem(atPath: training.scratch("model"), toPath: training.scratch("half"))
        try SafetensorsWriter.write(
            base.model.parameters.map { OutgoingTensor($0.name, $0.tensor, as: .float16) },
            to: training.scratch("half/model.safetensors"))
        try training.scratch.write("{\"eos_token_id\": 0}\n", to: "half/generation_config.json")
        try training.scratch.write("the base's own\n", to: "half/README.md")
    }

    private let full = ["peft.method=full", "model.init=pretrained", "training.save_steps=5"]

    @Test("is, after full tuning, a model in float32 that says so, with all that the base's folder had")
    func model() throws {
        let training = try TinyTraining()
        try halfPrecisionModel(training)
        try training.run(full + ["model.path=\(training.scratch("half"))"])
        #expect(
            try training.scratch.names("run") == [
                "README.md", "checkpoints", "config.json", "generation_config.json", "loss.svg", "merges.txt",
                "metrics.jsonl", "model.safetensors", "training_config.yaml", "vocab.json",
            ])
        let configuration = try JSONNode.load(path: training.scratch("run/config.json"))
        #expect(try configuration.string("torch_dtype") == "float32")
        #expect(
            try training.bytes("run/generation_config.json") == training.bytes("half/generation_config.json"))
        #expect(try training.scratch.text("run/README.md").contains("\nlibrary_name: transformers\n"))
        // Checkpoints are models too, each with weights of its own.
        let models = try ["half", "run/checkpoints/step-5", "run/checkpoints/step-10", "run"].map {
            try BaseModel.load(training.scratch($0), randomSeed: nil, warn: { Issue.record($0) })
        }
        #expect(models.allSatisfy { $0.tokenizer != nil })
        #expect(Set(models.map { $0.model.parameters[0].tensor.values }).count == 4)
    }

    @Test(
        "is a model that transformers loads, with the same logits",
        .enabled(if: interpreter != nil, "PEFT_REFERENCE_PYTHON names no Python with transformers"))
    func reference() throws {
        let training = try TinyTraining()
        try halfPrecisionModel(training)
        try training.run(full + ["model.path=\(training.scratch("half"))"])
        let model = try BaseModel.load(training.scratch("run"), randomSeed: nil, warn: { _ in }).model
        let ids = (0..<20).map { Int32($0 * 31 % 320) }
        let logits = model.logits(TokenBatch(sequences: [ids]), rows: nil, .inference())
        let rows = (0..<ids.count).map { row in
            JSONValue.array(logits.values[row * 320..<(row + 1) * 320].map { .number(Double($0)) })
        }
        let expected: JSONValue = [
            "sequences": [["ids": .array(ids.map { .integer(Int($0)) }), "logits": .array(rows)]]
        ]
        try training.scratch.write(expected.text(.compact), to: "logits.json")
        let script = repositoryRoot.appending(path: "scripts/check_model.py").path(percentEncoded: false)
        // With no dtype asked for, transformers takes the one of config.json.
        let dtype = """
            import sys, transformers
            print(transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1]).dtype)
            """
        let checked = try python([script, training.scratch("run"), training.scratch("logits.json")])
        #expect(checked.status == 0, "\(checked.output)")
        #expect(try python(["-c", dtype, training.scratch("run")]).output.hasSuffix("torch.float32\n"))
    }

    private func python(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: try #require(interpreter))
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, said)
    }
}
