import Foundation
import JSONText
import TestSupport
import Testing

/// What becomes of records, templates and labels, on the built tool.
@Suite("The data of a run") struct DataTests {
    private let run: TinyRun
    private var data: String { run.folder.path + "/data.jsonl" }

    init() throws { run = try TinyRun() }

    private func train(_ changes: String..., options: [String] = []) throws -> Outcome {
        try RunningTool(run.arguments + options + changes.flatMap { ["--set", $0] }).outcome()
    }

    @discardableResult
    private func write(_ lines: String..., to name: String = "data.jsonl") throws -> String {
        try run.folder.write(lines.joined(separator: "\n") + "\n", to: name).path(percentEncoded: false)
    }

    private let classification = [
        "task=sequence_classification", "data.prompt=null", "data.completion=null", "data.text={q}", "data.label={a}",
        "data.validation=null", "training.max_steps=1",
    ]

    private func classify(_ changes: String...) throws -> Outcome {
        try RunningTool(run.arguments + (classification + changes).flatMap { ["--set", $0] }).outcome()
    }

    @Test("is read by a dry run as by the run itself", arguments: [["--dry-run"], []])
    func brokenRecords(options: [String]) throws {
        try write(
            #"{"q": "1", "a": "2"}"#, #"{"q": null, "a": "2"}"#, #"{"q": "1"}"#,
            #"{"q": "\#(String(repeating: "q", count: 40))", "a": ""}"#, #"{"q": "1", "a": {"b": 2}}"#)
        let outcome = try train("data.validation=null", options: options)
        #expect(outcome.status == 65 && outcome.output == "")
        #expect(
            outcome.errors == """
                \(data):2:1: error: the field 'q' is null
                \(data):3:1: error: no field 'a'; there is q
                \(data):4:1: error: 42 tokens are more than what the model takes (32): choose a max_length_policy (drop, \
                keep_prompt_start, keep_prompt_end)
                \(data):5:1: error: the field 'a' is an array or an object, which has no place in a template; one of its \
                own has, as {a.b}

                """)
        #expect(!FileManager.default.fileExists(atPath: run.folder.path + "/run"))
    }

