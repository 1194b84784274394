import Checkpoints
import Foundation
import JSONText
import Tensors
import TestSupport
import Testing

/// Base models whose files hold what the tool must not pass over in silence.
@Suite("A base model")
struct BaseFilesTests {
    private let small: SmallModel

    init() throws { small = try SmallModel() }

    /// Writes the model's tensors again, changed, and some more.
    private func rewrite(
        adding more: [(String, Tensor)] = [], _ change: (String, inout [Float]) -> Void = { _, _ in }
    ) throws {
        let path = small.path("model/model.safetensors")
        let file = try SafetensorsFile(path: path, warn: { _ in })
        let tensors = try file.tensors.map { entry in
            var values = try file.tensor(named: entry.name).values
            change(entry.name, &values)
            return OutgoingTensor(entry.name, Tensor(values, shape: entry.shape), as: .float32)
        }
        try SafetensorsWriter.write(
            tensors + more.map { OutgoingTensor($0.0, $0.1, as: .float32) }, to: path + ".new")
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.moveItem(atPath: path + ".new", toPath: path)
    }

    private func write(_ records: String = "{\"q\": \"ab\", \"a\": \"cd\", \"l\": \"x\"}\n") throws -> [String] {
        try small.folder.write(records, to: "data.jsonl")
        return ["--data", small.path("data.jsonl")]
    }

    private func run(_ arguments: [String], input: String = "") throws -> Outcome {
        var outcome = try RunningTool(arguments + ["--threads", "1"], input: input).outcome()
        outcome.errors = outcome.errors.replacing(small.folder.path + "/", with: "")
        outcome.output = outcome.output.replacing(small.folder.path + "/", with: "")
        return outcome
    }

    private func trainingConfiguration(_ method: String) throws -> String {
        try small.folder.write(
            """
            model: {path: \(small.model)}
            data: {train: \(small.path("data.jsonl")), prompt: "{q}", completion: "{a}"}
            peft: {method: \(method)}
            training: {output_dir: \(small.path("run")), max_steps: 1, learning_rate: 1.0e-3}

            """, to: "run.yaml"
        ).path(percentEncoded: false)
    }

    // MARK: Numbers that are none

    private static let broken =
        "model: error: transformer.wte.weight: holds NaN in row 97, column 3, with which nothing can be computed: the "
        + "training that made it diverged, or the file is damaged\n"

