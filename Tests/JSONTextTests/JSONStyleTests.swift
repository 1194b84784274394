import JSONText
import TestSupport
import Testing

@Suite("A JSON text") struct JSONStyleTests {
    static let value: JSONValue = [
        "r": 8, "lora_alpha": 16.0, "a": ["q", "é\u{1F600}\u{7F}\u{1}\n"], "empty": [], "none": [:], "flag": true,
        "nested": ["b": nil, "a": -1.5],
    ]

    @Test("has the bytes of Python's json.dumps(indent=2, sort_keys=True)")
    func python() throws {
        #expect(
            Self.value.text(.python) == #"""
                {
                  "a": [
                    "q",
                    "\u00e9\ud83d\ude00\#u{7F}\u0001\n"
                  ],
                  "empty": [],
                  "flag": true,
                  "lora_alpha": 16.0,
                  "nested": {
                    "a": -1.5,
                    "b": null
                  },
                  "none": {},
                  "r": 8
                }
                """#)
    }

    @Test("fits on one line, with or without spaces")
    func oneLine() {
        #expect(
            Self.value.text(.compact)
                == "{\"r\": 8, \"lora_alpha\": 16.0, \"a\": [\"q\", \"é\u{1F600}\u{7F}\\u0001\\n\"], \"empty\": [], "
                + "\"none\": {}, \"flag\": true, \"nested\": {\"b\": null, \"a\": -1.5}}")
        #expect(
            JSONValue.object([.init("a", 1), .init("b", [2, 3])]).text(.tight) == #"{"a":1,"b":[2,3]}"#)
    }

    @Test("reads back as it was written, in every style")
    func roundTrip() throws {
        for style in [JSONStyle.compact, .tight, .indented] {
            #expect(try JSONNode.parse(Self.value.text(style)).plain == Self.value)
        }
    }

    @Test("has null where a number is not finite")
    func notFinite() {
        #expect(JSONValue.array([.number(.nan), .number(.infinity)]).text(.compact) == "[null, null]")
    }

    @Test(
        "writes numbers as Python's repr does",
        arguments: [
            (0.0, "0.0"), (-0.0, "-0.0"), (1e-5, "1e-05"), (5e-5, "5e-05"), (0.0001, "0.0001"), (0.05, "0.05"),
            (1.5e-7, "1.5e-07"), (1e15, "1000000000000000.0"), (1e16, "1e+16"),
            (12345678901234568, "1.2345678901234568e+16"),
            (9007199254740992, "9007199254740992.0"), (1e22, "1e+22"), (1e100, "1e+100"), (123.456, "123.456"),
            (-2.5, "-2.5"), (100, "100.0"), (.leastNonzeroMagnitude, "5e-324"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (0.1 + 0.2, "0.30000000000000004"), (0.00012345, "0.00012345"), (1234567890123456.7, "1234567890123456.8"),
        ])
    func numbers(value: Double, text: String) { #expect(shortestText(of: value) == text) }
}
