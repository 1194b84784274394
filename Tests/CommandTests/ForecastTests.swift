import Foundation
import JSONText
import TestSupport
import Testing

@Suite("What a run will take", .serialized) struct ForecastTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        // As many bytes as tokens: 16 records of up to 250.
        let records = (0..<16).map { index in
            #"{"q": "\#(String(repeating: "a", count: 90 + index % 5))", "a": "\#(String(repeating: "b", count: 150 + index % 3))"}"#
        }
        try folder.write(records.joined(separator: "\n") + "\n", to: "data.jsonl")
    }

    /// A folder with a random model over single bytes.
    private func makeModel(_ family: String, width: Int, layers: Int) throws {
        let configuration =
            switch family {
            case "gpt2":
                """
                {"model_type": "gpt2", "vocab_size": 300, "n_positions": 320, "n_embd": \(width), "n_layer": \(layers),
                 "n_head": 4}
                """
            case "llama":
                """
                {"model_type": "llama", "vocab_size": 300, "max_position_embeddings": 320, "hidden_size": \(width),
                 "intermediate_size": \(3 * width), "num_hidden_layers": \(layers), "num_attention_heads": 4,
                 "num_key_value_heads": 2, "tie_word_embeddings": true, "eos_token_id": 256}
                """
            default:
                """
                {"model_type": "t5", "vocab_size": 300, "d_model": \(width), "d_kv": \(width / 4), "d_ff": \(2 * width),
                 "num_layers": \(layers), "num_heads": 4, "feed_forward_proj": "gated-gelu",
                 "tie_word_embeddings": false, "eos_token_id": 256, "pad_token_id": 257, "decoder_start_token_id": 257}
                """
            }
        try folder.write(configuration, to: "model/config.json")
        let tokenizer = try JSONNode.load(
            path: repositoryRoot.appending(path: "embedded/base/tokenizer.json").path(percentEncoded: false))
        let vocabulary = try tokenizer.required("model").object("vocab").filter { try $0.value.asInteger() < 256 }
        let members = vocabulary.map { JSONValue.Member($0.key, $0.value.plain) } + [.init("<|endoftext|>", 256)]
        try folder.write(JSONValue.object(members).text(.compact), to: "model/vocab.json")
        try folder.write("#version: 0.2\n", to: "model/merges.txt")
    }

    private func arguments(_ changes: [String], _ flags: [String] = []) throws -> [String] {
        let configuration = try folder.write(
            """
            model: {path: \(folder.path)/model, init: random}
            data: {train: \(folder.path)/data.jsonl, prompt: "{q}=", completion: "{a}"}
            peft: {method: lora, r: 4}
            training: {output_dir: \(folder.path)/run, max_steps: 3, per_device_train_batch_size: 8, learning_rate: 1.0e-3}

            """, to: "run.yaml"
        ).path(percentEncoded: false)
        return ["train", "--config", configuration, "--threads", "2"] + changes.flatMap { ["--set", $0] } + flags
    }

    private func train(_ changes: [String], _ flags: [String] = []) throws -> Outcome {
        try RunningTool(arguments(changes, flags)).outcome()
    }

    private static let cases: [(family: String, width: Int, layers: Int, changes: [String])] = [
        ("gpt2", 128, 2, []), ("gpt2", 192, 3, []), ("gpt2", 256, 4, []),
        ("gpt2", 256, 4, ["training.gradient_checkpointing=true"]), ("gpt2", 256, 4, ["peft={method: full}"]),
        (
            "gpt2", 256, 3,
            ["peft={method: prefix_tuning, num_virtual_tokens: 8}", "training.gradient_accumulation_steps=2"]
        ),
        ("llama", 256, 3, []), ("llama", 256, 4, ["training.gradient_checkpointing=true"]),
        ("llama", 256, 3, ["peft={method: full}", "training.optim=adamw_8bit"]),
        ("t5", 256, 2, []), ("t5", 256, 2, ["peft={method: full}", "training.gradient_checkpointing=true"]),
    ]

    @Test(
        "of memory is told to a tenth, whatever trains, in models of three sizes and three families", arguments: cases)
    func memory(family: String, width: Int, layers: Int, changes: [String]) throws {
        try makeModel(family, width: width, layers: layers)
        let dry = try train(changes, ["--dry-run", "--json"])
        #expect(dry.status == 0, "\(dry.errors)")
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/run"))
        let run = try train(changes, ["--json"])
        #expect(run.status == 0, "\(run.errors)")
        let told = Double(try JSONNode.parse(dry.output).integer("peak_memory_bytes"))
        let taken = Double(try JSONNode.parse(run.output).integer("peak_memory_bytes"))
        #expect(abs(told / taken - 1) < 0.1, "told \(told / 1e6) MB, taken \(taken / 1e6) MB")
    }

    @Test("of memory is its own, however much the process has that starts it")
    func starter() throws {
        try makeModel("gpt2", width: 32, layers: 2)
        let bytes = 400_000_000
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 4096)
        memory.initializeMemory(as: UInt8.self, repeating: 1, count: bytes)
        defer { memory.deallocate() }
        for flags in [["--dry-run", "--json"], ["--json"]] {
            let outcome = try train([], flags)
            #expect(try JSONNode.parse(outcome.output).integer("peak_memory_bytes") < bytes / 2)
        }
    }

    private func told(_ changes: [String]) throws -> Int {
        let outcome = try train(changes, ["--dry-run", "--json"])
        try #require(outcome.status == 0, "\(outcome.errors)")
        return try JSONNode.parse(outcome.output).integer("peak_memory_bytes")
    }

    @Test("of memory leaves out an optimizer's state that lies in a scratch file")
    func paged() throws {
        try makeModel("llama", width: 384, layers: 4)
        let full = ["peft={method: full}", "training.per_device_train_batch_size=1"]
        let (ordinary, paged) = (
            try told(full + ["training.optim=adamw_torch"]), try told(full + ["training.optim=paged_adamw_32bit"])
        )
        // Two numbers of each that trains.
        let state = 8 * (300 * 384 + 4 * (3 * 384 * 384 + 9 * 384 * 384 + 2 * 384) + 384)
        #expect(abs(Double(ordinary - paged) / Double(state) - 1) < 0.25, "\(ordinary) and \(paged), \(state) of state")
    }

    /// Records enough for their hidden states to count.
    private func writeManyRecords() throws -> String {
        let records = (0..<160).map { index in
            #"{"q": "\#(index) \#(String(repeating: "a", count: 90))", "a": "\#(String(repeating: "b", count: 150))"}"#
        }
        try folder.write(records.joined(separator: "\n") + "\n", to: "many.jsonl")
        return "data.train=\(folder.path)/many.jsonl"
    }

    private static let upper = ["peft={method: lora, r: 4, layers_to_transform: [3]}", "training.max_steps=100"]

    @Test("of memory has the hidden states that are kept in it, but those in a scratch file")
    func kept() throws {
        try makeModel("llama", width: 256, layers: 4)
        let changes = [try writeManyRecords()] + Self.upper
        let (memory, scratch) = (try told(changes), try told(changes + ["training.hidden_states_memory=0"]))
        let bytes = 160 * 244 * 256 * 4
        #expect(abs(Double(memory - scratch) / Double(bytes) - 1) < 0.25, "\(memory) and \(scratch), \(bytes) kept")
    }

    @Test("of memory is the same for a size of batches that is found as for one that is given")
    func found() throws {
        try makeModel("llama", width: 256, layers: 4)
        // With the batches of one, of which the reckoning begins, no record comes twice.
        let changes = [try writeManyRecords()] + Self.upper
        let outcome = try train(
            changes + ["training.per_device_train_batch_size=auto", "training.memory_limit=10GB"], ["--dry-run"])
        let note = try #require(
            outcome.errors.firstMatch(of: /per_device_train_batch_size auto: 160, which takes about ([\d,]+) MB/),
            "\(outcome.errors)")
        let found = try #require(Double(note.1.replacing(",", with: "")))
        let given = Double(try told(changes + ["training.per_device_train_batch_size=160"])) / 1e6
        #expect(abs(found / given - 1) < 0.05, "\(found) and \(given) MB")
    }

    @Test("of memory in each of several processes is that of its share of a batch", arguments: MPI.installed)
    func ranks(mpi: MPI) throws {
        // Large enough for MPI's own memory not to show.
        try makeModel("gpt2", width: 512, layers: 4)
        let alone = try told([])
        let outcome = try mpi.run(2, try arguments([], ["--dry-run", "--json"]))
        #expect(outcome.status == 0, "\(outcome.errors)")
        let start = try #require(outcome.output.firstIndex(of: "{"))
        let end = try #require(outcome.output.range(of: "\n}\n")?.upperBound)
        let together = try JSONNode.parse(String(outcome.output[start..<end])).integer("peak_memory_bytes")
        #expect(abs(Double(together) / Double(alone) - 1) < 0.1, "\(together) and \(alone)")
    }

    @Test("is told in words and as JSON, and warned of where there is less memory")
    func words() throws {
        try makeModel("gpt2", width: 32, layers: 2)
        let outcome = try train(["training.memory_limit=1MB"], ["--dry-run", "--json"])
        let node = try JSONNode.parse(outcome.output)
        #expect(try node.integer("steps") == 3 && node.integer("records") == 16 && node.integer("truncated") == 0)
        #expect(try node.integer("tokens") > 3 * 8 * 200 && node.integer("available_memory_bytes") == 1_000_000)
        #expect(node.member("seconds")?.isNull == true)
        #expect(outcome.errors.contains(" of memory at most, of 1.0 MB that there are; "))
        #expect(outcome.errors.contains("warning: the run takes about "))
        let enough = try train([], ["--dry-run", "--json"])
        #expect(try JSONNode.parse(enough.output).number("seconds") > 0)
        #expect(!enough.errors.contains("warning: the run takes about "))
        // On which the time depends.
        #expect(
            enough.errors.contains(
                "\nshared prompts: none, because dropout is drawn for each record by itself (training.share_prompts: on draws "
                    + "it once for what they have in common)\n"), "\(enough.errors)")
    }

    @Test("decides about the size of batches where that is auto, and a run that is resumed keeps it")
    func automatic() throws {
        try makeModel("gpt2", width: 192, layers: 3)
        let auto = ["training.per_device_train_batch_size=auto"]
        let base = Double(
            try JSONNode.parse(train(["training.per_device_train_batch_size=1"], ["--dry-run", "--json"]).output)
                .integer("peak_memory_bytes"))
        let whole = Double(
            try JSONNode.parse(train(["training.per_device_train_batch_size=16"], ["--dry-run", "--json"]).output)
                .integer("peak_memory_bytes"))
        let limit = Int((base + whole) / 2e6)
        let outcome = try train(auto + ["training.memory_limit=\(limit)MB"], ["--json"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        let note = try #require(
            outcome.errors.firstMatch(
                of:
                    /per_device_train_batch_size auto: (\d+), which takes about ([\d,]+) MB of the ([\d,]+) MB that training.memory_limit allows/
            ))
        let size = try #require(Int(note.1))
        #expect((2..<16).contains(size))
        #expect(try JSONNode.parse(outcome.output).integer("peak_memory_bytes") < Int(Double(limit) * 1.1e6))
        #expect(try folder.text("run/training_config.yaml").contains("  per_device_train_batch_size: \(size)\n"))
        let longer = auto + ["training.memory_limit=10GB", "training.max_steps=4"]
        let resumed = try train(longer, ["--resume"])
        #expect(resumed.status == 0, "\(resumed.errors)")
        #expect(resumed.errors.contains("\nper_device_train_batch_size auto: \(size), as the run began\n"))
        let all = try train(auto + ["training.memory_limit=10GB"], ["--overwrite"])
        #expect(all.errors.contains("\nper_device_train_batch_size auto: 16, which takes about "))
        let tight = try train(auto + ["training.memory_limit=2MB"], ["--overwrite"])
        #expect(tight.status == 65)
        #expect(
            tight.errors.hasPrefix(
                "--set training.per_device_train_batch_size=auto: error: training.per_device_train_batch_size: even batches of one example take about "
            ))
    }

    @Test("that can't be is told of")
    func problems() throws {
        try makeModel("gpt2", width: 32, layers: 2)
        for (change, message) in [
            ("memory_limit=8", "expected a size such as 8GB, 500MB or 16GiB, got '8'"),
            ("max_time=90", "expected a time such as 2h, 1h30m, 90m or 45s, got '90'"),
            ("max_time=30m1h", "expected a time such as 2h, 1h30m, 90m or 45s, got '30m1h'"),
            ("per_device_train_batch_size=many", "expected an integer, got 'many'"),
        ] {
            let outcome = try train(["training.\(change)"])
            let key = change.prefix { $0 != "=" }
            #expect(outcome.status == 65)
            #expect(outcome.errors == "--set training.\(change): error: training.\(key): \(message)\n")
        }
    }
}
