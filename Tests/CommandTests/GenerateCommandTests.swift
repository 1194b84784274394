import Foundation
import JSONText
import TestSupport
import Testing

@Suite("peft generate") struct GenerateCommandTests {
    private let small: SmallModel

    init() throws { small = try SmallModel() }

    private func generate(_ arguments: String..., input: String = "") throws -> Outcome {
        try RunningTool(["generate"] + arguments + ["--max-new-tokens", "6"], input: input).outcome()
    }

    private func objects(_ outcome: Outcome) throws -> [JSONNode] {
        try outcome.output.split(separator: "\n").map { try JSONNode.parse(String($0)) }
    }

    @Test("answers every line of stdin in order, as it answers each alone") func lines() throws {
        let prompts = (0..<40).map { "prompt \($0 % 9)" + String(repeating: "x", count: $0 % 5) }
        let outcome = try generate("--base", small.model, "--json", input: prompts.joined(separator: "\n"))
        #expect(outcome.status == 0 && outcome.errors == "")
        let rows = try objects(outcome)
        #expect(try rows.map { try $0.string("prompt") } == prompts)
        #expect(rows.allSatisfy { $0.member("adapter") == nil })
        for index in [0, 17, 39] {
            let alone = try generate("--base", small.model, "--prompt", prompts[index], "--json")
            #expect(try objects(alone)[0].plain == rows[index].plain)
        }
        #expect(try Set(rows.map { try $0.string("completion") }).count > 3)
    }

    @Test("prints the completion alone without --json") func text() throws {
        let outcome = try generate("--base", small.model, "--prompt", "abc")
        let row = try objects(generate("--base", small.model, "--prompt", "abc", "--json"))[0]
        #expect(try outcome.output == row.string("completion") + "\n")
    }

    @Test("gives a result for each adapter, whose base it finds by itself") func adapters() throws {
        let both = try objects(
            generate(
                "--adapter", small.path("a"), "--adapter", small.path("b"), "--prompt", "abc", "--json"))
        #expect(try both.map { try $0.string("adapter") } == [small.path("a"), small.path("b")])
        for (row, name) in zip(both, ["a", "b"]) {
            let alone = try objects(generate("--adapter", small.path(name), "--prompt", "abc", "--json"))[0]
            #expect(try alone.string("completion") == row.string("completion"))
        }
        #expect(try both[0].string("completion") != both[1].string("completion"))
    }

    @Test("draws the same for the same seed") func seeds() throws {
        func draw(_ seed: String) throws -> String {
            try generate(
                "--base", small.model, "--prompt", "abc", "--temperature", "1.5", "--top-k", "50", "--top-p", "0.9",
                "--seed", seed
            ).output
        }
        let first = try draw("1")
        #expect(try draw("1") == first)
        #expect(try draw("2") != first)
    }

