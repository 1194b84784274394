import Foundation
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

    @Test("scores predictions of several models in a row each") func predictionRows() throws {
        let file = small.path("predictions.jsonl")
        let models = ["--adapter", small.path("a"), "--compare-base", "--rouge"]
        let full = try object(evaluate(models + ["--json", "--save-predictions", file] + templates)).array("rows")
        let again = try object(evaluate(["--predictions", file, "--json"])).array("rows")
        #expect(again.map { $0.member("adapter")?.plain } == [.null, .string(small.path("a"))])
        for (row, expected) in zip(again, full) {
            #expect(try row.integer("examples") == 4)
            #expect(try row.required("rougeL").plain == expected.required("rougeL").plain)
        }
        let table = try evaluate(["--predictions", file]).output.split(separator: "\n")
        #expect(table[0].hasPrefix("model  ") && table[1].hasPrefix("base  ") && table[2].hasPrefix(small.path("a")))
    }

    @Test("with --limit takes the same first records for every measure") func limit() throws {
        let first = (0..<5).map { #"{"q": "\#($0 / 3)?", "a": "answer \#($0)"}"# }
        try small.folder.write(first.joined(separator: "\n"), to: "first.jsonl")
        let arguments = ["--base", small.model, "--json", "--rouge", "--prompt", #"{q}\n"#, "--completion", "{a}"]
        let limited = try object(evaluate(arguments + ["--data", data, "--limit", "5"]))
        let short = try object(evaluate(arguments + ["--data", small.path("first.jsonl")]))
        #expect(limited.plain == short.plain)
        #expect(try limited.integer("examples") == 5 && limited.integer("prompts") == 2)
    }

    @Test("names a model by its folder, unless it is the base of the adapters") func names() throws {
        func names(_ arguments: [String]) throws -> [String] {
            let outcome = try evaluate(arguments + templates)
            #expect(outcome.status == 0, "\(outcome.errors)")
            return outcome.output.split(separator: "\n").dropFirst().dropLast().map { line in
                String(line.prefix { $0 != " " })
            }
        }
        #expect(try names(["--base", small.model]) == [small.model])
        #expect(try names(["--base", small.model, "--compare-base"]) == [small.model])
        #expect(try names(["--adapter", small.path("a"), "--compare-base"]) == ["base", small.path("a")])
        let both = ["--base", small.model, "--adapter", small.path("a")]
        #expect(try names(both + ["--compare-base"]) == ["base", small.path("a")])
    }

    private func write(run name: String, prompt: String, completion: String = "{a}", _ more: String = "") throws {
        try small.folder.write(
            "data: {validation: \(data), prompt: \"\(prompt)\", completion: \"\(completion)\"\(more)}\n",
            to: "\(name)/training_config.yaml")
    }

    @Test("gives each adapter the template of its own training") func ownTemplates() throws {
        let adapters = ["--adapter", small.path("a"), "--adapter", small.path("b"), "--json"]
        try write(run: "a", prompt: "<{q}>")
        try write(run: "b", prompt: "{q} is")
        let rows = try object(evaluate(adapters + ["--rouge"])).array("rows")
        for (row, name) in zip(rows, ["a", "b"]) {
            let alone = try object(evaluate(["--adapter", small.path(name), "--json", "--rouge"]))
            #expect(try row.number("loss") == alone.number("loss"))
            #expect(try row.required("rouge1").plain == alone.required("rouge1").plain)
        }
        try write(run: "b", prompt: "{q} is", completion: "{a}, they say")
        let table = try evaluate(["--adapter", small.path("a"), "--adapter", small.path("b")]).output
        #expect(table.contains("  target tokens\n") && table.contains("whose losses are means over different targets"))
        try write(run: "b", prompt: "{q} is")
        let given = ["--prompt", "{q}", "--completion", "{a}"]
        let same = try object(evaluate(adapters + given)).array("rows")
        let alone = try object(evaluate(["--adapter", small.path("b"), "--json"] + given))
        #expect(try same[1].number("loss") == alone.number("loss") && same[1].number("loss") != rows[1].number("loss"))
    }

    @Test("says what one table can't hold") func conflicts() throws {
        let adapters = ["--adapter", small.path("a"), "--adapter", small.path("b")]
        func message(_ arguments: [String] = []) throws -> String {
            let outcome = try evaluate(adapters + arguments)
            #expect(outcome.status == 64 && outcome.output == "")
            return outcome.errors.replacing(small.folder.path + "/", with: "")
        }
        try write(run: "a", prompt: "<{q}>")
        #expect(
            try message()
                == "b: error: no data to evaluate on: give --data, or data.validation in the configuration\n")
        #expect(
            try message(["--data", data])
                == "b: error: no template says how prompts are made of the records: give --prompt and --completion, "
                + "--text, or --config\n")
        try write(run: "b", prompt: "{q}", completion: "{q}")
        #expect(
            try message()
                == "error: 'a' and 'b' complete prompts with different fields, {q} and {a}; one table can't hold both\n"
        )
        try write(run: "b", prompt: "{q}")
        #expect(
            try message(["--compare-base"])
                == "error: --compare-base: 'a' and 'b' were trained with different templates or lengths, so that the "
                + "base has no one result beside them: give --config or the templates, or evaluate each by itself\n")
        try small.folder.write(
            "data: {validation: other.jsonl, prompt: \"{q}\", completion: \"{a}\"}", to: "b/training_config.yaml")
        #expect(
            try message()
                == "error: 'a' and 'b' are evaluated on different files, other.jsonl and data.jsonl: give --data; one "
                + "table can't hold both\n")
        try small.folder.write("data: {validation: \(data), text: \"{q}\"}", to: "b/training_config.yaml")
        #expect(try message() == "error: 'a' and 'b' have different tasks; one table can't hold both\n")
        try write(run: "b", prompt: "{x}")
        let missing = try evaluate(adapters)
        #expect(missing.status == 65)
        #expect(
            missing.errors.contains("no field 'x'")
                && missing.errors.hasSuffix("\nThe template is that of '\(small.path("b"))'\n"))
    }

    @Test("scores texts of many words in little memory") func longTexts() throws {
        // The table of all pairs would need gigabytes.
        func text(_ factor: Int) -> String { (0..<39_989).map { "\($0 * factor % 39_989)" }.joined(separator: " ") }
        try small.folder.write("{\"prediction\": \"\(text(1))\", \"reference\": \"\(text(7))\"}", to: "long.jsonl")
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = [
            "-c", "ulimit -v 400000; exec \"$0\" eval --json --threads 1 --predictions \"$1\"", binary.path(),
            small.path("long.jsonl"),
        ]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let found = try JSONNode.parse(
            String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self))
        process.waitUntilExit()
        #expect(try process.terminationStatus == 0 && found.required("rouge1").number("recall") == 1)
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

    @Test("scores texts by every measure that is named, and says how it was computed") func measures() throws {
        let lines = #"""
            {"prediction": "the cats sat on the mat", "reference": "the cat sat on the mat"}
            {"prediction": "The two dogs.", "references": ["two dogs", "no dog"]}
            """#
        let outcome = try peft(
            "eval", "--predictions", "-", "--metrics", "accuracy,f1,exact_match,bleu,chrf", input: lines)
        #expect(
            outcome.output == """
                 bleu   chrf  exact_match      f1  accuracy
                41.33  84.94       0.5000  0.8750    0.0000
                2 predictions
                bleu nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0
                chrf nrefs:var|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0

                """)
        let json = try JSONNode.parse(
            peft("eval", "--predictions", "-", "--metrics", "f1,bleu,chrf", "--json", input: lines).output)
        #expect(try json.asObject().map(\.key) == ["examples", "bleu", "chrf", "f1"])
        #expect(
            try json.object("bleu").map(\.key) == [
                "score", "sentence_score", "counts", "totals", "precisions", "bp", "sys_len", "ref_len", "signature",
            ])
        #expect(try json.object("chrf").map(\.key) == ["score", "sentence_score", "signature"])
        #expect(try json.number("f1") == 0.875)
    }

    @Test("warns of a BLEU that is 0 by its definition") func shortAnswers() throws {
        let lines = #"{"prediction": "in Paris", "reference": "Paris"}"#
        let outcome = try peft("eval", "--predictions", "-", "--metrics", "bleu,f1", input: lines)
        #expect(outcome.status == 0 && outcome.output.hasPrefix("bleu      f1\n0.00  0.6667\n"))
        #expect(
            outcome.errors
                == "warning: corpus BLEU is 0 by its definition: no prediction has 3 words, and it multiplies what was right "
                + "of sequences of 1 to 4 words. For short answers take exact_match, f1 or chrf\n")
    }

    @Test("generates for the measures that are named, and scores the texts alike afterwards") func named() throws {
        let file = small.path("predictions.jsonl")
        let names = ["--metrics", "rouge,bleu,chrf,exact_match,f1,accuracy", "--json"]
        let full = try object(
            evaluate(["--base", small.model, "--save-predictions", file] + names + templates))
        let again = try object(evaluate(["--predictions", file] + names))
        let measures = Array(try again.asObject().map(\.key).dropFirst())
        #expect(
            measures == [
                "rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "chrf", "exact_match", "f1", "accuracy",
            ])
        for name in measures { #expect(try again.required(name).plain == full.required(name).plain, "\(name)") }
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
                ["--predictions", "x", "--limit", "3"],
                "Error: --limit counts records of --data: --predictions scores all lines"
            ),
            (
                ["--base", "x", "--rouge", "--metrics", "bleu"],
                "Error: --rouge is short for --metrics rouge: name rouge among the --metrics"
            ),
            (
                ["--predictions", "x", "--metrics", "rouge,meteor"],
                "Error: --metrics: there is no measure 'meteor'; the measures are rouge, bleu, chrf, exact_match, f1, "
                    + "accuracy"
            ),
            (
                ["--predictions", "x", "--metrics", ""],
                "Error: --metrics: a name is missing in ''; the measures are rouge, bleu, chrf, exact_match, f1, accuracy"
            ),
            (
                ["--base", "x", "--data", "d.txt", "--metrics", "bleu"],
                "error: --metrics compares completions of prompts: the data has text only"
            ),
            (
                ["--base", "x", "--data", "d.csv", "--text", "{a}", "--label", "{b}", "--metrics", "f1"],
                "error: --metrics compares completions of prompts: the data has labels"
            ),
            (
                [
                    "--base", "x", "--data", "d.csv", "--prompt", "{a}", "--completion", "{b}", "--save-predictions",
                    "p",
                ],
                "error: --save-predictions writes generated texts: give --metrics too"
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
