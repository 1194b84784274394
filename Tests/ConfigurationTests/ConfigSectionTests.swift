import Configuration
import Diagnostics
import JSONText
import Testing

/// All problems that reading `yaml` by `body` and finishing throws, a line each.
func problems(_ yaml: String, overrides: [String] = [], _ body: (ConfigSection) -> Void = { _ in }) -> String {
    do {
        let document = try ConfigDocument.parse(yaml: yaml, file: "run.yaml", overrides: overrides)
        body(document.root)
        try document.finish()
        return ""
    } catch { return "\(error)" }
}

private enum Policy: String, CaseIterable { case drop, error }

@Suite("A configuration section") struct ConfigSectionTests {
    static let yaml = """
        # what to train
        model:
          path: gpt2
        peft: {method: lora, r: 16, target_modules: [c_attn, c_proj], exclude: lm_head}
        training:
          learning_rate: 2.0e-4
          tiny: 1e-4
          whole: 3
          shuffle: false
          prompt: "{mr}\\n"
          steps: ~
          empty:
          layers: [0, 2]
          policy: drop
        """

    @Test("gives each value as its type, and defaults for what is absent or null")
    func typedReads() throws {
        let document = try ConfigDocument.parse(yaml: Self.yaml)
        let peft = document.root.section("peft")
        #expect(peft.string("method", default: "none") == "lora")
        #expect(peft.int("r", default: 8, in: 1...) == 16)
        #expect(peft.int("lora_alpha", default: 16) == 16)
        #expect(peft.strings("target_modules", default: []) == ["c_attn", "c_proj"])
        #expect(peft.optionalStrings("exclude") == ["lm_head"])
        let training = document.root.section("training")
        #expect(training.double("learning_rate", default: 0, in: Above(0)) == 2e-4)
        #expect(training.double("tiny", default: 0) == 1e-4)
        #expect(training.double("whole", default: 0) == 3)
        #expect(training.bool("shuffle", default: true) == false)
        #expect(training.requiredString("prompt") == "{mr}\n")
        #expect(training.optionalInt("steps") == nil)
        #expect(training.int("empty", default: 4) == 4)
        #expect(training.optionalInts("layers") == [0, 2])
        #expect(training.choice("policy", default: Policy.error) == .drop)
        #expect(document.root.section("model").requiredString("path") == "gpt2")
        #expect(document.root.section("absent").optionalString("x") == nil)
        #expect(!document.root.section("training").has("steps"))
        try document.finish()
    }

    @Test("reports all problems at once, in the order of the file")
    func allProblems() {
        let yaml = """
            peft:
              # a comment
              r: 'eight'
              alpha: 3.0
              quoted: '8'
              bias: maybe
              dropout: 1.5
              é: x
              method: lroa
              rank: [1]
              modules: {c_attn}
              layers: [1, two]
              targets: 1e400
            """
        let expected = """
            run.yaml:3:6: error: peft.r: expected an integer, got 'eight'
            run.yaml:4:10: error: peft.alpha: expected an integer, got 3.0: write 3
            run.yaml:5:11: error: peft.quoted: expected an integer, got the text '8' in quotation marks: write 8
            run.yaml:6:9: error: peft.bias: expected true or false, got 'maybe'
            run.yaml:7:12: error: peft.dropout: must be between 0.0 and 1.0, got 1.5
            run.yaml:8:7: error: peft.é: expected a number, got 'x'
            run.yaml:9:11: error: peft.method: expected one of lora, ia3, got 'lroa'; did you mean 'lora'?
            run.yaml:10:9: error: peft.rank: expected an integer, got a list
            run.yaml:11:12: error: peft.modules: expected a string, got a mapping: \
            put text that starts with { in quotation marks
            run.yaml:12:15: error: peft.layers: expected an integer, got 'two'
            run.yaml:13:12: error: peft.targets: the number 1e400 is out of range
            """
        let found = problems(yaml) { root in
            let peft = root.section("peft")
            #expect(peft.int("r", default: 8) == 8)
            _ = peft.int("alpha", default: 8)
            _ = peft.int("quoted", default: 8)
            _ = peft.bool("bias", default: false)
            _ = peft.double("dropout", default: 0, in: 0...1)
            _ = peft.double("é", default: 0)
            _ = peft.choice("method", of: ["lora", "ia3"], default: "lora")
            _ = peft.requiredInt("rank")
            _ = peft.string("modules", default: "")
            _ = peft.optionalInts("layers")
            _ = peft.double("targets", default: 0)
        }
        #expect(found == expected)
    }

    @Test(
        "takes booleans in all spellings of YAML 1.1 where one is asked for, and as words elsewhere",
        arguments: [
            ("true", true), ("True", true), ("TRUE", true), ("yes", true), ("Yes", true), ("on", true), ("ON", true),
            ("false", false), ("False", false), ("no", false), ("NO", false), ("off", false), ("Off", false),
        ])
    func booleans(word: String, value: Bool) throws {
        let document = try ConfigDocument.parse(yaml: "{a: \(word), b: \(word), c: \(word), d: [\(word)]}")
        #expect(document.root.optionalBool("a") == value)
        #expect(document.root.optionalString("b") == word)
        #expect(document.root.optionalChoice("c", of: ["true", "false", "other"]) == "\(value)")
        #expect(document.root.optionalStrings("d") == [word])
        try document.finish()
        #expect(document.resolvedYAML().hasPrefix("a: \(value)\n"))
    }

