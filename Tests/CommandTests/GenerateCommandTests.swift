import JSONText
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
                error: --as-trained needs the template of the training: there is no training_config.yaml beside the \
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
            (["--base", "x", "--set", "a=b"], "--set changes a configuration: give --config too"),
        ])
    func usage(arguments: [String], message: String) throws {
        let outcome = try RunningTool(["generate"] + arguments).outcome()
        #expect(outcome.status == 64 && outcome.output == "")
        #expect(outcome.errors.split(separator: "\n").first.map(String.init) == "Error: " + message)
    }
}
