import Foundation
import JSONText
import TestSupport
import Testing

@Suite("peft eval --choices") struct ChoiceCommandTests {
    private let small: SmallModel

    init() throws { small = try SmallModel() }

    private func evaluate(_ records: String, _ more: [String], name: String = "d.jsonl") throws -> Outcome {
        try small.folder.write(records, to: name)
        return try RunningTool(
            ["eval", "--base", small.model, "--data", small.path(name), "--prompt", "{q}", "--completion", " {a}"]
                + more
        ).outcome()
    }

    private func lines(_ name: String) throws -> [JSONNode] {
        try small.folder.text(name).split(separator: "\n").map { try JSONNode.parse(String($0)) }
    }

    @Test("finds the reference's log probabilities of the embedded questions") func reference() throws {
        let file = small.path("p.jsonl")
        let arguments = [
            "eval", "--base", "embedded/base", "--config", "configs/multiple-choice.yaml", "--json",
            "--save-predictions",
            file,
        ]
        let outcome = try RunningTool(arguments).outcome()
        #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
        let scores = try JSONNode.parse(outcome.output)
        #expect(try scores.asObject().map(\.key) == ["examples", "accuracy", "acc", "acc_norm", "chance"])
        let expected = try JSONNode.load(path: fixture("choices/expected.json").path()).asArray()
        let found = try lines("p.jsonl")
        #expect(found.count == 20 && expected.count == 20)
        var right = (plain: 0, bytes: 0)
        for (line, row) in zip(found, expected) {
            let values = try line.array("log_probabilities").map { try $0.asNumber() }
            let row = try row.asArray().map { try $0.asArray() }
            for (value, wanted) in zip(values, row) {
                #expect(abs(value - (try wanted[0].asNumber())) < 1e-3 * abs(value))
            }
            #expect(
                try line.array("token_counts").map { try $0.asInteger() } == row.map { try $0[1].asInteger() })
            let texts = try line.array("choices").map { try $0.asString() }
            let answer = try line.integer("answer")
            let best = values.indices.max { values[$0] < values[$1] }
            let normalized = zip(values, texts).map { $0 / Double($1.utf8.count) }
            #expect(
                try best.map { texts[$0] } == line.string("prediction") && line.string("reference") == texts[answer])
            if best == answer { right.plain += 1 }
            if normalized.indices.max(by: { normalized[$0] < normalized[$1] }) == answer { right.bytes += 1 }
        }
        #expect(
            try scores.number("accuracy") == Double(right.plain) / 20
                && scores.number("acc") == scores.number("accuracy"))
        #expect(try scores.number("acc_norm") == Double(right.bytes) / 20 && scores.number("chance") == 0.25)
        let bytes = try JSONNode.parse(
            RunningTool(Array(arguments.dropLast(2)) + ["--choice-normalization", "bytes"]).outcome().output)
        #expect(
            try bytes.number("accuracy") == scores.number("acc_norm") && bytes.number("acc") == scores.number("acc"))
    }

    @Test("takes the answers from a field, with labels, from a table or for all, and the right one by text or number")
    func forms() throws {
        let forms = [
            (#"{"q": "?", "a": "no", "c": ["yes", "no"]}"#, "c", "d.jsonl"),
            (#"{"q": "?", "a": 1, "c": ["yes", "no"]}"#, "c", "d.jsonl"),
            (#"{"q": "?", "a": "1", "c": ["yes", "no"]}"#, "c", "d.jsonl"),
            (#"{"q": "?", "a": "B", "c": {"text": ["yes", "no"], "label": ["A", "B"]}}"#, "c", "d.jsonl"),
            (#"{"q": "?", "a": "no", "x": {"c": ["yes", "no"]}}"#, "x.c", "d.jsonl"),
            (#"{"q": "?", "a": "no"}"#, "yes,no", "d.jsonl"),
            ("q,a\n?,no\n", "yes,no", "d.csv"),
        ]
        var seen: Set<String> = []
        for (index, form) in forms.enumerated() {
            let outcome = try evaluate(
                form.0 + "\n", ["--choices", form.1, "--save-predictions", small.path("p\(index).jsonl")], name: form.2)
            #expect(outcome.status == 0, "\(form.0): \(outcome.errors)")
            let line = try #require(try lines("p\(index).jsonl").first)
            #expect(try line.string("reference") == "no" && line.integer("answer") == 1)
            seen.insert(try small.folder.text("p\(index).jsonl"))
        }
        #expect(seen.count == 1)
        // A number among numbers is one of them, not their place.
        _ = try evaluate(
            #"{"q": "?", "a": 1, "c": [1, 5]}"#, ["--choices", "c", "--save-predictions", small.path("n.jsonl")])
        #expect(try lines("n.jsonl").first?.string("reference") == "1")
    }

    @Test("generates too where measures are named, and prints a row for each model") func both() throws {
        let records = (0..<3).map { #"{"q": "\#($0)?", "a": \#($0 % 2), "c": ["yes", "no"]}"# + "\n" }.joined()
        let outcome = try evaluate(
            records, ["--choices", "c", "--metrics", "f1", "--max-new-tokens", "3", "--json"])
        let found = try JSONNode.parse(outcome.output)
        #expect(
            try found.asObject().map(\.key) == ["examples", "accuracy", "acc", "acc_norm", "chance", "prompts", "f1"])
        let rows = try RunningTool([
            "eval", "--adapter", small.path("a"), "--compare-base", "--data", small.path("d.jsonl"), "--prompt", "{q}",
            "--completion", " {a}", "--choices", "c",
        ]).outcome()
        #expect(rows.status == 0, "\(rows.errors)")
        let table = rows.output.split(separator: "\n")
        #expect(table.count == 4 && table[0].hasSuffix("accuracy     acc  acc_norm  chance"), "\(rows.output)")
        #expect(table[1].hasPrefix("base ") && table[3] == "3 examples")
    }

    @Test("needs a field or answers") func none() throws {
        let outcome = try evaluate(#"{"q": "?", "a": "no"}"#, ["--choices", ""])
        #expect(outcome.status == 64)
        #expect(
            outcome.errors
                == "error: --choices is empty: name the field that holds a record's answers, or give the answers of all with "
                + "commas between them\n")
    }

    @Test(
        "says what is wrong with a record's answers",
        arguments: [
            (#"{"q": "?", "a": "x", "c": ["yes", "no"]}"#, "'x' in 'a' is none of the choices 'yes', 'no'"),
            (#"{"q": "?", "a": 2, "c": ["yes", "no"]}"#, "'a' is 2, but the choices are numbered from 0 to 1"),
            (#"{"q": "?", "a": -1, "c": ["yes", "no"]}"#, "'a' is -1, but the choices are numbered from 0 to 1"),
            (#"{"q": "?", "a": 0.5, "c": ["yes", "no"]}"#, "'a' is 0.5, but the choices are numbered from 0 to 1"),
            (#"{"q": "?", "a": "x", "c": ["yes"]}"#, "'c' needs two or more choices, and has 1"),
            (#"{"q": "?", "a": "x", "c": "yes"}"#, "'c' is no list of choices"),
            (#"{"q": "?", "a": "x", "c": {"text": ["a", "b"]}}"#, "'c.label' is no list of choices"),
            (#"{"q": "?", "a": "x", "c": {"text": ["a", "b"], "label": ["A"]}}"#, "'c' has 2 texts and 1 labels"),
            (#"{"q": "?", "a": "x", "c": ["yes", null]}"#, "choice 1 in 'c' is no text"),
            (#"{"q": "?", "a": "", "c": ["yes", ""]}"#, "choice 1 in 'c' is empty"),
            (#"{"q": "?", "a": "x", "d": []}"#, "no field 'c'; there is q, a, d"),
        ])
    func records(record: String, message: String) throws {
        let outcome = try evaluate(record + "\n", ["--choices", "c"])
        #expect(outcome.status == 65 && outcome.output == "")
        #expect(outcome.errors == "\(small.path("d.jsonl")):1:1: error: \(message)\n")
    }

    @Test("says what choices don't go with") func settings() throws {
        let record = #"{"q": "?", "a": "x", "c": ["x", "y"]}"# + "\n"
        func message(_ more: [String]) throws -> String {
            let outcome = try evaluate(record, more)
            #expect(outcome.status == 64 || outcome.status == 65)
            return String(outcome.errors.split(separator: "\n")[0]).replacing(small.folder.path + "/", with: "")
        }
        #expect(
            try message(["--choice-normalization", "bytes"])
                == "error: --choice-normalization goes with --choices, or data.choices in the configuration")
        #expect(
            try message(["--choices", "c", "--choice-normalization", "words"])
                == "Error: --choice-normalization must be none, tokens or bytes, got 'words'")
        #expect(try message(["--choices", "x,x"]) == "error: --choices has a choice twice")
        #expect(try message(["--choices", "x,"]) == "error: --choices has an empty choice")
        #expect(
            try message(["--choices", "c", "--completion", "{a} {q}"])
                == "error: --choices needs a completion of one field, which holds the right one of the choices")
        try small.folder.write("q,a\n?,x\n", to: "d.csv")
        let table = try RunningTool([
            "eval", "--base", small.model, "--data", small.path("d.csv"), "--prompt", "{q}", "--completion", "{a}",
            "--choices", "c",
        ]).outcome()
        #expect(
            table.errors.replacing(small.folder.path + "/", with: "")
                == "d.csv:2:1: error: choices in a field ('c') are lists, which only JSON has: give the choices themselves\n"
        )
        let text = try RunningTool([
            "eval", "--base", small.model, "--data", small.path("d.csv"), "--text", "{q}", "--choices", "c",
        ]).outcome()
        #expect(text.errors == "error: --choices needs prompts and completions to choose among\n")
        try small.folder.write(
            """
            model: {path: \(small.model)}
            data: {train: \(small.path("d.jsonl")), text: "{q}", choices: c}
            peft: {method: lora}
            training: {output_dir: \(small.path("run"))}
            """, to: "run.yaml")
        let run = try RunningTool(["train", "--config", small.path("run.yaml"), "--dry-run"]).outcome()
        #expect(
            run.errors.replacing(small.folder.path + "/", with: "").replacing(/:\d+: error/, with: ": error")
                == "run.yaml:2: error: data.choices: needs prompts and completions to choose among\n")
        let long = try evaluate(
            #"{"q": "\#(String(repeating: "long ", count: 20))", "a": "x", "c": ["x", "y"]}"# + "\n",
            ["--choices", "c"])
        #expect(long.status == 65 && long.errors.contains("d.jsonl:1:1: error: "), "\(long.errors)")
    }

    @Test("have completions that are the right answers' texts, in training too") func completions() throws {
        let loss = try [#"{"q": "?", "a": 1, "c": ["yes", "no"]}"#, #"{"q": "?", "a": "no"}"#].map { record in
            try small.folder.write(record + "\n", to: "t.jsonl")
            let choices = record.contains("[") ? ", choices: c" : ""
            try small.folder.write(
                """
                model: {path: \(small.model)}
                data: {train: \(small.path("t.jsonl")), prompt: "{q}", completion: " {a}"\(choices)}
                peft: {method: lora, target_modules: [c_attn]}
                training: {output_dir: \(small.path("run")), max_steps: 1, logging_steps: 1, learning_rate: 1.0e-3}
                """, to: "run.yaml")
            let outcome = try RunningTool(["train", "--config", small.path("run.yaml"), "--overwrite", "--json"])
                .outcome()
            #expect(outcome.status == 0, "\(outcome.errors)")
            return try JSONNode.parse(outcome.output).number("loss")
        }
        #expect(loss[0] == loss[1])
    }
}