    @Test(
        "says how a number or a boolean is written",
        arguments: [
            ("1_000", "expected an integer, got '1_000': write 1000"),
            ("'8'", "expected an integer, got the text '8' in quotation marks: write 8"),
            ("1e3", "expected an integer, got 1e3: write 1000"), ("0x10", "expected an integer, got '0x10'"),
        ])
    func integerSpellings(text: String, expected: String) {
        #expect(problems("r: \(text)") { _ = $0.optionalInt("r") } == "run.yaml:1:4: error: r: \(expected)")
    }

    @Test(
        "says how a number is written",
        arguments: [
            ("0,001", "expected a number, got '0,001': write 0.001"),
            ("'5e-5'", "expected a number, got the text '5e-5' in quotation marks: write 5e-5"),
            ("'yes'", "expected a number, got the text 'yes' in quotation marks"),
        ])
    func numberSpellings(text: String, expected: String) {
        #expect(problems("r: \(text)") { _ = $0.optionalDouble("r") } == "run.yaml:1:4: error: r: \(expected)")
    }

    @Test("says that a boolean stands in quotation marks")
    func quotedBoolean() {
        #expect(
            problems("r: 'True'") { _ = $0.optionalBool("r") }
                == "run.yaml:1:4: error: r: expected true or false, got the text 'True' in quotation marks: write true")
    }

    @Test(
        "says what is required of a number",
        arguments: [
            ("r: 0", "run.yaml:1:4: error: r: must be at least 1, got 0"),
            ("", "run.yaml: error: r: missing: this key is required"),
            ("r: 99999999999999999999", "run.yaml:1:4: error: r: expected an integer, got 99999999999999999999"),
            (
                "[1]",
                "run.yaml:1:1: error: expected keys with values, got a list\nrun.yaml:1:1: error: r: missing: this key is required"
            ),
        ])
    func limits(yaml: String, expected: String) {
        #expect(problems(yaml) { _ = $0.requiredInt("r", in: 1...) } == expected)
    }

    @Test("suggests what an unknown key may have been meant for")
    func unknownKeys() {
        let yaml = """
            peft:
              lora_alhpa: 16
              learning_rate: 1e-4
              zzz: 1
            trainign:
              learning_rate: 1e-4
            """
        let expected = """
            run.yaml:2:3: error: peft.lora_alhpa: unknown key; did you mean 'lora_alpha'?
            run.yaml:3:3: error: peft.learning_rate: unknown key; did you mean 'training.learning_rate'?
            run.yaml:4:3: error: peft.zzz: unknown key; known here: lora_alpha, r
            run.yaml:5:1: error: trainign: unknown key; did you mean 'training'?
            """
        let found = problems(yaml) { root in
            _ = root.section("peft").int("r", default: 8)
            // The same section opened again.
            _ = root.section("peft").int("lora_alpha", default: 8)
            _ = root.section("training").double("learning_rate", default: 5e-5)
        }
        #expect(found == expected)
        #expect(problems(yaml) { $0.ignoreUnread() } == "")
    }

    @Test("puts cross-checks at the key that they are about")
    func ownProblems() {
        let found = problems("data:\n  text: a\n  prompt: b") { root in
            let data = root.section("data")
            _ = data.optionalString("text")
            _ = data.optionalString("prompt")
            data.record("can't be used together with text", at: "prompt")
        }
        #expect(found == "run.yaml:3:11: error: data.prompt: can't be used together with text")
    }

    @Test("remembers what was asked for, with types and defaults")
    func askedKeys() throws {
        let document = try ConfigDocument.parse(yaml: "")
        let section = document.root.section("training")
        _ = section.double("learning_rate", default: 5e-5)
        _ = section.double("learning_rate", default: 5e-5)
        _ = section.requiredString("output_dir")
        _ = section.optionalInt("max_steps")
        _ = section.choice("policy", default: Policy.error)
        #expect(
            document.askedKeys.map { "\($0.path)|\($0.type)|\($0.defaultText ?? "-")|\($0.isRequired)" } == [
                "training.learning_rate|number|5.0e-05|false", "training.output_dir|string|-|true",
                "training.max_steps|integer|-|false", "training.policy|one of drop, error|error|false",
            ])
    }

    @Test("reads JSON with its places too")
    func json() throws {
        let node = try JSONNode.parse("{\"n_layer\": \"x\",\n \"epsilon\": 1e-05, \"other\": 1}", file: "config.json")
        let document = ConfigDocument(json: node)
        _ = document.root.int("n_layer", default: 12)
        #expect(document.root.double("epsilon", default: 0) == 1e-5)
        let expected = Problem(
            "expected an integer, got 'x'", file: "config.json", position: TextPosition(line: 1, column: 13),
            key: "n_layer")
        #expect(throws: Problems([expected])) { try document.finish(allowingUnknownKeys: true) }
    }
}
