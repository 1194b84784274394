import FoundationEssentials
import JSONText
import TestSupport
import Testing

/// A T5 from random weights to answers, as its users run it.
@Suite("A model with an encoder") struct EncoderDecoderCommandTests {
    private static let model = repositoryRoot.appending(path: "embedded/t5").path(percentEncoded: false)
    private static let records = [("name[The Mill]", "The Mill is cheap."), ("name[Aromi]", "Aromi is a pub.")]
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try folder.write(
            Self.records.map { #"{"mr": "\#($0)", "ref": "\#($1)"}"# + "\n" }.joined(), to: "data.jsonl")
    }

    private func file(_ name: String) -> String { folder.path + "/" + name }

    private func train(
        _ changes: String..., data: String = #"prompt: "describe: {mr}", completion: "{ref}""#,
        peft: String = "method: full", model: String? = nil
    ) throws -> Outcome {
        try folder.write(
            """
            model: {path: \(model ?? Self.model)}
            data: {train: \(file("data.jsonl")), shuffle: false, \(data)}
            peft: {\(peft)}
            training:
              {output_dir: \(file("run")), max_steps: 60, learning_rate: 5.0e-3, lr_scheduler_type: constant,
               per_device_train_batch_size: 2, save_steps: 60}
            """, to: "run.yaml")
        return try RunningTool(
            ["train", "--config", file("run.yaml"), "--threads", "1", "--overwrite"]
                + changes.flatMap { ["--set", $0] }
        ).outcome()
    }

    private func complaint(_ outcome: Outcome) -> String {
        #expect(outcome.status == 65, "\(outcome.errors)")
        return outcome.errors.replacing(folder.path, with: "FOLDER").replacing(Self.model, with: "MODEL")
            .split(separator: "\n").filter { $0.contains("error: ") }.joined(separator: "\n")
    }

    @Test("learns from random weights what to write, alone and by an adapter, merged too")
    func wholeWay() throws {
        let base = file("base")
        let whole = try train("model.init=random", "training.output_dir=\(base)")
        #expect(whole.status == 0, "\(whole.errors)")
        #expect(whole.errors.contains("each text ends with the token 1 (</s>)"))
        let card = try folder.text("base/README.md")
        #expect(card.contains("AutoModelForSeq2SeqLM.from_pretrained(\"\(base)\")\n"))
        func answers(_ arguments: String...) throws -> [String] {
            let outcome = try RunningTool(
                ["generate", "--as-trained", "--json"] + arguments, input: "name[The Mill]\nname[Aromi]\n"
            ).outcome()
            #expect(outcome.status == 0, "\(outcome.errors)")
            return try outcome.output.split(separator: "\n").map { try JSONNode.parse(String($0)).string("completion") }
        }
        #expect(try answers("--base", base) == Self.records.map(\.1))
        let scores = try peft(
            "eval", "--base", base, "--data", file("data.jsonl"), "--prompt", "describe: {mr}", "--completion", "{ref}",
            "--rouge", "--json")
        #expect(scores.status == 0, "\(scores.errors)")
        #expect(try JSONNode.parse(scores.output).required("rougeL").number("fmeasure") == 1)

        // The other way round, from what was learned.
        let adapter = try train(
            "training.max_steps=150", "training.lr_scheduler_type=linear",
            data: #"prompt: "attributes: {ref}", completion: "{mr}""#,
            peft: "method: lora, r: 16, lora_alpha: 32, target_modules: all-linear", model: base)
        #expect(adapter.status == 0, "\(adapter.errors)")
        let question = ["generate", "--json", "--prompt", "attributes: Aromi is a pub."]
        let merged = file("merged")
        let merging = try peft("merge", "--adapter", file("run"), "--output", merged)
        #expect(merging.status == 0, "\(merging.errors)")
        for arguments in [["--adapter", file("run")], ["--base", merged]] {
            let outcome = try RunningTool(question + arguments).outcome()
            #expect(try JSONNode.parse(outcome.output).string("completion") == "name[Aromi]", "\(outcome.errors)")
        }
        #expect(try peft("doctor", file("run")).status == 0)

        let other = try train("training.max_steps=1", model: base)
        #expect(other.status == 0, "\(other.errors)")
        let conversion = try peft(
            "convert", "--model", file("run"), "--base", base, "--rank", "2", "--output", file("lora"))
        #expect(
            complaint(conversion)
                == "FOLDER/run: error: changes shared, which no LoRA can hold: it is read through other modules in "
                + "transformers, so that nothing there would depend on it; single rows train by trainable_token_indices"
        )

        let bottleneck = try train(
            "training.max_steps=1", peft: "method: adapter, variant: houlsby, cross_adapter: true", model: base)
        #expect(bottleneck.status == 0, "\(bottleneck.errors)")
        let diagnosis = try peft("doctor", file("run"))
        #expect(diagnosis.status == 0, "\(diagnosis.output)")
    }

