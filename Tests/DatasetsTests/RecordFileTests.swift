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

    @Test("ends its lines in \\n, \\r\\n or \\r, mixed too, and passes over blank lines of JSON")
    func lineEnds() throws {
        for end in ["\n", "\r\n", "\r"] {
            #expect(
                try records("a.csv", "a,b\(end)1,2\(end)\(end)3,\"4\(end)5\"\(end)") == [
                    ["1", "2"], ["3", "4\(end)5"],
                ])
            #expect(try records("a.tsv", "a\tb\(end)1\t2\(end)3\t") == [["1", "2"], ["3", ""]])
            #expect(try records("a.txt", "one\(end)\(end)two\(end)", ["text"]) == [["one"], ["two"]])
            let lines = ["{\"a\": 1, \"b\": 2}", " \t", "", "{\"a\": 3, \"b\": 4}", "  "]
            #expect(try records("a.jsonl", lines.joined(separator: end)) == [["1", "2"], ["3", "4"]])
            #expect(
                problem("a.jsonl", (lines + ["{\"a\": 5}"]).joined(separator: end))
                    == "a.jsonl:6:1: error: no field 'b'; there is a")
            #expect(
                problem("a.csv", "a,b\(end)\"1\(end)\",2\(end)3\(end)")
                    == "a.csv:4:1: error: expected 2 columns (a, b), found 1")
        }
        #expect(try records("a.txt", "1\r2\n3\r\n4\n\r5", ["text"]) == [["1"], ["2"], ["3"], ["4"], ["5"]])
        let file = try RecordFile(path: folder.write("b.txt", "1\r2\n\n3\r\n4\n\r5"))
        #expect((0..<5).map { file.line(of: $0) } == [1, 2, 4, 5, 7])
    }

    @Test("has columns between semicolons or tabs too, where the header has no comma")
    func separators() throws {
        #expect(try records("a.csv", "\u{FEFF}\"a\";b\n1,5;\"x;y\"\n") == [["1,5", "x;y"]])
        #expect(try records("a.csv", "\r\na\tb\n1,5\tx;y\n") == [["1,5", "x;y"]])
        #expect(try records("a.csv", "\"a;c\",b\n1,2\n", ["a;c", "b"]) == [["1", "2"]])
        #expect(try records("a.csv", "a\n\"1;2\"\n3;4\n", ["a"]) == [["1;2"], ["3;4"]])
    }

    @Test("keeps line breaks as they are within quotation marks")
    func embeddedBreaks() throws {
        #expect(try records("a.csv", "a,b\r\n\"1\r\n2\",3\r\n") == [["1\r\n2", "3"]])
        #expect(try records("a.csv", "a,b\n5\" disk,3 \"\n") == [["5\" disk", "3 \""]])
    }

    @Test("finds fields within others by their path")
    func paths() throws {
        let record = #"""
            {"a": {"b": {"c": "x"}, "b.d": 2, "n": null}, "l": [{"t": "y"}, "z", ["q"]], "a.b.c": "own", "e": "é"}
            """#
        func texts(_ fields: String...) throws -> [String] { try records("a.jsonl", record, fields)[0] }
        #expect(try texts("a.b.c", "l.0.t", "l.1", "l.2.0", "a.b.d", "e") == ["own", "y", "z", "q", "2", "é"])
        #expect(try records("a.csv", "a.b,c\n1,2\n", ["a.b"]) == [["1"]])
        func failure(_ field: String) -> String? { problem("a.jsonl", record, [field]) }
        #expect(failure("a.n") == "a.jsonl:1:1: error: the field 'a.n' is null")
        #expect(failure("a.n.x") == "a.jsonl:1:1: error: the field 'a.n.x' is null")
        #expect(failure("a.b.x") == "a.jsonl:1:1: error: no field 'a.b.x'; did you mean 'a.b.c'? There is a.b.c")
        #expect(failure("l.3") == "a.jsonl:1:1: error: no field 'l.3'; did you mean 'l.0'? There is l.0, l.1, l.2")
        #expect(failure("e.x") == "a.jsonl:1:1: error: no field 'e.x'; 'e' has no fields")
        #expect(failure("l.01") == "a.jsonl:1:1: error: no field 'l.01'; did you mean 'l.0'? There is l.0, l.1, l.2")
        #expect(
            failure("l.0")
                == "a.jsonl:1:1: error: the field 'l.0' is an array or an object, which has no place in a template; one "
                + "of its own has, as {l.0.t}")
    }

    @Test("suggests the name that is nearest to one that isn't there")
    func suggestions() {
        #expect(
            problem("a.csv", "question,answer\n1,2\n", ["qestion"])
                == "a.csv:2:1: error: no field 'qestion'; did you mean 'question'? There is question, answer")
    }

    @Test("tells of twenty broken records and how many more, or of all at once where they have one problem")
    func severalProblems() {
        let lines = (0..<25).map { $0 == 7 ? "{}" : "[\($0)" }
        let expected =
            (0..<25).filter { $0 != 7 }.prefix(20).map {
                "a.jsonl:\($0 + 1):1: error: expected an object with named fields, got an array"
            } + ["error: 4 more records can't be used"]
        #expect(
            problem("a.jsonl", lines.map { $0.hasPrefix("[") ? $0 + "]" : $0 }.joined(separator: "\n"))
                == expected.joined(separator: "\n"))
        #expect(
            problem("a.csv", "a,b\n1\n2,3\n4,5,6\n")
                == "a.csv:2:1: error: expected 2 columns (a, b), found 1\n"
                + "a.csv:4:1: error: expected 2 columns (a, b), found 3")
        #expect(
            problem("a.jsonl", "1\n1\n")
                == "a.jsonl:1:1: error: expected an object with named fields, got 1; it is so in all 2 records")
        #expect(
            problem("a.json", "[1, {}, 2, {]")
                == "a.json:1:2: error: expected an object with named fields, got 1\n"
                + "a.json:1:9: error: expected an object with named fields, got 2\n"
                + "a.json:1:13: error: expected a key in double quotes, found ']'")
    }

    @Test("is text in UTF-8: other encodings are named, and zero bytes are none")
    func encodings() throws {
        func failure(_ name: String, _ bytes: [UInt8]) throws -> String? {
            let path = try folder.write(name, bytes)
            return folder.problem { _ = try RecordFile(path: path) }
        }
        for name in ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.txt"] {
            let text = Array("{\"a\"}".utf8)
            let little: [UInt8] = [0xFF, 0xFE] + text.flatMap { (byte: UInt8) -> [UInt8] in [byte, 0] }
            #expect(try failure(name, little) == "\(name): error: is text in UTF-16: save it as UTF-8")
            let big = text.flatMap { (byte: UInt8) -> [UInt8] in [0, byte] }
            #expect(try failure(name, big) == "\(name): error: is text in UTF-16: save it as UTF-8")
            #expect(
                try failure(name, [0xFF, 0xFE, 0, 0, 0x61, 0, 0, 0])
                    == "\(name): error: is text in UTF-32: save it as UTF-8")
        }
        #expect(
            try failure("a.csv", Array("a\rbc".utf8) + [0])
                == "a.csv:2:3: error: a zero byte, which text doesn't have: is this another kind of file?")
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