    @Test("that holds NaN where a text needs it is an error that names tensor and element, in every command")
    func nonFinite() throws {
        let data = try write()
        // Of the first byte of the texts.
        let row = try JSONNode.load(path: small.path("model/vocab.json")).integer("a")
        let message = Self.broken.replacing("row 97,", with: "row \(row),")
        try rewrite { name, values in
            if name == "transformer.wte.weight" { values[row * 16 + 3] = .nan }
        }
        let templates = ["--prompt", "{q}", "--completion", "{a}"]
        let base = ["--base", small.model]
        let commands = [
            ["eval"] + base + data + templates, ["eval"] + base + data + templates + ["--rouge"],
            ["eval", "--adapter", small.path("a")] + data + templates + ["--json"],
            ["eval"] + base + data + ["--text", "{q}", "--label", "{l}"],
            ["generate"] + base + ["--prompt", "ab"],
            ["generate"] + base + ["--prompt", "ab", "--temperature", "1", "--json"],
            ["generate", "--adapter", small.path("a"), "--prompt", "zb"],
        ]
        for command in commands {
            let outcome = try run(command)
            #expect(outcome.status == 65, "\(command)")
            #expect(outcome.errors == message, "\(command)")
            #expect(!outcome.output.contains("nan") && !outcome.output.contains("null"), "\(command)")
        }
        for command in [
            ["train", "--config", try trainingConfiguration("lora"), "-q"],
            ["merge", "--base", small.model, "--dtype", "bfloat16", "--output", small.path("out")],
            ["merge", "--adapter", small.path("a"), "--output", small.path("out")],
            ["convert", "--adapter", small.path("a"), "--rank", "1", "--output", small.path("out")],
        ] {
            let outcome = try run(command)
            #expect(outcome.status == 65, "\(command)")
            #expect(outcome.errors == message.replacing("model: ", with: "model/model.safetensors: "), "\(command)")
            #expect(!FileManager.default.fileExists(atPath: small.path("out")))
        }
        let doctor = try peft("doctor", small.path("a"))
        #expect(doctor.status == 65)
        #expect(
            doctor.output.contains(
                "- transformer.wte.weight: of the base model holds NaN in row \(row), column 3\n"
            ))
    }

    @Test("that holds an infinite number where no text needs it works, and isn't written on") func unused() throws {
        let data = try write()
        try rewrite { name, values in
            if name == "transformer.wpe.weight" { values[47 * 16] = .infinity }
        }
        let outcome = try run(
            ["eval", "--base", small.model, "--prompt", "{q}", "--completion", "{a}", "--json"] + data)
        #expect(outcome.status == 0)
        #expect(try JSONNode.parse(outcome.output).number("loss").isFinite)
        let merged = try run(
            ["merge", "--base", small.model, "--dtype", "bfloat16", "--output", small.path("out")])
        #expect(merged.status == 65)
        #expect(
            merged.errors
                == "model/model.safetensors: error: transformer.wpe.weight: holds infinity in row 47, column "
                + "0, with which nothing can be computed: the training that made it diverged, or the file is damaged\n")
        let inspected = try peft("inspect", small.model)
        #expect(inspected.output.contains("\nnot finite   transformer.wpe.weight: infinity in row 47, column 0\n"))
        let broken = try JSONNode.parse(try peft("inspect", small.model, "--json").output).array("not_finite")
        #expect(
            broken.map(\.plain) == [["name": "transformer.wpe.weight", "element": [47, 0], "value": "inf"]])
    }

    @Test("whose finite numbers overflow is an error too") func overflow() throws {
        try rewrite { name, values in
            if name == "transformer.ln_f.weight" { values = values.map { _ in 3e38 } }
        }
        let outcome = try run(["generate", "--base", small.model, "--prompt", "ab"])
        #expect(outcome.status == 65)
        #expect(outcome.output == "")
        #expect(
            outcome.errors
                == "model: error: a logit is no finite number, although all of the model's weights are: they, or an "
                + "adapter's, are too large to be computed with\n")
    }

    // MARK: A head of its own

    @Test("keeps a head that differs from its embedding, though the configuration ties them, in all that it becomes")
    func ownHead() throws {
        let data = try write()
        try rewrite(adding: [("lm_head.weight", Tensor(noise(4800, seed: 5, scale: 0.3), shape: [300, 16]))])
        let warning =
            "model: warning: lm_head.weight: differs from the token embedding, though tie_word_embeddings says that they are "
            + "one: both are kept\n"
        let templates = ["--prompt", "{q}", "--completion", "{a}", "--json"]
        func loss(_ model: [String]) throws -> (Double, String) {
            let outcome = try run(["eval"] + model + data + templates)
            return (try JSONNode.parse(outcome.output).number("loss"), outcome.errors)
        }
        #expect(
            try peft("inspect", small.model).output.contains(
                "\n             lm_head.weight differs from the token embedding: not tied, whatever the configuration says\n"
            ))
        let (expected, errors) = try loss(["--base", small.model])
        #expect(errors == warning)
        let merged = try run(["merge", "--base", small.model, "--dtype", "float32", "--output", small.path("out")])
        #expect(merged.status == 0 && merged.errors.hasPrefix(warning))
        let (kept, quiet) = try loss(["--base", small.path("out")])
        #expect(kept == expected && quiet == "")
        #expect(try JSONNode.load(path: small.path("out/config.json")).boolean("tie_word_embeddings") == false)
        let (adapted, _) = try loss(["--adapter", small.path("a")])
        _ = try run(["merge", "--adapter", small.path("a"), "--output", small.path("adapted")])
        let (both, _) = try loss(["--base", small.path("adapted")])
        #expect((both - adapted).magnitude < 1e-5 && (adapted - expected).magnitude > 1e-3)
        let trained = try run(["train", "--config", try trainingConfiguration("full"), "-q"])
        #expect(trained.status == 0 && trained.errors == warning)
        let file = try SafetensorsFile(path: small.path("run/model.safetensors"), warn: { _ in })
        #expect(file.entry(named: "lm_head.weight") != nil && file.entry(named: "transformer.wte.weight") != nil)
        #expect(try JSONNode.load(path: small.path("run/config.json")).boolean("tie_word_embeddings") == false)
        #expect(try loss(["--base", small.path("run")]).1 == "")
        let converted = try run(
            [
                "convert", "--model", small.path("run"), "--base", small.model, "--rank", "16", "--output",
                small.path("c"),
            ])
        #expect(converted.status == 0, "\(converted.errors)")
        let (low, _) = try loss(["--base", small.model, "--adapter", small.path("c")])
        #expect(try (low - loss(["--base", small.path("run")]).0).magnitude < 1e-4)
    }

    // MARK: Tokens

    @Test("without a token that ends texts says so where it would append one") func noEnd() throws {
        let data = try write()
        try small.folder.write(#"{"eos_token": null}"#, to: "model/tokenizer_config.json")
        let config = try small.folder.text("model/config.json").replacing(#""eos_token_id": 256, "#, with: "")
        try small.folder.write(config, to: "model/config.json")
        let warning =
            "model: warning: no file names the token that ends a text (eos_token of the tokenizer, eos_token_id of "
            + "config.json or generation_config.json): texts and completions get none, and a model trained on them doesn't "
            + "stop\n"
        let evaluated = try run(
            ["eval", "--base", small.model, "--prompt", "{q}", "--completion", "{a}", "--json"] + data)
        #expect(evaluated.errors == warning)
        #expect(try JSONNode.parse(evaluated.output).integer("tokens") == 2)
        let trained = try run(["train", "--config", try trainingConfiguration("lora"), "-q"])
        #expect(trained.status == 0 && trained.errors == warning)
        try small.folder.write(#"{"eos_token_id": [7, 8]}"#, to: "model/generation_config.json")
        let named = try run(
            ["eval", "--base", small.model, "--prompt", "{q}", "--completion", "{a}", "--json"] + data)
        #expect(named.errors == "")
        #expect(try JSONNode.parse(named.output).integer("tokens") == 3)
    }

    @Test("with fewer rows than its tokenizer has tokens is an error only where a text needs a missing row")
    func missingRow() throws {
        let config = try small.folder.text("model/config.json").replacing(
            "\"vocab_size\": 300", with: "\"vocab_size\": 257")
        try small.folder.write(config, to: "model/config.json")
        try rewrite()
        let path = small.path("model/model.safetensors")
        let file = try SafetensorsFile(path: path, warn: { _ in })
        try SafetensorsWriter.write(
            try file.tensors.map { entry in
                let tensor = try file.tensor(named: entry.name)
                guard entry.name == "transformer.wte.weight" else {
                    return OutgoingTensor(entry.name, tensor.copy(), as: .float32)
                }
                return OutgoingTensor(
                    entry.name, Tensor(Array(tensor.values.prefix(257 * 16)), shape: [257, 16]), as: .float32)
            }, to: path + ".new")
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.moveItem(atPath: path + ".new", toPath: path)
        let data = try write()
        let arguments = ["eval", "--base", small.model, "--prompt", "{q}", "--completion", "{a}", "--json"] + data
        let plain = try run(arguments)
        try small.folder.write(#"{"pad_token": "[PAD]"}"#, to: "model/tokenizer_config.json")
        let padded = try run(arguments)
        #expect(padded == plain && plain.status == 0)
        let message =
            "the token '[PAD]' has the id 257, and the model's table has only 257 rows (vocab_size in config.json): they "
            + "don't belong together, or the model has to be resized for the tokens that were added\n"
        _ = try write("{\"q\": \"ab\", \"a\": \"cd\"}\n{\"q\": \"a[PAD]b\", \"a\": \"c\"}\n")
        #expect(try run(arguments).errors == "data.jsonl:2:1: error: " + message)
        #expect(try run(["train", "--config", trainingConfiguration("lora"), "-q"]).errors.hasSuffix(message))
        #expect(try run(["generate", "--base", small.model, "--prompt", "[PAD]"]).errors == "error: " + message)
        #expect(try run(["merge", "--adapter", small.path("a"), "--output", small.path("out")]).status == 0)
    }

    // MARK: Sizes

    @Test(
        "without layers has no place for prefixes, and computes otherwise", arguments: ["prefix_tuning", "p_tuning_v2"])
    func noLayers(method: String) throws {
        _ = try write()
        let config = try small.folder.text("model/config.json").replacing("\"n_layer\": 2", with: "\"n_layer\": 0")
        try small.folder.write(config, to: "model/config.json")
        let random = try String(
            contentsOfFile: trainingConfiguration(method + ", num_virtual_tokens: 2"), encoding: .utf8
        )
        .replacing("\(small.model)}", with: "\(small.model), init: random}")
        try small.folder.write(random, to: "run.yaml")
        let outcome = try run(["train", "--config", small.path("run.yaml"), "-q"])
        #expect(outcome.status == 65)
        #expect(
            outcome.errors.hasSuffix(
                ": error: peft.num_virtual_tokens: the model has no layers, so that no prefix has a place\n"
            ))
        let generated = try run(["generate", "--base", small.model, "--prompt", "ab", "--max-new-tokens", "3"])
        #expect(generated.status == 0)
        #expect(
            generated.errors.contains("the model has no place for 24 tensors, which take no part in what is computed: ")
        )
    }
}