    @Test("refuses what only a model that goes on with texts can learn, and says what to do")
    func foreignData() throws {
        let advice = "the model has an encoder for what is given and a decoder for what is wanted"
        // What stands before the value that is wrong, the value, and the message.
        let cases = [
            ("text: ", #""{ref}""#, "data.text: \(advice): give prompt and completion"),
            (#"text: "{ref}", block_size: "#, "8", "data.block_size: \(advice): give prompt and completion"),
            (
                "messages: ", "chat",
                "data.messages: \(advice), so that it reads no conversation as one text: give prompt and completion "
                    + "instead of messages (chat)"
            ),
        ]
        try folder.write(
            #"{"mr": "a", "ref": "b", "chat": [{"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}]}"#
                + "\n" + #"{"mr": "c", "ref": "d", "chat": []}"#, to: "data.jsonl")
        let line = "data: {train: \(file("data.jsonl")), shuffle: false, "
        for (before, value, message) in cases {
            let column = line.count + before.count + 1
            let found = try complaint(train("model.init=random", data: before + value))
            #expect(found == "FOLDER/run.yaml:2:\(column): error: \(message)")
        }
        try folder.write("a line\n", to: "lines.txt")
        let lines = try complaint(
            train("model.init=random", "data.train=\(file("lines.txt"))", data: "max_length: 9"))
        #expect(lines.hasSuffix("error: data.prompt: \(advice): give prompt and completion"), "\(lines)")
        let labels = try complaint(
            train("model.init=random", "task=sequence_classification", data: #"text: "{mr}", label: "{ref}""#))
        #expect(
            labels
                == "error: a model with an encoder and a decoder has no head for labels here: let it write them, with "
                + "prompt and completion")
    }

    @Test("has a limit for what is given and one for what is wanted, which the other models haven't")
    func lengths() throws {
        let long = String(repeating: "pub ", count: 30)
        try folder.write(
            #"{"mr": "\#(long)", "ref": "short"}"# + "\n" + #"{"mr": "short", "ref": "\#(long)"}"# + "\n",
            to: "data.jsonl")
        let data = #"prompt: "{mr}", completion: "{ref}", max_length: 20, max_target_length: 10"#
        let tooLong = try complaint(train("model.init=random", data: data))
        #expect(
            tooLong
                == "FOLDER/data.jsonl:1:1: error: 31 tokens of the prompt are more than max_length (20): choose a "
                + "max_length_policy (drop, keep_prompt_start, keep_prompt_end)\n"
                + "FOLDER/data.jsonl:2:1: error: 31 tokens of the completion are more than max_target_length (10): choose a "
                + "max_length_policy (drop, keep_prompt_start, keep_prompt_end)")
        let cut = try train(
            "model.init=random", "training.max_steps=1", data: data + ", max_length_policy: keep_prompt_start")
        #expect(cut.status == 0)
        #expect(cut.errors.contains("2 truncated"), "\(cut.errors)")
        let dropped = try train("model.init=random", data: data + ", max_length_policy: drop")
        #expect(complaint(dropped).contains("all 2 records are longer than max_length (20)"), "\(dropped.errors)")
        let onlyTargets = try train(
            "model.init=random",
            data: #"prompt: "{mr}", completion: "{ref} {ref}", max_length: 200, max_target_length: 2, "#
                + "max_length_policy: drop")
        #expect(
            complaint(onlyTargets)
                == "FOLDER/data.jsonl: error: all 2 records are longer than max_length (200) or max_target_length (2): "
                + "nothing is left to learn from")
        let decoder = fixture("chat/model").path(percentEncoded: false)
        #expect(
            try complaint(train("model.init=random", data: data, model: decoder)).contains(
                "error: data.max_target_length: goes with models whose encoder reads the prompt; this one reads prompt and "
                    + "completion as one text, whose limit is max_length"))
        #expect(
            try complaint(train("model.init=random", "task=seq_2_seq_lm", model: decoder)).contains(
                "error: task: the model has no encoder: task seq_2_seq_lm is for those that have one, and the others go "
                    + "on with texts (causal_lm)"))
    }

    @Test("refuses adapters of models without an encoder, of its token embedding, and settings that mean nothing")
    func foreignAdapters() throws {
        let gpt2 = fixture("adapters/default").path(percentEncoded: false)
        let foreign = try peft(
            "generate", "--adapter", gpt2, "--base", Self.model, "--prompt", "x")
        #expect(foreign.status != 0)
        for key in ["target_modules", "modules_to_save"] {
            let settings = key == "target_modules" ? "[q, shared]" : "[shared]"
            #expect(
                try complaint(train("model.init=random", peft: "method: lora, r: 2, \(key): \(settings)")).contains(
                    "\(key): shared is read through other modules in transformers, so that nothing there would depend on "
                        + "it; single rows train by trainable_token_indices"))
        }
        #expect(
            try complaint(train("model.init=random", peft: "method: bitfit")).contains(
                "biases: the model has no biases, so nothing would train"))
        #expect(
            try complaint(
                train(
                    "model.init=random",
                    peft: "method: prefix_tuning, num_virtual_tokens: 2, prefix_placement: every_attention, "
                        + "num_transformer_submodules: 1")
            ).contains(
                "num_transformer_submodules: says how peft lays pairs out, and prefix_placement: every_attention has them "
                    + "all: leave it out"))
    }
}
