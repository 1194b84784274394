import FoundationEssentials
import JSONText
import Testing

/// A task with labels from the data to the results, on the built tool.
@Suite("Sequence classification") struct ClassificationTests {
    private let run: TinyRun
    private var output: String { run.folder.path + "/run" }
    private var data: String { run.folder.path + "/data.jsonl" }

    init() throws { run = try TinyRun() }

    private func train(_ changes: String..., method: String = "lora") throws -> Outcome {
        let task = [
            "task=sequence_classification", "data.prompt=null", "data.completion=null", "data.text=\"{q} or {a}\"",
            "data.label={q}", "training.eval_steps=3", "training.seed=4", "peft={method: \(method)}",
        ]
        return try RunningTool(run.arguments + (task + changes).flatMap { ["--set", $0] }).outcome()
    }

    private func evaluate(_ arguments: String...) throws -> JSONNode {
        let outcome = try RunningTool(["eval", "--json", "--data", data] + arguments).outcome()
        #expect(outcome.status == 0, "\(outcome.errors)")
        return try JSONNode.parse(outcome.output)
    }

    private static let measures = ["accuracy", "f1_macro", "f1_micro", "f1_weighted", "matthews_correlation"]

    @Test("trains a head beside an adapter, logs its scores, and evaluates it again", arguments: ["lora", "full"])
    func trainsAndEvaluates(method: String) throws {
        let outcome = try train(method: method)
        #expect(outcome.status == 0 && outcome.errors.contains("step 3  evaluation loss "), "\(outcome.errors)")
        let lines = try run.folder.text("run/metrics.jsonl").split(separator: "\n").map {
            try JSONNode.parse(String($0))
        }
        let last = try #require(lines.last)
        let configuration = try run.folder.text("run/training_config.yaml")
        #expect(configuration.contains("\n  labels: [\"0\", \"1\", \"2\", \"3\", \"4\", \"5\", \"6\"]\n"))
        let file = run.folder.path + "/predictions.jsonl"
        // The adapter's base has no weights, so that it must be made as in the run.
        guard method == "full" else { return }
        let found = try evaluate("--base", output, "--save-predictions", file)
        #expect(try found.asObject().map(\.key) == ["loss", "examples"] + Self.measures + ["classes", "confusion"])
        let classes = try found.array("classes")
        #expect(try classes.map { try $0.string("label") } == (0..<7).map { "\($0)" })
        #expect(try classes.reduce(0) { $0 + (try $1.integer("support")) } == 24)
        let macro = try classes.reduce(0) { $0 + (try $1.number("f1")) } / 7
        #expect(abs(macro - (try found.number("f1_macro"))) < 1e-12)
        let confusion = try found.array("confusion").map { try $0.asArray().map { try $0.asInteger() } }
        #expect(try confusion.map { $0.reduce(0, +) } == classes.map { try $0.integer("support") })
        #expect(abs(Double((0..<7).reduce(0) { $0 + confusion[$1][$1] }) / 24 - (try found.number("accuracy"))) < 1e-12)
        let few = try evaluate("--base", output, "--limit", "5")
        #expect(try few.integer("examples") == 5)
        for name in Self.measures { #expect(try found.number(name) == last.number("eval_" + name)) }
        #expect(abs(try found.number("loss") - last.number("eval_loss")) < 1e-6)
        let predictions = try run.folder.text("predictions.jsonl").split(separator: "\n")
            .map { try JSONNode.parse(String($0)) }
        #expect(predictions.count == 24)
        #expect(try predictions[8].string("text") == "1 or 32" && predictions[8].string("label") == "1")
        let right = try predictions.count { try $0.string("label") == $0.string("prediction") }
        #expect(abs(Double(right) / 24 - (try found.number("accuracy"))) < 1e-12)
        let model = try JSONNode.load(path: output + "/config.json")
        #expect(try model.array("architectures").map { try $0.asString() } == ["GPT2ForSequenceClassification"])
        #expect(try model.required("id2label").string("6") == "6" && model.required("label2id").integer("3") == 3)

        let text = try peft("generate", "--base", output, "--prompt", "x")
        #expect(text.status == 65)
        #expect(
            text.errors
                == "\(output): error: tells labels and writes no text; 'peft predict' gives each text its label\n")
        let plain = try peft("eval", "--base", output, "--data", data, "--text", "{q}")
        #expect(
            plain.errors
                == "\(output): error: the model tells labels: give --text and --label, or a configuration with task: "
                + "sequence_classification\n")
        let again = try RunningTool(
            [
                "train", "--config", run.configuration, "--set", "model={path: \(output)}", "--set",
                "training.output_dir=\(run.folder.path)/again",
            ]
        ).outcome()
        #expect(
            again.errors
                == "\(output): error: the model tells labels and doesn't go on with texts: set task: "
                + "sequence_classification\n")
    }

    @Test("predicts numbers where the labels are numbers")
    func regression() throws {
        #expect(try train("data.label=\"{q}.5\"", method: "full").status == 0)
        let found = try evaluate("--base", output, "--text", "{q} or {a}", "--label", "{q}.5")
        #expect(try found.asObject().map(\.key) == ["loss", "examples", "mse", "pearson", "spearman"])
        #expect(try found.number("loss") == found.number("mse"))
    }

    @Test("shows how well each label is told")
    func table() throws {
        let small = try SmallModel()
        try small.folder.write("{\"t\": \"one\", \"l\": \"odd\"}\n{\"t\": \"two\", \"l\": \"even\"}\n", to: "l.jsonl")
        let outcome = try peft(
            "eval", "--base", small.model, "--data", small.path("l.jsonl"), "--text", "{t}", "--label", "{l}")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let lines = outcome.output.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines[2] == "2 examples" && lines[3] == "" && lines[4] == "label  precision  recall      f1  support")
        #expect(lines[5].hasPrefix("even ") && lines[6].hasPrefix("odd  ") && lines[5].hasSuffix("      1"))
    }

    @Test("of a label without tokens, and of an empty text without a beginning, says what can't be asked")
    func nothingToAsk() throws {
        let small = try SmallModel()
        try small.folder.write("{\"t\": \"one\", \"l\": \"\"}\n{\"t\": \"two\", \"l\": \"b\"}\n", to: "l.jsonl")
        let arguments = ["eval", "--base", small.model, "--text", "{t}", "--label", "{l}", "--data"]
        let label = try RunningTool(arguments + [small.path("l.jsonl")]).outcome()
        #expect(label.status == 65 && label.output == "")
        // A tokenizer that lacks the line break, as one of a few letters does.
        try small.folder.write(#"{"a": 0, "b": 1, "<|endoftext|>": 2}"#, to: "model/vocab.json")
        try small.folder.write("{\"t\": \"\", \"l\": \"a\"}\n{\"t\": \"a\", \"l\": \"b\"}\n", to: "e.jsonl")
        let text = try RunningTool(arguments + [small.path("e.jsonl"), "--json"]).outcome()
        #expect(text.status == 0, "\(text.errors)")
        try small.folder.write(#"{"a": 0, "b": 1}"#, to: "model/vocab.json")
        let configuration = try small.folder.text("model/config.json").replacing(#""eos_token_id": 256, "#, with: "")
        try small.folder.write(configuration, to: "model/config.json")
        let nothing = try RunningTool(arguments + [small.path("e.jsonl")]).outcome()
        #expect(nothing.status == 65 && nothing.output == "")
    }

    @Test("goes on bit for bit after a stop", arguments: ["lora", "full"])
    func resumes(method: String) throws {
        #expect(try train(method: method).status == 0)
        let name = method == "lora" ? "adapter_model.safetensors" : "model.safetensors"
        let whole = try Data(contentsOf: run.folder.url.appending(path: "run/\(name)"))
        #expect(
            try train("training.output_dir=\(run.folder.path)/part", "training.save_steps=2", method: method).status
                == 0)
        let part = run.folder.url.appending(path: "part")
        for file in [name, "adapter_config.json", "checkpoints/step-6"] {
            try? FileManager.default.removeItem(at: part.appending(path: file))
        }
        let task = [
            "task=sequence_classification", "data.prompt=null", "data.completion=null", "data.text=\"{q} or {a}\"",
            "data.label={q}", "training.eval_steps=3", "training.seed=4", "peft={method: \(method)}",
            "training.save_steps=2", "training.output_dir=\(run.folder.path)/part",
        ]
        let again = try RunningTool(run.arguments + ["--resume"] + task.flatMap { ["--set", $0] }).outcome()
        #expect(again.status == 0 && again.errors.contains("going on after step 4"), "\(again.errors)")
        #expect(try Data(contentsOf: part.appending(path: name)) == whole)
    }

    @Test("goes on from an adapter with the labels that it knows, in their order, and with no others")
    func initialAdapter() throws {
        #expect(try train(method: "lora").status == 0)
        let again = ["training.output_dir=\(run.folder.path)/again", "training.learning_rate=0"]
        let start = "lora, init_from: \(output)"
        let outcome = try train(
            again[0], again[1], "data.labels=[\"6\",\"0\",\"2\",\"1\",\"5\",\"4\",\"3\"]", method: start)
        #expect(outcome.status == 0, "\(outcome.errors)")
        func last(_ name: String) throws -> JSONNode {
            let lines = try run.folder.text("\(name)/metrics.jsonl").split(separator: "\n")
            return try JSONNode.parse(String(#require(lines.last)))
        }
        for key in ["eval_loss", "eval_accuracy"] {
            #expect(abs(try last("again").number(key) - last("run").number(key)) < 1e-6)
        }
        let other = try train(again[0] + "-2", "data.label=\"x{q}\"", method: start)
        #expect(
            other.errors
                == "\(output): error: data.label: the model doesn't know the label 'x0' of the data; it tells 0, 1, 2, 3, 4, "
                + "5, 6\n")
        let text = try RunningTool(
            run.arguments + ["--set", again[0] + "-2", "--set", "peft={method: \(start)}"]
        ).outcome()
        #expect(
            text.errors
                == "\(output): error: the adapter tells labels and doesn't go on with texts: set task: "
                + "sequence_classification\n")
    }

    @Test("can be asked of a language model, with and without records shown before")
    func prompting() throws {
        let small = try SmallModel()
        let records = ["one": "odd", "two": "even", "six": "even"].sorted { $0.key < $1.key }
            .map { #"{"t": "\#($0.key)", "l": "\#($0.value)"}"# }
        try small.folder.write(records.joined(separator: "\n"), to: "l.jsonl")
        let configuration = try small.folder.write(
            """
            task: sequence_classification
            model: {path: \(small.model)}
            data: {train: \(small.path("l.jsonl")), validation: \(small.path("l.jsonl")), text: "{t}", label: "{l}"}
            peft: {method: lora}
            training: {output_dir: \(small.path("none"))}
            """, to: "run.yaml"
        ).path(percentEncoded: false)
        func accuracy(_ arguments: String...) throws -> JSONNode {
            let outcome = try RunningTool(
                ["eval", "--base", small.model, "--config", configuration, "--json"] + arguments
            ).outcome()
            #expect(outcome.status == 0, "\(outcome.errors)")
            return try JSONNode.parse(outcome.output)
        }
        let keys = ["loss", "examples", "accuracy", "f1"] + Self.measures.dropFirst() + ["classes", "confusion"]
        #expect(try accuracy().asObject().map(\.key) == keys)
        let shown = try accuracy("--shots", "2")
        #expect(try shown.asObject().map(\.key) == ["shots"] + keys)
        #expect(try accuracy("--shots", "2").plain == shown.plain)
        #expect(try accuracy("--shots", "2", "--seed", "7").number("loss") != shown.number("loss"))
        let tooMany = try peft("eval", "--base", small.model, "--config", configuration, "--shots", "4")
        #expect(
            tooMany.status == 65
                && tooMany.errors == "error: --shots 4 is more than the training data has records (3)\n")
    }
}
