import Foundation
import JSONText
import TestSupport
import Testing

@Suite("peft predict") struct PredictCommandTests {
    private let small: SmallModel
    private var adapter: String { small.path("run") }

    /// Trains an adapter with a head that tells odd from even.
    init() throws {
        small = try SmallModel()
        try small.folder.write(
            """
            {"t": "one", "l": "odd"}
            {"t": "two", "l": "even"}
            {"t": "three", "l": "odd"}
            """, to: "train.jsonl")
        #expect(try train([]).status == 0)
    }

    private func train(_ changes: [String]) throws -> Outcome {
        try small.folder.write(
            """
            task: sequence_classification
            model: {path: \(small.model)}
            data: {train: \(small.path("train.jsonl")), text: "<{t}>", label: "{l}"}
            peft: {method: lora, r: 2, target_modules: [c_attn]}
            training: {output_dir: \(small.path("run")), max_steps: 4, learning_rate: 1.0e-2, logging_steps: 2}
            """, to: "run.yaml")
        return try RunningTool(
            ["train", "--quiet", "--config", small.path("run.yaml")] + changes.flatMap { ["--set", $0] }
        ).outcome()
    }

    private func predict(_ arguments: String..., input: String = "") throws -> Outcome {
        try RunningTool(["predict"] + arguments, input: input).outcome()
    }

    private func objects(_ outcome: Outcome) throws -> [JSONNode] {
        try outcome.output.split(separator: "\n").map { try JSONNode.parse(String($0)) }
    }

    @Test("fills label and probabilities into the records, in order, as an evaluation tells them") func records() throws
    {
        let records = (0..<150).map { #"{"id": \#($0), "t": "\#(String(repeating: "x\($0) ", count: $0 % 8))."}"# }
        try small.folder.write(records.joined(separator: "\n"), to: "new.jsonl")
        let outcome = try predict("--adapter", adapter, "--data", small.path("new.jsonl"), "--json")
        #expect(outcome.status == 0 && outcome.errors == "")
        let rows = try objects(outcome)
        #expect(try rows.map { try $0.integer("id") } == Array(0..<150))
        for row in rows {
            #expect(try row.asObject().map(\.key) == ["id", "t", "label", "probabilities"])
            let (even, odd) = try (
                row.required("probabilities").number("even"), row.required("probabilities").number("odd")
            )
            #expect(abs(even + odd - 1) < 1e-6)
            #expect(try row.string("label") == (even >= odd ? "even" : "odd"))
        }
        // The same for a record by itself.
        for index in [0, 10, 149] {
            let alone = try predict("--adapter", adapter, "--json", input: records[index])
            #expect(try objects(alone)[0].plain == rows[index].plain)
        }
        let labelled = rows.map { $0.plain.text(.compact).replacing("\"label\"", with: "\"l\"") }
        try small.folder.write(labelled.joined(separator: "\n"), to: "labelled.jsonl")
        let found = try peft("eval", "--adapter", adapter, "--data", small.path("labelled.jsonl"), "--json")
        #expect(try JSONNode.parse(found.output).number("accuracy") == 1, "\(found.errors)")
    }

    @Test("takes lines of text and tables, and prints a line each") func texts() throws {
        let outcome = try predict("--adapter", adapter, input: "one\ntwo\n")
        #expect(outcome.status == 0 && outcome.errors == "")
        let row = try objects(predict("--adapter", adapter, "--json", input: "one\n"))[0]
        #expect(try row.string("text") == "one")
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.count == 2)
        #expect(try lines[0].hasPrefix(row.string("label") + "\t0."))
        try small.folder.write("n,t\n7,one\n", to: "new.csv")
        let table = try objects(predict("--adapter", adapter, "--data", small.path("new.csv"), "--json"))[0]
        #expect(try table.string("n") == "7")
        #expect(try table.required("probabilities").plain == row.required("probabilities").plain)
    }

    @Test("leaves a record's own fields as they are") func ownFields() throws {
        let outcome = try predict(
            "--adapter", adapter, "--json",
            input: #" { "t" : "one","label":"odd", "n": [1.50, 12345678901234567890 ]}  "#)
        #expect(outcome.errors == "")
        #expect(
            outcome.output.hasPrefix(
                #"{"t" : "one","label":"odd", "n": [1.50, 12345678901234567890 ], "predicted_label": ""#),
            "\(outcome.output)")
    }

    @Test("gives a record that can't be used an error in its place, and all others their labels") func broken() throws {
        let lines = [
            #"{"t": "one"}"#, "{", #"{"x": 1}"#, #"{"t": "\#(String(repeating: "long ", count: 20))"}"#, "",
            #"{"t": "two"}"#,
        ]
        let outcome = try predict("--adapter", adapter, "--json", input: lines.joined(separator: "\n"))
        #expect(outcome.status == 65)
        let rows = try objects(outcome)
        #expect(rows.count == 5)
        #expect(rows.map { $0.member("label") != nil } == [true, false, false, false, true])
        #expect(rows.map { $0.member("error") != nil } == [false, true, true, true, false])
        #expect(try rows[2].integer("x") == 1)
        #expect(try rows[3].string("error") == "102 tokens are more than what the model takes (48)")
        let errors = outcome.errors.split(separator: "\n")
        #expect(errors.count == 3)
        #expect(errors[0].hasPrefix("stdin:2:") && errors[1].hasPrefix("stdin:3:1: error: no field 't'"))
        #expect(errors[2] == "stdin:4:1: error: 102 tokens are more than what the model takes (48)")
        let plain = try predict("--adapter", adapter, input: lines.joined(separator: "\n"))
        #expect(plain.status == 65)
        #expect(
            plain.output.split(separator: "\n", omittingEmptySubsequences: false).map(\.isEmpty)
                == [false, true, true, true, false, true])
    }

