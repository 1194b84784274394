import Diagnostics
import JSONText
import Testing

@Suite("A JSON node") struct JSONNodeTests {
    static let text = """
        {
          "n_layer": "x",
          "rope_scaling": {"factor": [1, "two"]},
          "epsilon": 1e-05, "n": 12, "none": null
        }
        """

    @Test("knows where it and its key stand")
    func positions() throws {
        let members = try JSONNode.parse(Self.text, file: "config.json").asObject()
        #expect(members.map(\.key) == ["n_layer", "rope_scaling", "epsilon", "n", "none"])
        #expect(members[1].keyPosition == TextPosition(line: 3, column: 3))
        #expect(members[1].value.position == TextPosition(line: 3, column: 19))
        #expect(members[3].value.position == TextPosition(line: 4, column: 26))
    }

    @Test("names file, place, key and both kinds when it is read as another kind")
    func typedReads() throws {
        let node = try JSONNode.parse(Self.text, file: "config.json")
        func failure(_ body: () throws -> Any?) -> String? {
            do { _ = try body() } catch { return "\(error)" }
            return nil
        }
        #expect(
            failure { try node.integer("n_layer") }
                == #"config.json:2:14: error: n_layer: expected an integer, got "x""#)
        #expect(
            failure { try node.required("rope_scaling").array("factor")[1].asNumber() }
                == #"config.json:3:34: error: rope_scaling.factor[1]: expected a number, got "two""#)
        #expect(failure { try node.integer("absent") } == "config.json:1:1: error: absent: missing")
        #expect(failure { try node.integer("none") } == "config.json:4:38: error: none: expected a value, got null")
        #expect(failure { try node.boolean("n") } == "config.json:4:26: error: n: expected true or false, got 12")
        #expect(
            failure { try node.string("rope_scaling") }
                == "config.json:3:19: error: rope_scaling: expected a string, got an object")
        #expect(try node.optionalInteger("none") == nil)
        #expect(try node.optionalInteger("absent") == nil)
        #expect(try node.number("n") == 12)
        #expect(try node.number("epsilon") == 1e-5)
    }

    @Test(
        "keeps integers exact and rounds other numbers once",
        arguments: [
            ("0", .integer(0)), ("-0", .integer(0)), ("9223372036854775807", .integer(Int.max)),
            ("-9223372036854775808", .integer(Int.min)), ("9223372036854775808", .number(0x1p63)),
            ("-9223372036854775809", .number(-0x1p63)), ("3.0", .number(3)), ("1e2", .number(100)),
            ("0.1", .number(0.1)), ("-2.5e-3", .number(-0.0025)), ("2.2250738585072014e-308", .number(0x1p-1022)),
            ("5e-324", .number(.leastNonzeroMagnitude)), ("1.7976931348623157e308", .number(.greatestFiniteMagnitude)),
            ("123456789012345678901234567890", .number(1.2345678901234568e29)), ("9007199254740993.0", .number(0x1p53)),
            ("0.000030517578125", .number(0x1p-15)), ("1E+5", .number(100_000)),
        ] as [(String, JSONValue)])
    func numbers(text: String, value: JSONValue) throws { #expect(try JSONNode.parse(text).plain == value) }

    @Test("says which file is missing")
    func missingFile() throws {
        #expect(throws: Problem("no such file", file: "no/such.json", exitStatus: .missingInput)) {
            try JSONNode.load(path: "no/such.json")
        }
        #expect(throws: Problem("expected a file, found a folder", file: "/", exitStatus: .missingInput)) {
            try JSONNode.load(path: "/")
        }
    }
}