    @Test("is counted before the first step: cut, dropped, tokens, and what ends a text")
    func counts() throws {
        try write(#"{"q": "12345678", "a": "2"}"#, #"{"q": "1", "a": "2"}"#)
        let cut = ["data.max_length=6", "data.max_length_policy=keep_prompt_end"]
        for options in [["--dry-run"], []] {
            let outcome = try train(cut[0], cut[1], "training.max_steps=1", options: options)
            #expect(outcome.status == 0)
            #expect(outcome.errors.contains("\ntraining: 2 examples of 2 records, 1 truncated, 10 tokens\n"))
            #expect(outcome.errors.contains("\nvalidation: 2 examples of 2 records, 1 truncated, 10 tokens\n"))
            #expect(outcome.errors.contains("\neach text ends with the token 256 (<|endoftext|>)\n"))
        }
        let small = try SmallModel()
        let configuration = try write(
            "model: {path: \(small.model)}",
            "data: {prompt: '{q}=', completion: '{a}', max_length: 6, max_length_policy: keep_prompt_end}",
            "training: {output_dir: \(small.path("a"))}", to: "eval.yaml")
        let outcome = try peft("eval", "--config", configuration, "--base", small.model, "--data", data)
        #expect(outcome.status == 0)
        #expect(outcome.errors == "of 2 records 1 cut to the length\n")
    }

    @Test("has templates in which \\n is a line break, however they are given")
    func escapes() throws {
        let small = try SmallModel()
        func loss(_ arguments: [String]) throws -> Double {
            let outcome = try RunningTool(["eval", "--base", small.model, "--data", data, "--json"] + arguments)
                .outcome()
            #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
            return try JSONNode.parse(outcome.output).number("loss")
        }
        func configured(_ line: String, _ set: [String] = []) throws -> Double {
            let file = try write(
                "model: {path: \(small.model)}", "data:", "  completion: '{a}'", "  prompt: \(line)",
                "training: {output_dir: none}", to: "run-\(UUID().uuidString).yaml")
            return try loss(["--config", file] + set)
        }
        let expected = try loss(["--prompt", "{q}\n", "--completion", "{a}"])
        #expect(try loss(["--prompt", #"{q}\n"#, "--completion", "{a}"]) == expected)
        #expect(try configured(#"'{q}\n'"#) == expected)
        #expect(try configured(#""{q}\n""#) == expected)
        #expect(try configured("x", ["--set", #"data.prompt={q}\n"#]) == expected)
        #expect(try loss(["--prompt", #"{q}\\n"#, "--completion", "{a}"]) != expected)
        let texts = try ["a\nb", #"a\nb"#].map {
            try peft("generate", "--base", small.model, "--prompt", $0, "--json", "--max-new-tokens", "4").output
        }
        #expect(texts[0] == texts[1] && texts[0].hasPrefix(#"{"prompt": "a\nb""#))
        // What comes from a file is data.
        let line = try peft("generate", "--base", small.model, "--json", "--max-new-tokens", "4", input: #"a\nb"#)
        #expect(line.output.hasPrefix(#"{"prompt": "a\\nb""#))
    }

    @Test("has labels that are printed with their counts, and look alike with a warning")
    func labels() throws {
        try write(
            #"{"q": "1", "a": "good"}"#, #"{"q": "1", "a": "bad"}"#, #"{"q": "2", "a": "Good"}"#,
            #"{"q": "2", "a": "bad"}"#)
        let outcome = try classify()
        #expect(outcome.status == 0)
        #expect(
            outcome.errors.hasPrefix(
                "\(data): warning: the labels 'Good' and 'good' differ in case, spaces or the form of their characters alone, "
                    + "and are learned as two\n"
            ))
        #expect(outcome.errors.contains("\nlabels: Good (1), bad (2), good (1)\n"))
        try write(#"{"q": "1", "a": "good"}"#, #"{"q": "1", "a": " "}"#)
        #expect(try classify().errors == "\(data):2:1: error: the label of this record is empty\n")
    }

    @Test("takes whole numbers for classes, written with a point too, and tells where it learns numbers")
    func numbers() throws {
        try write(#"{"q": "1", "a": 0.0}"#, #"{"q": "1", "a": 1.0}"#, #"{"q": "1", "a": 1}"#)
        let classes = try classify()
        #expect(classes.status == 0 && classes.errors.contains("\nlabels: 0 (1), 1 (2)\n"), "\(classes.errors)")
        let resolved = try run.folder.text("run/training_config.yaml")
        #expect(resolved.contains("\n  labels: [\"0\", \"1\"]\n") && resolved.contains("single_label_classification"))
        try write(#"{"q": "1", "a": 0.5}"#, #"{"q": "1", "a": -2}"#)
        let values = try classify("training.output_dir=\(run.folder.path)/values")
        #expect(
            values.status == 0
                && values.errors.contains(
                    "\nlabels: numbers from -2.0 to 0.5, learned as such (problem_type: regression)\n"),
            "\(values.errors)")
    }

    @Test("has labels that are the numbers of an adapter's classes without names, or get names from the configuration")
    func unnamedLabels() throws {
        try write(#"{"q": "1", "a": 0}"#, #"{"q": "2", "a": 2}"#, #"{"q": "3", "a": 1}"#)
        let small = try SmallModel()
        let trained = try classify("model={path: \(small.model)}")
        #expect(trained.status == 0, "\(trained.errors)")
        let output = run.folder.path + "/run"
        try FileManager.default.removeItem(atPath: output + "/training_config.yaml")
        let adapter = [
            "eval", "--json", "--adapter", output, "--save-predictions", run.folder.path + "/p.jsonl", "--data",
        ]
        let file = try write(#"{"q": "2", "a": 2.0}"#, #"{"q": "3", "a": "LABEL_1"}"#, to: "other.jsonl")
        let templates = ["--text", "{q}", "--label", "{a}"]
        let numbered = try RunningTool(adapter + [file] + templates).outcome()
        #expect(numbered.status == 0, "\(numbered.errors)")
        #expect(try predictions("label") == ["LABEL_2", "LABEL_1"])
        try FileManager.default.removeItem(atPath: run.folder.path + "/p.jsonl")
        let configuration = try write(
            "model: {path: \(small.model)}", "task: sequence_classification",
            "data: {text: '{q}', label: '{a}', labels: [no, maybe, yes]}", to: "named.yaml")
        let words = try write(#"{"q": "2", "a": "yes"}"#, #"{"q": "3", "a": "maybe"}"#, to: "words.jsonl")
        let named = try RunningTool(adapter + [words, "--config", configuration]).outcome()
        #expect(named.status == 0, "\(named.errors)")
        #expect(try predictions("label") == ["yes", "maybe"])
        #expect(try JSONNode.parse(named.output).number("loss") == JSONNode.parse(numbered.output).number("loss"))
        try FileManager.default.removeItem(atPath: run.folder.path + "/p.jsonl")
        let nameless = try RunningTool(adapter + [words] + templates).outcome()
        #expect(nameless.status == 65)
        #expect(
            nameless.errors.hasPrefix(
                "\(words):1:1: error: 'yes' is none of the labels; they have no names but LABEL_0, LABEL_1, LABEL_2, "))
    }

    private func predictions(_ key: String) throws -> [String] {
        try run.folder.text("p.jsonl").split(separator: "\n").map { try JSONNode.parse(String($0)).string(key) }
    }

    @Test("has labels that are empty: an error where that is, of a language model too")
    func emptyLabels() throws {
        let small = try SmallModel()
        let file = try write(#"{"q": "1", "a": "x"}"#, #"{"q": "1", "a": ""}"#, to: "e.jsonl")
        let label = try peft("eval", "--base", small.model, "--data", file, "--text", "{q}", "--label", "{a}", "--json")
        #expect(label.status == 65 && label.output == "")
        #expect(label.errors == "\(file):2:1: error: the label of this record is empty\n")
    }

    @Test("is read over byte order marks: configuration, records, merges, prompts")
    func byteOrderMarks() throws {
        for name in ["run.yaml", "data.jsonl", "model/config.json", "model/vocab.json", "model/merges.txt"] {
            try run.folder.write("\u{FEFF}" + run.folder.text(name), to: name)
        }
        let outcome = try train("training.max_steps=1")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let small = try SmallModel()
        let marked = try peft(
            "generate", "--base", small.model, "--max-new-tokens", "3", "--json", input: "\u{FEFF}ab\ncd\n")
        let plain = try peft("generate", "--base", small.model, "--max-new-tokens", "3", "--json", input: "ab\ncd\n")
        #expect(marked.status == 0 && marked.output == plain.output)
        let returns = try peft(
            "generate", "--base", small.model, "--max-new-tokens", "3", "--json", input: "ab\rcd\r\n")
        #expect(returns.output == plain.output)
        let wide = try peft("generate", "--base", small.model, "--json", input: "a\u{0}b\u{0}")
        #expect(wide.status == 65 && wide.errors == "stdin: error: is text in UTF-16: save it as UTF-8\n")
        let scored = try peft(
            "eval", "--json", "--predictions", "-", input: "\u{FEFF}{\"prediction\": \"a\", \"reference\": \"a\"}\r\r\n"
        )
        #expect(scored.status == 0 && scored.output.contains("\"rouge1\""))
    }

    @Test("leaves out what a record hasn't got, where the template allows it")
    func optionalParts() throws {
        try write(
            #"{"q": "1", "c": {"t": "x"}, "a": "2"}"#, #"{"q": "1", "c": null, "a": "2"}"#, #"{"q": "1", "a": "2"}"#)
        let small = try SmallModel()
        let file = run.folder.path + "/p.jsonl"
        let outcome = try peft(
            "eval", "--base", small.model, "--data", data, "--prompt", #"{?In: {c.t}\n?}{q}="#, "--completion", "{a}",
            "--rouge", "--save-predictions", file, "--max-new-tokens", "2")
        #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
        #expect(try predictions("prompt") == ["In: x\n1=", "1="])
        // One prompt fills the field that isn't optional.
        try small.folder.write(
            #"data: {prompt: "{?In: {c.t}\n?}{q}=", completion: "{a}"}"# + "\n", to: "a/training_config.yaml")
        let text = try peft(
            "generate", "--adapter", small.path("a"), "--as-trained", "--prompt", "7", "--json", "--max-new-tokens", "2"
        )
        #expect(text.output.hasPrefix(#"{"prompt": "7=","#), "\(text.errors)")
        let unknown = try peft(
            "eval", "--base", small.model, "--data", data, "--text", "{q}{?{cc}?}", "--json")
        #expect(
            unknown.errors
                == "\(data): warning: no field 'cc'; did you mean 'c'? There is q, c, a. What depends on it is left out "
                + "everywhere\n")
    }

    @Test("belongs to a task, and a wrong one is one error")
    func wrongTask() throws {
        let outcome = try RunningTool(
            run.arguments + (["task=sequence_clasification"] + classification.dropFirst()).flatMap { ["--set", $0] }
        ).outcome()
        #expect(
            outcome.errors
                == "--set task=sequence_clasification: error: task: expected one of causal_lm, seq_2_seq_lm, "
                + "sequence_classification, got 'sequence_clasification'; did you mean 'sequence_classification'?\n")
    }
}
