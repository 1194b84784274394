import Patterns
import Testing

@Suite("A regular expression") struct PatternTests {
    /// Texts that Python's `re.fullmatch` takes, and ones that it doesn't.
    static let wholes: [(expression: String, matching: [String], other: [String])] = [
        (
            #".*\.h\.\d+\.mlp\.(c_fc|c_proj)"#, ["transformer.h.0.mlp.c_fc", "transformer.h.11.mlp.c_proj"],
            ["transformer.h.0.attn.c_proj", "transformer.h.x.mlp.c_fc", "h.0.mlp.c_fc"]
        ),
        (
            "^(?!.*lm_head).*proj$", ["transformer.h.0.mlp.c_proj", "proj"],
            ["lm_head.proj", "transformer.h.0.mlp.c_fc"]
        ),
        (
            #"(?:.*?(?:self_attn|mlp).*?(?:q_proj|up_proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\.(?:mlp)\.(?:up_proj))"#,
            ["model.layers.3.self_attn.q_proj", "model.layers.10.mlp.up_proj"], ["model.layers.3.self_attn.k_proj"]
        ),
        (#".*(?<!mlp)\.c_proj"#, ["h.0.attn.c_proj"], ["h.0.mlp.c_proj"]),
        (#"(?=.*attn)(?=.*c_).*"#, ["h.0.attn.c_attn"], ["h.0.attn.q", "h.0.mlp.c_fc"]),
        ("(?!(?=.*x)a).*", ["aby", "bx"], ["abx"]),
        ("(?i)C_Attn|Ä", ["c_attn", "C_ATTN", "ä"], ["c_att"]),
        ("(?i:a)b", ["Ab", "ab"], ["aB"]),
        ("a{2,3}b{2}c{,1}", ["aabb", "aaabbc"], ["abb", "aaaabb", "aabbcc"]),
        ("a{", ["a{"], ["a"]),
        ("a{,b}", ["a{,b}"], ["ab"]),
        (#"[^\W\d_]+"#, ["abcé"], ["a1", "_", ""]),
        ("[]a-c^-]+", ["]b^-"], ["d"]),
        (#"\x41\u00e9\.\060"#, ["Aé.0"], ["Aéx0"]),
        ("(|a)+(?#nothing)", ["", "aaa"], ["b"]),
        (#"\bfoo\b.*"#, ["foo", "foo.bar"], ["foobar"]),
        ("(?P<name>a)*?b", ["b", "aab"], ["a"]),
        ("a.c", ["abc"], ["a\nc"]),
        ("(?s)a.c", ["a\nc"], ["ac"]),
        ("(?m)a$\n^b", ["a\nb"], ["ab"]),
        (#"\Aa\Z"#, ["a"], ["a\n"]),
    ]

    @Test("matches whole texts as Python's re does", arguments: wholes)
    func wholeTexts(_ expression: String, matching: [String], other: [String]) throws {
        let pattern = try Pattern(expression)
        for text in matching { #expect(pattern.matchesWhole(text), "\(text)") }
        for text in other { #expect(!pattern.matchesWhole(text), "\(text)") }
    }

    @Test("means the end of a path at a dot, as peft's rank_pattern has it")
    func pathEndings() throws {
        func matches(_ expression: String, _ path: String) throws -> Bool {
            try Pattern(pathEnding: expression).matchesBeginning(of: path)
        }
        #expect(try matches("c_attn", "transformer.h.0.attn.c_attn"))
        #expect(try !matches("attn", "transformer.h.0.attn.c_attn"))
        #expect(try matches(#"h\.[02]\..*"#, "transformer.h.2.mlp.c_fc"))
        #expect(try !matches("^c_attn", "transformer.h.0.attn.c_attn"))
        #expect(try matches("^transformer.*c_fc", "transformer.h.0.mlp.c_fc"))
        #expect(try matches("c_fc|c_proj", "h.0.mlp.c_fc"))
    }

    @Test("gives what the first group captures in the first match")
    func groups() throws {
        func group(_ expression: String, _ text: String) throws -> String? {
            try Pattern(expression).firstGroup(in: text)
        }
        #expect(try group(#"food\[(.*?)\]"#, "name[x], food[cheap], food[dear]") == "cheap")
        #expect(try group(#"food\[(.*)\]"#, "food[cheap], food[dear]") == "cheap], food[dear")
        #expect(try group("(a|ab)(c|bcd)", "xabcd") == "a")
        #expect(try group("(?:(a)|b)+", "ab") == "a")
        #expect(try group("(a)?b", "cb") == nil)
        #expect(try group("(a)", "bcd") == nil)
        #expect(try group("()$", "ab") == "")
        #expect(try !Pattern("(?=(a))").capturesFirstGroup)
    }

    static let errors = [
        ("(", "missing ), unterminated subpattern at character 1"),
        ("a)", "unbalanced parenthesis at character 2"),
        ("a**", "multiple repeat at character 3"),
        ("*.proj", "nothing to repeat at character 1"),
        ("^*", "nothing to repeat at character 2"),
        ("[ab", "unterminated character set at character 1"),
        ("[z-a]", "bad character range at character 2"),
        (#"c\y"#, #"bad escape \y at character 2"#),
        ("\\", "bad escape (end of pattern) at character 1"),
        ("a{3,2}", "the least number of repeats is more than the most at character 2"),
        (#"(a)\1"#, "references to groups aren't supported at character 4"),
        ("(?P=x)", "references to groups aren't supported at character 1"),
        ("a++", "possessive repeats aren't supported at character 2"),
        ("(?>a)", "atomic groups aren't supported at character 1"),
        ("a(?i)", "global flags not at the start of the expression at character 2"),
        ("(?x)a", "the flag x isn't supported at character 3"),
        ("(?<a>b)", "unknown extension ?< at character 3"),
        ("a{30000}", "more repeats than are supported at character 3"),
        ("(?:a{1000}){1000}", "the expression is larger than is supported at character 1"),
        (#"\u00"#, "incomplete escape at character 1"),
    ]

    @Test("is refused where Python refuses it or it can't be matched in linear time", arguments: errors)
    func refused(_ expression: String, message: String) {
        #expect(throws: PatternError.self) { try Pattern(expression) }
        do { _ = try Pattern(expression) } catch { #expect("\(error)" == message) }
    }

    @Test("tells the place in a path's ending as it is written")
    func placeInEnding() {
        do { _ = try Pattern(pathEnding: "c_fc[") } catch {
            #expect("\(error)" == "unterminated character set at character 5")
        }
    }

    @Test("is refused where groups nest deeper than a stack should")
    func depth() {
        let expression = String(repeating: "(", count: 5000) + String(repeating: ")", count: 5000)
        do { _ = try Pattern(expression) } catch {
            #expect("\(error)" == "more nested groups than are supported at character 101")
        }
    }

    @Test("takes time that grows with the text, whatever the expression")
    func linearTime() throws {
        let text = String(repeating: "a", count: 2000)
        let start = ContinuousClock.now
        for expression in ["(a*)*b", "(a|aa)+b", "(a?){30}a{30}b", "(?=(a+)+b)a*"] {
            let isMatch = try Pattern(expression).matchesWhole(text)
            #expect(!isMatch)
        }
        #expect(start.duration(to: .now) < .seconds(20))
    }
}
