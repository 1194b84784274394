import Diagnostics
import Files
import FoundationEssentials
import JSONText
import TestSupport
import Testing

/// The text of the problem that parsing throws, or nil.
func failure(_ text: String) -> String? { failure(bytes: Array(text.utf8)) }

func failure(bytes: [UInt8]) -> String? {
    do {
        _ = try bytes.withUnsafeBytes { try JSONNode.parse($0, file: "a.json") }
        return nil
    } catch { return "\(error)" }
}

@Suite("The JSON reader") struct JSONReaderTests {
    @Test(
        "names the place and the reason of what RFC 8259 forbids",
        arguments: [
            ("", "a.json:1:1: error: expected a value, found the end of the text"),
            ("{\n  \"a\": 1,\n}", "a.json:3:1: error: expected a key after ',', found '}': remove the comma"),
            ("[1, 2,]", "a.json:1:7: error: expected a value after ',', found ']': remove the comma"),
            ("[1 2]", "a.json:1:4: error: expected ',' or ']' after an array's value, found '2'"),
            ("[1", "a.json:1:3: error: the text ends inside an array"),
            ("{\"a\": 1", "a.json:1:8: error: the text ends inside an object"),
            ("{\"a\" 1}", "a.json:1:6: error: expected ':' after the key \"a\", found '1'"),
            ("{a: 1}", "a.json:1:2: error: expected a key in double quotes, found 'a'"),
            ("{\"a\": 1 \"b\": 2}", "a.json:1:9: error: expected ',' or '}' after an object's value, found '\"'"),
            ("{\"a\": 1,\n \"a\": 2}", "a.json:2:2: error: the key \"a\" appears twice in one object"),
            ("{\"a\": 1, \"\\u0061\": 2}", "a.json:1:10: error: the key \"a\" appears twice in one object"),
            ("1 x", "a.json:1:3: error: expected the end of the text after the value, found 'x'"),
            ("nul", "a.json:1:1: error: expected null, found 'n'"),
            ("\"a", "a.json:1:1: error: the text ends inside a string"),
            ("\"a\\\"", "a.json:1:1: error: the text ends inside a string"),
            ("\"a\tb\"", "a.json:1:3: error: a control character (0x09) in a string must be escaped"),
            ("\"\\n a\tb\"", "a.json:1:6: error: a control character (0x09) in a string must be escaped"),
            (
                "\"\\x\"",
                "a.json:1:2: error: an unknown escape in a string: only \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX exist"
            ),
            ("\"\\u12g4\"", "a.json:1:2: error: \\u must be followed by four hexadecimal digits"),
            (
                "\"ab\\uD83D\"",
                "a.json:1:4: error: \\uD83D is half of a surrogate pair without the other half"
            ),
            ("\"\\uD83D\\u0041\"", "a.json:1:2: error: \\uD83D is half of a surrogate pair without the other half"),
            ("\"\\uDE00\"", "a.json:1:2: error: \\uDE00 is half of a surrogate pair without the other half"),
            ("01", "a.json:1:1: error: a number must not start with a zero"),
            ("-", "a.json:1:2: error: expected a digit after '-', found the end of the text"),
            ("1.", "a.json:1:3: error: expected a digit after the decimal point, found the end of the text"),
            ("1e+", "a.json:1:4: error: expected a digit in the exponent, found the end of the text"),
            ("[1e400]", "a.json:1:2: error: the number 1e400 is out of range"),
            ("+1", "a.json:1:1: error: expected a value, found '+'"),
            ("NaN", "a.json:1:1: error: NaN is not a JSON number (Python writes it where a value is not finite)"),
            (
                "[-Infinity]",
                "a.json:1:2: error: -Infinity is not a JSON number (Python writes it where a value is not finite)"
            ),
            ("\u{FEFF}{", "a.json:1:2: error: the text ends inside an object"),
            ("\u{FEFF}\u{FEFF}{}", "a.json:1:1: error: expected a value, found '\u{FEFF}'"),
            ("[é]", "a.json:1:2: error: expected a value, found 'é'"),
        ])
    func errors(text: String, expected: String) { #expect(failure(text) == expected) }

    @Test(
        "rejects what is not UTF-8",
        arguments: [
            [0xC0, 0xAF], [0xC1, 0x80], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80],
            [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0x80], [0xFF], [0xE2, 0x82], [0xC3],
        ] as [[UInt8]])
    func invalidUTF8(sequence: [UInt8]) {
        let byte = String(sequence[0], radix: 16, uppercase: true)
        let bytes = Array("\"abcdefghij".utf8) + sequence + Array("\"".utf8)
        #expect(failure(bytes: bytes) == "a.json:1:12: error: invalid UTF-8 (byte 0x\(byte))")
    }