    @Test("cuts what is too long as in training") func cut() throws {
        let outcome = try train(
            [
                "training.output_dir=\(small.path("cut"))", "data.max_length=6",
                "data.max_length_policy=keep_prompt_start",
            ])
        #expect(outcome.status == 0, "\(outcome.errors)")
        func label(_ text: String) throws -> Outcome {
            try predict("--adapter", small.path("cut"), "--json", input: #"{"t": "\#(text)"}"#)
        }
        let long = try label("abcdefghijklmnop")
        #expect(long.status == 0 && long.errors == "1 texts were cut to the length of the training\n")
        let other = try label("abcdeXXXXXX")
        #expect(
            try objects(long)[0].required("probabilities").plain == objects(other)[0].required("probabilities").plain)
    }

    @Test("takes the names of labels from the configuration where the model has none") func names() throws {
        // As from somewhere else: without the run's configuration beside it.
        for name in ["adapter_config.json", "adapter_model.safetensors"] {
            try FileManager.default.createDirectory(atPath: small.path("bare"), withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: adapter + "/" + name, toPath: small.path("bare/") + name)
        }
        let bare = small.path("bare")
        let named = try predict("--adapter", adapter, "--json", input: "one")
        let unnamed = try predict("--adapter", bare, "--text", "<{text}>", "--json", input: "one")
        #expect(unnamed.output == named.output.replacing("even", with: "LABEL_0").replacing("odd", with: "LABEL_1"))
        let configuration = ["--config", small.path("run.yaml"), "--set"]
        func predicted(_ labels: String) throws -> Outcome {
            try RunningTool(
                ["predict", "--adapter", bare, "--json"] + configuration + ["data.labels=\(labels)"], input: "one"
            ).outcome()
        }
        #expect(try predicted("[even, odd]").output == named.output)
        #expect(
            try predicted("[a, b, c]").errors
                == "\(bare): error: data.labels: names 3 labels, but the model has 2 without names\n")
    }

    @Test("gives the number of a regression") func regression() throws {
        let output = "training.output_dir=\(small.path("numbers"))"
        #expect(
            try train([output, "data.problem_type=regression", "data.label=\"{l}\"", "data.train=\(numbers())"]).status
                == 0)
        let row = try objects(predict("--adapter", small.path("numbers"), "--json", input: "{\"t\": \"a\"}"))[0]
        #expect(try row.asObject().map(\.key) == ["t", "prediction"])
        let text = try predict("--adapter", small.path("numbers"), input: "{\"t\": \"a\"}").output
        #expect(try Double(text.dropLast()) == row.number("prediction"))
    }

    private func numbers() throws -> String {
        try small.folder.write("{\"t\": \"a\", \"l\": 0.5}\n{\"t\": \"b\", \"l\": 1.5}\n", to: "numbers.jsonl")
        return small.path("numbers.jsonl")
    }

    @Test("gives a row of each of several adapters, by its own template") func several() throws {
        let output = small.path("other")
        #expect(try train(["training.output_dir=\(output)", "data.text=\"{t} is\"", "training.seed=7"]).status == 0)
        let input = #"{"t": "one"}"# + "\n" + #"{"t": "two"}"#
        let both = try objects(predict("--adapter", adapter, "--adapter", output, "--json", input: input))
        #expect(try both.map { try $0.string("adapter") } == [adapter, output, adapter, output])
        let alone = try objects(predict("--adapter", output, "--json", input: input))
        #expect(try both[1].required("probabilities").plain == alone[0].required("probabilities").plain)
        #expect(try both[3].required("probabilities").plain == alone[1].required("probabilities").plain)
    }

    @Test("says where labels aren't what the model tells, and what is missing") func wrong() throws {
        let text = try predict("--adapter", small.path("a"), input: "x")
        #expect(text.status == 65 && text.output == "")
        #expect(
            text.errors
                == "\(small.path("a")): error: goes on with texts and has no labels to tell; 'peft generate --data FILE' "
                + "writes a text for each record\n")
        let label = try peft("generate", "--adapter", adapter, "--prompt", "x")
        #expect(label.status == 65)
        #expect(
            label.errors
                == "\(adapter): error: tells labels and writes no text; 'peft predict' gives each text its label\n")
        let data = try predict("--adapter", adapter, "--data", small.path("none.jsonl"))
        #expect(data.status == 66 && data.errors == "\(small.path("none.jsonl")): error: no such file\n")
        let template = try predict("--adapter", adapter, "--text", "{")
        #expect(template.status == 64)
        #expect(
            template.errors == "error: --text: '{' must be followed by a field's name and '}'; write {{ for a brace\n")
    }
}