    @Test("with --as-trained puts the prompt into the template of the run") func template() throws {
        let given = try generate("--adapter", small.path("a"), "--prompt", "abc", "--as-trained")
        #expect(given.status == 66)
        #expect(
            given.errors == """
                \(small.path("a")): error: --as-trained needs the template of the training: there is no training_config.yaml beside the \
                adapter; give the run's configuration with --config

                """)
        try small.folder.write(
            "data: {prompt: \"<{q}>\\n\", completion: \"{a}\"}\n", to: "a/training_config.yaml")
        let row = try objects(
            generate("--adapter", small.path("a"), "--prompt", "abc", "--as-trained", "--json"))[0]
        #expect(try row.string("prompt") == "<abc>\n")
        let plain = try objects(generate("--adapter", small.path("a"), "--prompt", "<abc>\n", "--json"))[0]
        #expect(row.plain == plain.plain)
    }

    @Test("says where generation stopped for want of positions") func positions() throws {
        let prompt = String(repeating: "a", count: 45)
        let outcome = try generate("--base", small.model, input: "a\n\(prompt)\n")
        #expect(outcome.status == 0)
        #expect(
            outcome.errors == """
                stdin:2:1: warning: generation stopped: prompt and completion are as long as the model takes \
                (n_positions, 48 tokens)

                """)
    }

    @Test("names the line of a prompt that is too long") func tooLong() throws {
        let outcome = try generate("--base", small.model, input: "a\n" + String(repeating: "a", count: 49))
        #expect(outcome.status == 65)
        #expect(
            outcome.errors
                == "stdin:2:1: error: the prompt has 49 tokens, but the model takes at most 48 (n_positions)\n")
        let given = try generate("--base", small.model, "--prompt", String(repeating: "a", count: 49))
        #expect(given.status == 65 && given.output == "")
        #expect(given.errors == "error: the prompt has 49 tokens, but the model takes at most 48 (n_positions)\n")
    }

    /// The tool's answers to lines that needn't be UTF-8, as `printf` writes them.
    private func answers(toBytes lines: String, _ arguments: String) throws -> Outcome {
        let folder = try TemporaryFolder()
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", "printf '\(lines)' | \"$0\" \(arguments)", binary.path()]
        process.standardOutput = try FileHandle(forWritingTo: folder.write("", to: "stdout"))
        process.standardError = try FileHandle(forWritingTo: folder.write("", to: "stderr"))
        try process.run()
        process.waitUntilExit()
        return Outcome(
            status: process.terminationStatus, output: try folder.text("stdout"), errors: try folder.text("stderr"))
    }

    @Test("answers all other prompts where some can't be answered", arguments: [[], ["--temperature", "2"]])
    func failures(sampling: [String]) throws {
        let prompts = (0..<70).map { $0 % 30 == 11 ? String(repeating: "x", count: 60) : "prompt \($0)" }
        let short = prompts.map { $0.count > 48 ? "y" : $0 }
        let outcome = try RunningTool(
            ["generate", "--base", small.model, "--json", "--max-new-tokens", "6"] + sampling,
            input: prompts.joined(separator: "\n")
        ).outcome()
        let expected = try RunningTool(
            ["generate", "--base", small.model, "--json", "--max-new-tokens", "6"] + sampling,
            input: short.joined(separator: "\n")
        ).outcome()
        #expect(outcome.status == 65 && expected.status == 0)
        let (rows, others) = (try objects(outcome), try objects(expected))
        #expect(rows.count == 70)
        for (index, row) in rows.enumerated() {
            if index % 30 == 11 {
                #expect(try row.asObject().map(\.key) == ["prompt", "error"])
                #expect(try row.string("prompt") == prompts[index])
                #expect(
                    try row.string("error") == "the prompt has 60 tokens, but the model takes at most 48 (n_positions)")
            } else {
                #expect(row.plain == others[index].plain)
            }
        }
        #expect(
            outcome.errors.split(separator: "\n").map { String($0.prefix { $0 != " " }) }
                == ["stdin:12:1:", "stdin:42:1:"])
        let plain = try generate("--base", small.model, input: "a\n\(String(repeating: "x", count: 60))\nb")
        #expect(plain.output.contains("\n\n") && plain.status == 65)
    }

    @Test("answers all other prompts where one is no UTF-8 or empty without a beginning") func unusable() throws {
        // A model without an end of texts has no token for an empty prompt.
        try small.folder.write(
            small.folder.text("model/vocab.json").replacing(", \"<|endoftext|>\": 256", with: ""),
            to: "model/vocab.json")
        try small.folder.write(
            small.folder.text("model/config.json").replacing("\"eos_token_id\": 256", with: "\"eos_token_id\": null"),
            to: "model/config.json")
        let outcome = try answers(
            toBytes: #"a\n\n\377\nb\n"#, "generate --base \(small.model) --json --max-new-tokens 2")
        #expect(outcome.status == 65)
        let rows = try objects(outcome)
        #expect(rows.map { $0.member("error") != nil } == [false, true, true, false])
        #expect(try rows.map { try $0.optionalString("prompt") } == ["a", "", nil, "b"])
        #expect(
            outcome.errors == """
                stdin:2:1: error: the prompt is empty, and the model has no token to begin a text with
                stdin:3:1: error: invalid UTF-8

                """)
    }

    @Test("answers all other prompts where one has a token that the model lacks") func missingToken() throws {
        let vocabulary = try JSONNode.load(path: small.path("model/vocab.json")).asObject().map {
            JSONValue.Member($0.key, $0.key == "z" ? 400 : $0.value.plain)
        }
        try small.folder.write(JSONValue.object(vocabulary).text(.compact), to: "model/vocab.json")
        let outcome = try generate("--base", small.model, "--json", input: "a\nxyz\nb\n")
        #expect(outcome.status == 65)
        let rows = try objects(outcome)
        #expect(try rows.map { try $0.string("prompt") } == ["a", "xyz", "b"])
        #expect(rows.map { $0.member("error") != nil } == [false, true, false])
        #expect(outcome.errors.hasPrefix("stdin:2:1: error: the token 'z' has the id 400"))
    }

    @Test("gives each adapter the template of its own training") func ownTemplates() throws {
        let adapters = ["--adapter", small.path("a"), "--adapter", small.path("b"), "--json", "--max-new-tokens", "6"]
        try small.folder.write("data: {prompt: \"<{q}>\", completion: \"{a}\"}\n", to: "a/training_config.yaml")
        let missing = try RunningTool(["generate", "--as-trained", "--prompt", "x"] + adapters).outcome()
        #expect(missing.status == 66)
        #expect(
            missing.errors == "\(small.path("b")): error: --as-trained needs the template of the training: there is no "
                + "training_config.yaml beside the adapter; give the run's configuration with --config\n")
        try small.folder.write("data: {prompt: \"{q} is\", completion: \"{a}\"}\n", to: "b/training_config.yaml")
        let rows = try objects(RunningTool(["generate", "--as-trained", "--prompt", "x"] + adapters).outcome())
        #expect(try rows.map { try $0.string("prompt") } == ["<x>", "x is"])
        for (row, name) in zip(rows, ["a", "b"]) {
            let alone = try objects(
                generate("--adapter", small.path(name), "--json", "--prompt", row.string("prompt")))[0]
            #expect(try alone.string("completion") == row.string("completion"))
        }
    }

    @Test("fills completions into records by the adapter's template") func records() throws {
        try small.folder.write("data: {prompt: \"<{q}, {n}>\", completion: \"{a}\"}\n", to: "a/training_config.yaml")
        let records = (0..<80).map { #"{"n": \#($0), "q": "question \#($0 % 7)"}"# }
        try small.folder.write(records.joined(separator: "\n"), to: "new.jsonl")
        let outcome = try generate("--adapter", small.path("a"), "--data", small.path("new.jsonl"), "--json")
        #expect(outcome.status == 0 && outcome.errors == "")
        let rows = try objects(outcome)
        #expect(try rows.map { try $0.integer("n") } == Array(0..<80))
        #expect(try rows[0].asObject().map(\.key) == ["n", "q", "completion"])
        for index in [0, 79] {
            let prompt = "<question \(index % 7), \(index)>"
            let alone = try objects(generate("--adapter", small.path("a"), "--json", "--prompt", prompt))[0]
            #expect(try alone.string("completion") == rows[index].string("completion"))
        }
        let piped = try generate(
            "--adapter", small.path("a"), "--data", "-", "--json", input: records[79] + "\n[]\n{\"q\": \"x\"}\n")
        #expect(piped.status == 65)
        let found = try objects(piped)
        #expect(found[0].plain == rows[79].plain)
        #expect(try found[1...].map { try $0.asObject().map(\.key) } == [["error"], ["q", "error"]])
        #expect(piped.errors.contains("stdin:2:1: error: ") && piped.errors.contains("stdin:3:1: error: no field 'n'"))
        // The template may be given, and a table read.
        try small.folder.write("q,completion\n\"a, b\",own\n", to: "new.csv")
        let given = try objects(
            generate("--base", small.model, "--data", small.path("new.csv"), "--prompt", #"{q}\n"#, "--json"))[0]
        let alone = try objects(generate("--base", small.model, "--json", input: "a, b"))
        #expect(alone.count == 1)
        #expect(try given.asObject().map(\.key) == ["q", "completion", "predicted_completion"])
        #expect(try given.string("completion") == "own")
    }

    @Test("shows records of the training before each prompt") func shots() throws {
        let records = (0..<3).map { #"{"q": "\#($0)?", "a": "a\#($0)"}"# }
        try small.folder.write(records.joined(separator: "\n"), to: "train.jsonl")
        try small.folder.write(
            """
            model: {path: \(small.model)}
            data: {train: \(small.path("train.jsonl")), prompt: "{q}=", completion: "{a}"}
            training: {output_dir: x}
            """, to: "run.yaml")
        let arguments = ["--base", small.model, "--config", small.path("run.yaml"), "--json", "--shots", "2"]
        let row = try objects(
            RunningTool(["generate", "--prompt", "7?", "--max-new-tokens", "5"] + arguments).outcome())[0]
        #expect(try row.string("prompt") == "7?=")
        let texts = try (0..<3).flatMap { first in
            try (0..<3).filter { $0 != first }.map { second in
                let shown = [first, second].map { "\($0)?=a\($0)\n\n" }.joined()
                try small.folder.write("{\"t\": \(JSONValue.string(shown + "7?=").text(.compact))}", to: "shown.jsonl")
                return try objects(
                    RunningTool([
                        "generate", "--base", small.model, "--json", "--max-new-tokens", "5", "--data",
                        small.path("shown.jsonl"), "--prompt", "{t}",
                    ]).outcome())[0].string("completion")
            }
        }
        let answers = texts.map { text in text.firstRange(of: "\n\n").map { String(text[..<$0.lowerBound]) } ?? text }
        #expect(try answers.contains(row.string("completion")))
        let tooMany = try RunningTool(["generate", "--prompt", "7?"] + arguments.dropLast() + ["9"]).outcome()
        #expect(tooMany.status == 65)
        #expect(tooMany.errors == "error: --shots 9 is more than the training data has records (3)\n")
        let without = try generate("--adapter", small.path("a"), "--prompt", "x", "--shots", "1")
        #expect(without.status == 66 && without.errors.contains("--shots needs the template of the training"))
    }

    @Test(
        "refuses options that make no sense",
        arguments: [
            ([], "no model: give --base, --adapter or --config"),
            (["--base", "x", "--top-k", "5"], "--top-k and --top-p limit random draws: give --temperature too"),
            (["--base", "x", "--temperature=-1"], "--temperature must not be negative, got -1.0"),
            (["--base", "x", "--temperature", "1", "--top-k", "0"], "--top-k must be at least 1, got 0"),
            (
                ["--base", "x", "--temperature", "1", "--top-p", "1.5"],
                "--top-p must be above 0 and at most 1, got 1.5"
            ),
            (["--base", "x", "--shots=-1"], "--shots must not be negative, got -1"),
            (["--base", "x", "--set", "a=b"], "--set changes a configuration: give --config too"),
        ])
    func usage(arguments: [String], message: String) throws {
        let outcome = try RunningTool(["generate"] + arguments).outcome()
        #expect(outcome.status == 64 && outcome.output == "")
        #expect(outcome.errors.split(separator: "\n").first.map(String.init) == "Error: " + message)
    }
}
