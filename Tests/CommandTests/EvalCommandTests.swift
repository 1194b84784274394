import JSONText
import Testing

@Suite("peft eval") struct EvalCommandTests {
    private let small: SmallModel
    private let data: String

    init() throws {
        small = try SmallModel()
        let records = (0..<12).map { #"{"q": "\#($0 / 3)?", "a": "answer \#($0)"}"# }
        try small.folder.write(records.joined(separator: "\n") + "\n", to: "data.jsonl")
        data = small.path("data.jsonl")
    }

    private var templates: [String] { ["--data", data, "--prompt", #"{q}\n"#, "--completion", "{a}"] }

    private func evaluate(_ arguments: [String]) throws -> Outcome {
        try RunningTool(["eval"] + arguments + ["--max-new-tokens", "5"]).outcome()
    }

    private func object(_ outcome: Outcome) throws -> JSONNode {
        #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
        return try JSONNode.parse(outcome.output)
    }

    @Test("prints one object: loss, perplexity, tokens, examples, and ROUGE on demand") func json() throws {
        let plain = try object(evaluate(["--base", small.model, "--json"] + templates))
        #expect(try plain.asObject().map(\.key) == ["loss", "perplexity", "tokens", "examples"])
        #expect(try plain.integer("examples") == 12)
        // "answer 0" to "answer 9", and two longer ones, each with its end.
        #expect(try plain.integer("tokens") == 10 * 9 + 2 * 10)
        let full = try object(evaluate(["--base", small.model, "--json", "--rouge"] + templates))
        #expect(
            try full.asObject().map(\.key) == [
                "loss", "perplexity", "tokens", "examples", "prompts", "rouge1", "rouge2", "rougeL", "rougeLsum",
            ])
        #expect(try full.number("loss") == plain.number("loss"))
        #expect(try full.integer("prompts") == 4)
        #expect(
            try full.object("rougeL").map(\.key) == ["precision", "recall", "fmeasure", "low", "high"])
    }

    @Test("prints a row for each model, the base first") func rows() throws {
        let models = ["--adapter", small.path("a"), "--adapter", small.path("b"), "--compare-base", "--json"]
        let rows = try object(evaluate(models + templates)).array("rows")
        #expect(rows[0].member("adapter")?.isNull == true)
        #expect(try rows[1...].map { try $0.string("adapter") } == [small.path("a"), small.path("b")])
        let base = try object(evaluate(["--base", small.model, "--json"] + templates))
        #expect(try rows[0].number("loss") == base.number("loss"))
        let alone = try object(evaluate(["--adapter", small.path("b"), "--json"] + templates))
        #expect(try rows[2].number("loss") == alone.number("loss"))
        #expect(try Set(rows.map { try $0.number("loss") }).count == 3)
    }

    @Test("writes predictions that it scores alike without the model") func predictions() throws {
        let file = small.path("predictions.jsonl")
        let full = try object(
            evaluate(["--adapter", small.path("a"), "--json", "--rouge", "--save-predictions", file] + templates))
        let again = try object(evaluate(["--predictions", file, "--json"]))
        #expect(
            try again.asObject().map(\.key) == ["examples", "rouge1", "rouge2", "rougeL", "rougeLsum"])
        #expect(try again.integer("examples") == 4)
        for type in ["rouge1", "rouge2", "rougeL", "rougeLsum"] {
            #expect(try again.required(type).plain == full.required(type).plain)
        }
    }

    @Test("takes predictions from stdin, and prints a small table") func table() throws {
        let lines = #"""
            {"prediction": "the cats sat", "reference": "the cat sat"}
            {"prediction": "a dog", "references": ["two dogs", "no dog"]}
            """#
        let outcome = try peft("eval", "--predictions", "-", input: lines)
        #expect(
            outcome.output == """
                rouge1  rouge2  rougeL  rougeLsum    rougeL 95 %
                0.7500  0.5000  0.7500     0.7500  0.5000–1.0000
                2 predictions

                """)
        let strict = try peft("eval", "--predictions", "-", "--no-stemmer", input: lines)
        #expect(
            strict.output == """
                rouge1  rouge2  rougeL  rougeLsum    rougeL 95 %
                0.5833  0.0000  0.5833     0.5833  0.5000–0.6667
                2 predictions

                """)
        let broken = try peft("eval", "--predictions", "-", input: "{\"prediction\": 1}")
        #expect(broken.status == 65)
        #expect(broken.errors == "stdin:1:16: error: prediction: expected a string, got 1\n")
    }

    @Test("takes everything from a run's configuration, and its result where there is one") func configuration() throws
    {
        let run = """
            model: {path: \(small.model)}
            data: {train: x.jsonl, validation: \(data), prompt: "{q}\\n", completion: "{a}"}
            training: {output_dir: \(small.path("a"))}
            """
        try small.folder.write(run, to: "run.yaml")
        let expected = try object(evaluate(["--adapter", small.path("a"), "--json"] + templates))
        let found = try object(evaluate(["--config", small.path("run.yaml"), "--json"]))
        #expect(found.plain == expected.plain)
        let base = try object(evaluate(["--config", small.path("run.yaml"), "--base", small.model, "--json"]))
        #expect(try base.number("loss") != found.number("loss"))
        // The same beside the adapter.
        try small.folder.write(run, to: "a/training_config.yaml")
        let beside = try object(evaluate(["--adapter", small.path("a"), "--json"]))
        #expect(beside.plain == expected.plain)
        let early = try evaluate(
            ["--config", small.path("run.yaml"), "--set", "training.output_dir=\(small.path("none"))"])
        #expect(early.status == 66)
        #expect(
            early.errors
                == "\(small.path("none")): error: holds neither an adapter nor a model yet: run 'peft train' first, "
                + "or give --adapter or --base\n")
    }

    @Test(
        "refuses options that make no sense",
        arguments: [
            ([], "Error: no model: give --base, --adapter or --config, or --predictions for texts alone"),
            (
                ["--predictions", "x", "--base", "y"],
                "Error: --predictions scores texts without any model: leave out the models and the data"
            ),
            (["--base", "x", "--prompt", "{a}"], "Error: --prompt and --completion belong together"),
            (
                ["--base", "x", "--limit", "3"],
                "Error: --limit concerns generated texts: give --rouge too"
            ),
            (["--base", "x"], "error: no data to evaluate on: give --data, or data.validation in the configuration"),
            (
                ["--base", "x", "--data", "d.csv"],
                "error: no template says how prompts are made of the records: give --prompt and --completion, --text, or "
                    + "--config"
            ),
            (
                ["--base", "x", "--data", "d.csv", "--text", "{a"],
                "error: --text: '{' must be followed by a field's name and '}'; write {{ for a brace"
            ),
            (
                ["--base", "x", "--data", "d.txt", "--rouge"],
                "error: --rouge compares completions of prompts: the data has text only"
            ),
        ])
    func usage(arguments: [String], message: String) throws {
        let outcome = try RunningTool(["eval"] + arguments).outcome()
        #expect(outcome.status == 64 && outcome.output == "")
        #expect(outcome.errors.split(separator: "\n").first.map(String.init) == message)
    }
}
