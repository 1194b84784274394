import Foundation
import JSONText
import Testing

@Suite("peft generate, by beams, with changed scores and among adapters") struct DecodingCommandTests {
    private let small: SmallModel

    init() throws { small = try SmallModel() }

    private func generate(_ arguments: [String], input: String = "") throws -> Outcome {
        try RunningTool(["generate", "--max-new-tokens", "6"] + arguments, input: input).outcome()
    }

    private func objects(_ outcome: Outcome) throws -> [JSONNode] {
        try outcome.output.split(separator: "\n").map { try JSONNode.parse(String($0)) }
    }

    @Test("by beams gives a line for each text, the best first, and their scores with --json") func beams() throws {
        let arguments = [
            "--base", small.model, "--prompt", "abc", "--num-beams", "3", "--num-return-sequences", "3",
        ]
        let row = try objects(generate(arguments + ["--json"]))[0]
        let others = try row.array("alternatives")
        #expect(others.count == 2)
        let scores = try [row.number("score")] + others.map { try $0.number("score") }
        #expect(scores == scores.sorted(by: >) && scores[0] < 0)
        let texts = try [row.string("completion")] + others.map { try $0.string("completion") }
        #expect(Set(texts).count == 3)
        #expect(try generate(arguments).output == texts.joined(separator: "\n") + "\n")
        let one = try objects(
            generate(["--base", small.model, "--prompt", "abc", "--num-beams", "3", "--json"]))[0]
        #expect(try one.string("completion") == texts[0] && one.number("score") == scores[0])
        #expect(one.member("alternatives") == nil)
        // Many prompts, in order, as each alone.
        let prompts = (0..<30).map { "prompt \($0)" }
        let all = try objects(
            generate(
                ["--base", small.model, "--num-beams", "3", "--json"], input: prompts.joined(separator: "\n")))
        #expect(try all.map { try $0.string("prompt") } == prompts)
        let alone = try objects(
            generate(["--base", small.model, "--num-beams", "3", "--json", "--prompt", prompts[17]]))[0]
        #expect(alone.plain == all[17].plain)
    }

    @Test("ends an answer before a stop text, and never writes a bad word") func stops() throws {
        func text(_ arguments: String...) throws -> String {
            try objects(
                generate(["--base", small.model, "--prompt", "abc", "--json"] + arguments))[0].string("completion")
        }
        let plain = try text()
        let letters = Array(plain)
        #expect(letters.count > 3)
        let stop = String(letters[2])
        let place = try #require(letters.firstIndex(of: letters[2]))
        #expect(try text("--stop", stop) == String(letters[..<place]))
        #expect(try text("--stop", "nowhere", "--stop", stop, "--num-beams", "2").contains(stop) == false)
        #expect(try text("--bad-word", stop).contains(stop) == false)
        let single = try text("--no-repeat-ngram-size", "1")
        #expect(Set(single.unicodeScalars).count == single.unicodeScalars.count)
        #expect(try text("--repetition-penalty", "5") != plain || Set(letters).count == letters.count)
    }

    @Test("takes a line whose prompt is no text for a broken record, and others for texts") func lines() throws {
        let outcome = try generate(
            ["--base", small.model, "--json"], input: "{\"prompt\": [\"a\"]}\n{\"other\": 1}\n{no JSON\n")
        #expect(outcome.status == 65)
        let rows = try objects(outcome)
        #expect(rows.count == 3)
        #expect(rows[0].member("completion") == nil && rows[0].member("error") != nil)
        #expect(try rows[1].string("prompt") == "{\"other\": 1}" && rows[2].string("prompt") == "{no JSON")
        #expect(outcome.errors == "stdin:1:1: error: \(try rows[0].string("error"))\n")
    }

