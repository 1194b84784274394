import Configuration
import Diagnostics
import FoundationEssentials
import Testing

@Suite("A configuration document") struct ConfigDocumentTests {
    @Test(
        "places what is wrong with the YAML itself",
        arguments: [
            (
                "a: 1\nb: [1, 2\nc: 3",
                "run.yaml:3:2: error: not valid YAML: while parsing a flow sequence did not find expected ',' or ']'"
            ),
            (
                "a: 'x",
                "run.yaml:1:6: error: not valid YAML: while scanning a quoted scalar found unexpected end of stream"
            ),
            ("r: 1\nk: 2\nr: 3", "run.yaml:1:1: error: the key 'r' appears more than once in this mapping"),
            ("a: *b", "run.yaml:1:4: error: not valid YAML: found undefined alias"),
            (
                "a: 1\n---\nb: 2",
                "run.yaml:2:1: error: not valid YAML: expected a single document in the stream but found another document"
            ),
            ("[a]: 1", "run.yaml:1:1: error: a key must be a word"),
            (
                "\ta: 1",
                "run.yaml:1:1: error: not valid YAML: a tab stands where a value or a key is expected; indent with spaces"
            ),
        ])
    func syntax(yaml: String, expected: String) { #expect(problems(yaml) == expected) }

    /// Lists of ten, one within the other by aliases.
    private func multiplied(levels: Int, of first: String) -> String {
        let lists = (0..<levels).map {
            "b\($0): &a\($0 + 1) [\(Array(repeating: "*a\($0)", count: 10).joined(separator: ", "))]"
        }
        return (["a0: &a0 [\(first)]"] + lists).joined(separator: "\n")
    }

    @Test("refuses aliases that multiply into an enormous tree")
    func aliases() {
        let wide = Array(repeating: "x", count: 1_500).joined(separator: ", ")
        #expect(
            problems(multiplied(levels: 2, of: wide)).hasSuffix(
                "error: more than 100000 values (do aliases repeat each other?)"))
        #expect(
            problems(multiplied(levels: 11, of: "x"))
                == "run.yaml: error: 110 aliases (*name) could stand for more values than a configuration has: write them out"
        )
    }

    @Test(
        "refuses them as keys, which are compared, without taking long",
        arguments: ["? *a39\n: 1", "*a39 : 1", "{*a39 : 1}"])
    func aliasesAsKeys(key: String) {
        let lists = (0..<39).map { "a\($0 + 1): &a\($0 + 1) [*a\($0), *a\($0)]" }
        let yaml = (["a0: &a0 [x, x]"] + lists + ["c:", "  " + key.replacing("\n", with: "\n  ")]).joined(
            separator: "\n")
        #expect(
            problems(yaml)
                == "run.yaml: error: 79 aliases (*name) could stand for more values than a configuration has: write them out"
        )
        // Emphasis is none.
        let text = "a: '" + String(repeating: "*x* ", count: 10_000) + "'"
        #expect(problems(text) { _ = $0.string("a", default: "") } == "")
        #expect(problems("a: &a [x]\n? *a\n: 1\n? *a\n: 2").hasSuffix("error: a key must be a word"))
        #expect(
            problems("a: &a 1\nb: *a\nc: '*x *y'") {
                _ = $0.int("a", default: 0); _ = $0.int("b", default: 0); _ = $0.string("c", default: "")
            } == "")
    }

    @Test("is read over a byte order mark and with any line ends", arguments: ["\n", "\r\n", "\r"])
    func marksAndLineEnds(end: String) throws {
        let yaml = "\u{FEFF}a: 1\(end)b:\(end)  c: x\(end)"
        #expect(
            problems(yaml) {
                _ = $0.int("a", default: 0); _ = $0.section("b").int("c", default: 0)
            }
                == "run.yaml:3:6: error: b.c: expected an integer, got 'x'")
    }

    @Test("names the encoding that its file has instead of UTF-8")
    func encodings() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).yaml").path()
        defer { try? FileManager.default.removeItem(atPath: path) }
        for (bytes, name) in [([0xFE, 0xFF, 0, 0x61], "UTF-16"), ([0x61, 0, 0x3A, 0], "UTF-16")] as [([UInt8], String)]
        {
            #expect(FileManager.default.createFile(atPath: path, contents: Data(bytes)))
            #expect(throws: Problem("is text in \(name): save it as UTF-8", file: path)) {
                try ConfigDocument.load(yamlFile: path)
            }
        }
    }

    @Test("isn't nested without end", arguments: ["[", "{a: ", "- "])
    func nesting(opening: String) {
        let yaml = String(repeating: opening, count: 100_000)
        #expect(problems(yaml).hasPrefix("run.yaml:1:"))
    }

    @Test("takes overrides as YAML, the last one winning")
    func overrides() throws {
        let document = try ConfigDocument.parse(
            yaml: "peft:\n  r: 8\n  alpha: 1\ndata: {max: 3}",
            overrides: [
                "peft.r=4", "peft.r=16", "peft.targets=[a, b]", "new.section.key=1e-4", "data.prompt={mr}: {x}",
                "data.completion={ref}", "data.max=", "data.quoted=\"{mr}\\n\"", "data.equals=a=b",
            ])
        let peft = document.root.section("peft")
        #expect(peft.int("r", default: 0) == 16)
        #expect(peft.int("alpha", default: 0) == 1)
        #expect(peft.strings("targets", default: []) == ["a", "b"])
        #expect(document.root.section("new").section("section").double("key", default: 0) == 1e-4)
        let data = document.root.section("data")
        #expect(data.string("prompt", default: "") == "{mr}: {x}")
        #expect(data.string("completion", default: "") == "{ref}")
        #expect(data.string("quoted", default: "") == "{mr}\n")
        #expect(data.string("equals", default: "") == "a=b")
        #expect(data.int("max", default: 7) == 7)
        try document.finish()
    }

    @Test("names the option where an override is wrong")
    func wrongOverrides() {
        #expect(
            problems("peft: {r: 1}", overrides: ["peft.r=x", "peft.q=1"]) {
                _ = $0.section("peft").int("r", default: 8)
            }
                == """
                --set peft.r=x: error: peft.r: expected an integer, got 'x'
                --set peft.q=1: error: peft.q: unknown key; did you mean 'r'?
                """)
        #expect(
            problems("a: 1", overrides: ["a.b=2"]) == "--set a.b=2: error: a: is 1, which holds no keys")
        #expect(
            problems("", overrides: ["a"]) == "--set a: error: expected KEY=VALUE, such as --set peft.r=16")
        #expect(
            problems("", overrides: ["a..b=1"])
                == "--set a..b=1: error: expected a key in front of '=', such as --set peft.r=16")
    }

    @Test("writes all that was read so that it reads back the same")
    func resolved() throws {
        func read(_ document: ConfigDocument) -> [String] {
            let data = document.root.section("data")
            let training = document.root.section("training")
            return [
                "\(document.root.section("model").requiredString("path"))",
                "\(data.string("prompt", default: "{mr}\n"))", "\(data.string("odd", default: "true"))",
                "\(data.string("control", default: "\u{7F}\u{85}\u{2028}\u{1F600}\u{FEFF}\"\\"))",
                "\(data.string("number", default: "12"))", "\(data.optionalString("absent") ?? "-")",
                "\(training.double("rate", default: 5e-5))", "\(training.int("steps", default: -1))",
                "\(training.bool("shuffle", default: true))", "\(training.strings("targets", default: ["a b", "c"]))",
                "\(data.node("extra").map { "\($0.content != .null)" } ?? "-")",
            ]
        }
        let first = try ConfigDocument.parse(yaml: "model: {path: ../gpt2}\ndata:\n  extra: {a: [1, x], b: '2'}")
        let values = read(first)
        let yaml = first.resolvedYAML()
        #expect(
            yaml == #"""
                model:
                  path: "../gpt2"
                data:
                  prompt: "{mr}\n"
                  odd: "true"
                  control: "\u007F\u0085\u2028😀\uFEFF\"\\"
                  number: "12"
                  extra:
                    a: [1, x]
                    b: "2"
                training:
                  rate: 5.0e-05
                  steps: -1
                  shuffle: true
                  targets: ["a b", c]

                """#)
        let second = try ConfigDocument.parse(yaml: yaml)
        #expect(read(second) == values)
        #expect(second.resolvedYAML() == yaml)
        try second.finish()
    }

    @Test("says that its file is missing")
    func missing() {
        #expect(throws: Problem("no such file", file: "no.yaml", exitStatus: .missingInput)) {
            try ConfigDocument.load(yamlFile: "no.yaml")
        }
    }
}
