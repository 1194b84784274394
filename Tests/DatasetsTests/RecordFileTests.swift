import Datasets
import Testing

@Suite("A file of records") struct RecordFileTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func records(_ name: String, _ text: String, _ fields: [String] = ["a", "b"]) throws -> [[String]] {
        let file = try RecordFile(path: folder.write(name, text))
        return try (0..<file.count).map { try file.texts(of: fields, at: $0) }
    }

    private func problem(_ name: String, _ text: String, _ fields: [String] = ["a", "b"]) -> String? {
        folder.problem { _ = try records(name, text, fields) }
    }

    @Test("is read from every format, with byte order marks, CRLF and without a last line break")
    func formats() throws {
        let expected = [["1", "x, \"y\"\nz"], ["é", ""]]
        let json = #"{"a": 1, "b": "x, \"y\"\nz"}"#
        let second = #"{"b": "", "other": [{}], "a": "é"}"#
        #expect(try records("a.jsonl", "\(json)\n\n\(second)") == expected)
        #expect(try records("b.jsonl", "\u{FEFF}\(json)\r\n\r\n\(second)\r\n") == expected)
        #expect(try records("c.json", "[\n\(json),\n\(second)\n]\n") == expected)
        #expect(try records("d.csv", "a,b\n1,\"x, \"\"y\"\"\nz\"\né,\n") == expected)
        #expect(try records("e.csv", "\u{FEFF}b,a\r\n\"x, \"\"y\"\"\nz\",1\r\n\r\n\"\",é") == expected)
        #expect(try records("f.TSV", "a\tb\n1\t\"x, \"\"y\"\"\nz\"\né\t\n") == expected)
        #expect(try records("g.txt", "one\r\n\ntwo \nthree", ["text"]) == [["one"], ["two "], ["three"]])
    }

    @Test("keeps line breaks as they are within quotation marks")
    func embeddedBreaks() throws {
        #expect(try records("a.csv", "a,b\r\n\"1\r\n2\",3\r\n") == [["1\r\n2", "3"]])
        #expect(try records("a.csv", "a,b\n5\" disk,3 \"\n") == [["5\" disk", "3 \""]])
    }

    @Test("renders scalars as they are written in JSON")
    func scalars() throws {
        #expect(
            try records("a.jsonl", #"{"a": 42, "b": true}"# + "\n" + #"{"a": 1.50, "b": -1e5}"#) == [
                ["42", "true"], ["1.50", "-1e5"],
            ])
    }

    @Test(
        "names file and line of what is wrong",
        arguments: [
            ("a.jsonl", "{\"a\": 1, \"b\": 2}\n\n{\"a\": }", "a.jsonl:3:7: error: expected a value, found '}'"),
            ("a.jsonl", "{\"a\": 1}\n[1]", "a.jsonl:2:1: error: expected an object with named fields, got an array"),
            (
                "a.jsonl", "{\"a\": 1} {}",
                "a.jsonl:1:10: error: expected the end of the text after the value, found '{'"
            ),
            ("a.jsonl", "{\"a\": 1, \"c\": 2}", "a.jsonl:1:1: error: no field 'b'; there is a, c"),
            ("a.jsonl", "{\"a\": 1, \"b\": 2}\n{\"a\": 1, \"b\": null}", "a.jsonl:2:1: error: the field 'b' is null"),
            (
                "a.jsonl", "{\"a\": {}, \"b\": 2}",
                "a.jsonl:1:1: error: the field 'a' is an array or an object, which has no place in a template"
            ),
            ("a.jsonl", "\n\n", "a.jsonl: error: holds no records"),
            ("a.json", "[]", "a.json: error: holds no records"),
            ("a.json", "[{\"a\": 1, \"b\": 2},\n 7]", "a.json:2:2: error: expected an object with named fields, got 7"),
            ("a.json", "[{\"a\": 1, \"b\": 2},\n{\"a\": 7}]", "a.json:2:1: error: no field 'b'; there is a"),
            (
                "a.json", "{\"a\": 1}",
                "a.json:1:1: error: expected an array of objects; put one object a line into a .jsonl file otherwise"
            ),
            ("a.csv", "", "a.csv: error: holds no records"),
            ("a.csv", "a,b\n", "a.csv: error: holds no records"),
            ("a.csv", "a,c\n1,2\n", "a.csv:2:1: error: no field 'b'; there is a, c"),
            ("a.csv", "a,a\n1,2\n", "a.csv:1:1: error: the column 'a' appears twice in the header"),
            ("a.csv", "a,b\n\"1\n\",2\n3\n", "a.csv:4:1: error: expected 2 columns (a, b), found 1"),
            ("a.csv", "a,b\n1,2,3\n", "a.csv:2:1: error: expected 2 columns (a, b), found 3"),
            ("a.csv", "a,b\n1,\"2\n3,4\n", "a.csv:2:1: error: a quotation mark is never closed"),
            (
                "a.csv", "a,b\n1,\"2\"x\n",
                "a.csv:2:1: error: a quoted field goes on after its closing quotation mark: double those inside it"
            ),
            ("a.txt", "x", "a.txt:1:1: error: no field 'a'; there is text"),
            (
                "a.parquet", "x",
                "a.parquet: error: can't tell what kind of data this is: the name must end in one of "
                    + ".jsonl, .json, .csv, .tsv, .txt"
            ),
        ])
    func problems(name: String, text: String, expected: String) { #expect(problem(name, text) == expected) }

    @Test("must be UTF-8", arguments: ["txt", "csv", "jsonl"])
    func invalidUTF8(ending: String) throws {
        let prefix = ending == "jsonl" ? "\n{\"a\": \"x" : "a\nbcdefg"
        let suffix = ending == "jsonl" ? "\"}" : ""
        let path = try folder.write("a.\(ending)", Array(prefix.utf8) + [0xFF] + Array(suffix.utf8))
        let column = ending == "jsonl" ? 9 : 7
        #expect(
            folder.problem { _ = try RecordFile(path: path) }
                == "a.\(ending):2:\(column): error: invalid UTF-8 (byte 0xFF)")
    }
}