    @Test("lets records choose among named adapters, each as alone, in order") func named() throws {
        let names = ["a", "b", "b", "a", "a", "b"]
        let records = names.enumerated().map { "{\"prompt\": \"abc \($0)\", \"adapter\": \"\($1)\", \"n\": \($0)}" }
        let adapters = ["--adapter", "a=" + small.path("a"), "--adapter", "b=" + small.path("b")]
        for more in [[], ["--num-beams", "2"], ["--temperature", "1.2"]] {
            let outcome = try generate(adapters + more + ["--json"], input: records.joined(separator: "\n"))
            #expect(outcome.status == 0 && outcome.errors == "")
            let rows = try objects(outcome)
            #expect(try rows.map { try $0.required("n").asInteger() } == Array(0..<6))
            for (index, name) in names.enumerated() {
                #expect(try rows[index].string("adapter") == name)
                // Draws go by the place in the input.
                let alone = try objects(
                    generate(
                        ["--adapter", small.path(name), "--json"] + more,
                        input: (0..<6).map { "abc \($0)" }.joined(separator: "\n")))[index]
                #expect(try alone.string("completion") == rows[index].string("completion"))
            }
            #expect(
                try generate(adapters + more, input: records.joined(separator: "\n")).output.contains("a: ") == false)
        }
        let both = try objects(generate(adapters + ["--prompt", "abc", "--json"]))
        #expect(try both.map { try $0.string("adapter") } == ["a", "b"])
    }

    @Test("says which line names no adapter, or one that isn't there, and answers the others") func missing() throws {
        let adapters = ["--adapter", "a=" + small.path("a"), "--adapter", "b=" + small.path("b"), "--json"]
        let input = """
            {"prompt": "x", "adapter": "c"}
            {"prompt": "x", "adapter": "a"}
            plain
            {"prompt": "x"}
            {"prompt": "x", "adapter": 7}
            {"prompt": "x", "adapter": {"a": 1}}
            {"adapter": "b"}
            {"prompt": "x",
            """
        let outcome = try generate(adapters, input: input)
        #expect(outcome.status == 65)
        #expect(
            try objects(outcome).map { $0.member("completion") != nil } == [false, true]
                + [Bool](repeating: false, count: 6))
        let lines = outcome.errors.split(separator: "\n").map(String.init)
        #expect(
            lines.prefix(4) == [
                "stdin:1:1: error: adapter: there is no adapter 'c', but 'a', 'b'",
                "stdin:3:1: error: adapter: names no adapter: write a JSON record with \"adapter\", which is one of 'a', 'b'",
                "stdin:4:1: error: adapter: names no adapter: give it with \"adapter\", one of 'a', 'b'",
                "stdin:5:1: error: adapter: there is no adapter '7', but 'a', 'b'",
            ])
        #expect(lines.count == 7 && lines[4].hasPrefix("stdin:6:1: error: ") && lines[6].hasPrefix("stdin:8:"))
        #expect(lines[5] == "stdin:7:1: error: has no text in \"prompt\", which is what is continued")
        func usage(_ first: String, _ second: String) throws -> String {
            try generate(["--adapter", first, "--adapter", second, "--prompt", "x"]).errors
        }
        #expect(
            try usage("a=" + small.path("a"), small.path("b"))
                == "error: --adapter: 'a' has a name, and '\(small.path("b"))' has none: give all as NAME=DIR, so that records "
                + "can choose, or none\n")
        #expect(
            try usage("a=" + small.path("a"), "a=" + small.path("b"))
                == "error: --adapter: the name 'a' stands for two adapters\n")
        #expect(
            try usage("a=" + small.path("a"), "b=" + small.path("none"))
                == "\(small.path("none")): error: no such folder\n")
    }

    @Test("takes JSON records on stdin beside texts") func records() throws {
        let outcome = try generate(
            ["--base", small.model, "--json"], input: "abc\n{\"prompt\": \"abc\", \"id\": 3}\n{ not JSON\n{\"x\": 1}\n")
        #expect(outcome.status == 0)
        let rows = try objects(outcome)
        #expect(rows.count == 4)
        #expect(try rows[1].required("id").asInteger() == 3)
        #expect(try rows[1].string("completion") == rows[0].string("completion"))
        #expect(try rows[2].string("prompt") == "{ not JSON" && rows[3].string("prompt") == "{\"x\": 1}")
    }

    @Test(
        "refuses numbers that mean nothing",
        arguments: [
            (["--num-beams", "0"], "--num-beams must be between 1 and 256, got 0"),
            (["--num-beams", "257"], "--num-beams must be between 1 and 256, got 257"),
            (["--length-penalty", "2"], "--length-penalty concerns a search by beams: give --num-beams too"),
            (["--early-stopping", "never"], "--early-stopping concerns a search by beams: give --num-beams too"),
            (
                ["--num-beams", "2", "--length-penalty", "nan"],
                "--length-penalty must be between -100 and 100, got nan"
            ),
            (
                ["--num-beams", "2", "--temperature", "1"],
                "--num-beams: beams are searched, not drawn: leave out --temperature, or the beams"
            ),
            (
                ["--num-return-sequences", "2"],
                "--num-return-sequences must be between 1 and --num-beams, which is 1, got 2"
            ),
            (["--repetition-penalty", "0"], "--repetition-penalty must be above 0, got 0.0"),
            (["--encoder-repetition-penalty", "inf"], "--encoder-repetition-penalty must be above 0, got inf"),
            (["--no-repeat-ngram-size=-1"], "--no-repeat-ngram-size must not be negative, got -1"),
            (
                ["--min-new-tokens", "7"],
                "--min-new-tokens: 7 are more than the 6 of --max-new-tokens"
            ),
            (["--min-length=-2"], "--min-length must not be negative, got -2"),
            (["--stop", ""], "--stop: an empty text would end every answer at once"),
            (["--bad-word", ""], "--bad-word: an empty text has no tokens"),
            (["--min-p", "0.1"], "--min-p limits random draws: give --temperature too"),
            (["--temperature", "1", "--typical-p", "1.1"], "--typical-p must be above 0 and at most 1, got 1.1"),
            (["--temperature", "1", "--eta-cutoff", "0"], "--eta-cutoff must be above 0 and at most 1, got 0.0"),
        ])
    func usage(options: [String], message: String) throws {
        let outcome = try generate(["--base", small.model, "--prompt", "x"] + options)
        #expect(outcome.status == 64 && outcome.output == "")
        #expect(outcome.errors.hasPrefix("Error: \(message)\n"))
    }

    @Test("evaluates by beams and with changed scores") func evaluation() throws {
        try small.folder.write("{\"p\": \"ab\", \"c\": \"cd\"}\n", to: "data.jsonl")
        func predictions(_ options: String...) throws -> String {
            let file = small.path("predictions-\(UUID().uuidString).jsonl")
            let outcome = try RunningTool(
                [
                    "eval", "--base", small.model, "--data", small.path("data.jsonl"), "--prompt", "{p}",
                    "--completion",
                    "{c}", "--rouge", "--save-predictions", file, "--max-new-tokens", "6", "--quiet",
                ] + options
            ).outcome()
            #expect(outcome.status == 0)
            return try String(contentsOfFile: file, encoding: .utf8)
        }
        let row = try objects(
            generate(["--base", small.model, "--prompt", "ab", "--num-beams", "4", "--json"]))[0]
        let found = try JSONNode.parse(try predictions("--num-beams", "4"))
        #expect(try found.string("prediction") == row.string("completion"))
        #expect(try predictions("--no-repeat-ngram-size", "1") != predictions())
        let plain = try JSONNode.parse(try predictions("--num-beams", "1")).string("prediction")
        let stop = String(plain.suffix(1))
        let stopped = try JSONNode.parse(try predictions("--stop", stop)).string("prediction")
        #expect(!stop.isEmpty && !stopped.contains(stop) && plain.hasPrefix(stopped))
    }
}