    @Test("accepts the edges of UTF-8 and counts columns in bytes")
    func edgesOfUTF8() throws {
        let text = "\u{7F}\u{80}\u{7FF}\u{800}\u{FFFF}\u{10000}\u{10FFFF}\u{D7FF}\u{E000}"
        #expect(try JSONNode.parse("\"\(text)\"").asString() == text)
        #expect(failure("[\"é\", x]") == "a.json:1:8: error: expected a value, found 'x'")
    }

    @Test("stops at 512 levels")
    func depth() {
        let deep = String(repeating: "[", count: 512) + String(repeating: "]", count: 512)
        #expect(failure(deep) == nil)
        #expect(failure("[" + deep + "]") == "a.json:1:513: error: nested deeper than 512 levels")
    }

    @Test("tells keys apart by their bytes, so that NFC and NFD are two")
    func canonicalEquivalence() throws {
        let node = try JSONNode.parse("{\"\u{E9}\": 1, \"e\u{301}\": 2}")
        #expect(try node.integer("\u{E9}") == 1)
        #expect(try node.integer("e\u{301}") == 2)
    }

    @Test("finds a repeated key among many")
    func manyKeys() throws {
        let members = (0..<5_000).map { "\"key\($0)\": \($0)" }
        #expect(failure("{\(members.joined(separator: ","))}") == nil)
        let repeated = (members + ["\"key4321\": 0"]).joined(separator: ",\n")
        #expect(failure("{\(repeated)}") == "a.json:5001:1: error: the key \"key4321\" appears twice in one object")
    }

    @Test("resolves escapes")
    func escapes() throws {
        let node = try JSONNode.parse(#""\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00é plain text that is longer \u0000""#)
        #expect(try node.asString() == "\"\\/\u{8}\u{C}\n\r\t\u{E9}\u{1F600}é plain text that is longer \0")
    }

    @Test("keeps escaped keys valid while it reads on")
    func escapedKeysLive() throws {
        let text = "{" + (0..<2_000).map { "\"\\u0120word\($0)\": \($0)" }.joined(separator: ",") + "}"
        var keys: [UnsafeRawBufferPointer] = []
        try Array(text.utf8).withUnsafeBytes { bytes in
            var reader = JSONReader(bytes)
            try reader.readObject { (reader, key) in
                keys.append(key)
                let index = try reader.readInteger()
                #expect(index == keys.count - 1)
            }
            try reader.finish()
            for (index, key) in keys.enumerated() {
                #expect(String(decoding: key, as: UTF8.self) == "\u{120}word\(index)")
            }
        }
    }

    @Test("skips what a body leaves unread, but not its errors")
    func skipping() throws {
        let text = #"{"a": {"x": [1, {"y": null}]}, "b": 7}"#
        var found: Int?
        try Array(text.utf8).withUnsafeBytes { bytes in
            var reader = JSONReader(bytes)
            try reader.readObject { (reader, key) in if key.matches("b") { found = try reader.readInteger() } }
        }
        #expect(found == 7)
        #expect(
            throws: Problem("the key \"x\" appears twice in one object", position: TextPosition(line: 1, column: 16))
        ) {
            try Array(#"{"a": {"x": 1, "x": 2}}"#.utf8).withUnsafeBytes { bytes in
                var reader = JSONReader(bytes)
                try reader.readObject { (_, _) in }
            }
        }
    }

    @Test("names what it found instead of what was asked for")
    func mismatch() throws {
        func reading(_ text: String, _ body: (inout JSONReader) throws -> Void) -> String? {
            Array(text.utf8).withUnsafeBytes { bytes in
                var reader = JSONReader(bytes, file: "a.json")
                do { try body(&reader) } catch { return "\(error)" }
                return nil
            }
        }
        #expect(reading("\"x\"") { _ = try $0.readInteger() } == "a.json:1:1: error: expected an integer, got \"x\"")
        #expect(reading(" 1.5") { _ = try $0.readInteger() } == "a.json:1:2: error: expected an integer, got 1.5")
        #expect(reading("[]") { _ = try $0.readString() } == "a.json:1:1: error: expected a string, got an array")
        #expect(reading("{}") { try $0.readArray { _ in } } == "a.json:1:1: error: expected an array, got an object")
        #expect(
            reading("null") { try $0.readObject { (_, _) in } } == "a.json:1:1: error: expected an object, got null")
    }

    @Test("reads a real vocabulary", .enabled(if: sharedData("tokenizers/gpt2/vocab.json") != nil))
    func vocabulary() throws {
        let url = try #require(sharedData("tokenizers/gpt2/vocab.json"))
        let file = try FileBytes(path: url.path())
        var count = 0
        try file.withBytes { bytes in
            var reader = JSONReader(bytes, file: file.path)
            try reader.readObject { (reader, token) in
                let id = try reader.readInteger()
                if id == 15496 { #expect(token.matches("Hello")) }
                count += 1
            }
            try reader.finish()
        }
        #expect(count == 50257)
    }
}
