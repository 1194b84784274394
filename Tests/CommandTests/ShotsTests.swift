import FoundationEssentials
import JSONText
import Testing

@Suite("peft eval --shots") struct ShotsTests {
    private let small: SmallModel
    private let configuration: String

    init() throws {
        small = try SmallModel()
        let records = (0..<8).map { #"{"q": "\#($0)?", "a": "a\#($0)"}"# }
        try small.folder.write(records.joined(separator: "\n") + "\n", to: "data.jsonl")
        configuration = try small.folder.write(
            """
            model: {path: \(small.model)}
            data: {train: \(small.path("data.jsonl")), validation: \(small.path("data.jsonl")), prompt: "{q}\\n",
                   completion: "{a}"}
            peft: {method: lora}
            training: {output_dir: \(small.path("none"))}
            """, to: "run.yaml"
        ).path(percentEncoded: false)
    }

    private func evaluate(_ arguments: String...) throws -> Outcome {
        try RunningTool(
            ["eval", "--base", small.model, "--config", configuration, "--max-new-tokens", "4"] + arguments
        )
        .outcome()
    }

    @Test("measures loss and texts behind the same records each time")
    func shown() throws {
        let outcome = try evaluate("--shots", "2", "--rouge", "--json")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let found = try JSONNode.parse(outcome.output)
        #expect(try found.integer("shots") == 2 && found.integer("examples") == 8 && found.integer("prompts") == 8)
        // Two bytes of each answer, and the two line breaks behind it.
        #expect(try found.integer("tokens") == 8 * 4)
        #expect(try evaluate("--shots", "2", "--rouge", "--json").output == outcome.output)
        let others = try JSONNode.parse(evaluate("--shots", "2", "--seed", "7", "--json").output)
        #expect(try others.number("loss") != found.number("loss"))
        let plain = try JSONNode.parse(evaluate("--json").output)
        #expect(try plain.optional("shots") == nil && plain.number("loss") != found.number("loss"))
        #expect(try evaluate("--shots", "2").output.contains("\(small.model), 2 shots  "))
    }

    @Test("passes over training records that are too long, and says so once")
    func passesOver() throws {
        let long = #"{"q": "\#(String(repeating: "long ", count: 8))", "a": "a9"}"#
        let short = (0..<3).map { #"{"q": "\#($0)?", "a": "a\#($0)"}"# }
        try small.folder.write(([long, long] + short).joined(separator: "\n"), to: "train.jsonl")
        let length = "data.max_length=20"
        let arguments = ["--shots", "3", "--json", "--set", "data.train=\(small.path("train.jsonl"))", "--set", length]
        let outcome = try RunningTool(
            ["eval", "--base", small.model, "--config", configuration] + arguments
        ).outcome()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.errors == "--shots: passed over 1 record longer than data.max_length (20)\n")
        #expect(try JSONNode.parse(outcome.output).integer("examples") == 8)
        let tooMany = try RunningTool(
            ["eval", "--base", small.model, "--config", configuration, "--shots", "4"] + arguments.dropFirst(2)
        ).outcome()
        #expect(tooMany.status == 65)
        #expect(
            tooMany.errors
                == "error: --shots 4 is more than the training data has records not longer than data.max_length (20) (3)\n"
        )
    }

    @Test("leaves out what doesn't fit behind the records where the policy is to drop it")
    func drops() throws {
        let records = [#"{"q": "1?", "a": "a1"}"#, #"{"q": "\#(String(repeating: "x", count: 40))", "a": "a2"}"#]
        try small.folder.write(records.joined(separator: "\n"), to: "some.jsonl")
        let arguments = [
            "--shots", "2", "--rouge", "--json", "--data", small.path("some.jsonl"), "--set", "data.max_length=40",
        ]
        func evaluate(_ policy: String) throws -> Outcome {
            try RunningTool(
                ["eval", "--base", small.model, "--config", configuration, "--max-new-tokens", "2"] + arguments
                    + ["--set", "data.max_length_policy=\(policy)"]
            ).outcome()
        }
        let outcome = try evaluate("drop")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let found = try JSONNode.parse(outcome.output)
        #expect(try found.integer("examples") == 1 && found.integer("prompts") == 1)
        #expect(outcome.errors.contains("1 of 2 prompts are too long and were left out\n"))
        let strict = try evaluate("error")
        #expect(strict.status == 65)
        #expect(
            strict.errors
                == "\(small.path("some.jsonl")):2:1: error: 59 tokens, those of 2 shots among them, are more than what the "
                + "model takes (48): give fewer --shots\n")
    }

    @Test("refuses records that don't fit beside the prompt, and text without prompts")
    func wrong() throws {
        let tooLong = try evaluate("--shots", "6")
        #expect(
            tooLong.status == 65
                && tooLong.errors.hasSuffix(
                    "data.jsonl:1:1: error: 49 tokens, those of 6 shots among them, are more than what the model takes "
                        + "(48): give fewer --shots; it is so in all 8 records\n"),
            "\(tooLong.errors)")
        let text = try evaluate("--shots", "1", "--data", small.path("data.jsonl"), "--text", "{q}")
        #expect(text.status == 64 && text.errors == "error: --shots needs prompts: the data has text only\n")
        let untrained = try peft(
            "eval", "--base", small.model, "--data", small.path("data.jsonl"), "--prompt", "{q}", "--completion", "{a}",
            "--shots", "1")
        #expect(
            untrained.errors
                == "error: --shots takes records from data.train: give the run's configuration with --config\n")
    }
}
