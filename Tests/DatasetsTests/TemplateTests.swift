import Datasets
import Testing

@Suite("A template") struct TemplateTests {
    @Test("puts fields in their places and keeps doubled braces")
    func rendering() throws {
        let template = try Template("{{{mr}}}: {ref} {mr}\n")
        #expect(template.fieldNames == ["mr", "ref"])
        #expect(template.render(["M{x}", "R"]) == "{M{x}}: R M{x}\n")
    }

    @Test(
        "has escapes for a line break, a tab and a backslash, and no others",
        arguments: [
            (#"{a}\n"#, "1\n"), ("{a}\n", "1\n"), (#"\t{a}\\n\d\"#, "\t1\\n\\d\\"), (#"{a}\\\n"#, "1\\\n"),
        ])
    func escapes(source: String, expected: String) throws {
        let template = try Template(source)
        #expect(template.render(["1"]) == expected)
        // Written as it is read, it reads as the same.
        #expect(try Template(template.source).render(["1"]) == expected)
        #expect(!template.source.contains("\\n") || template.source.contains("\\\\n"))
    }

    @Test("takes a backslash for itself where a run from before the escapes is read")
    func withoutEscapes() throws {
        let template = try Template(#"{a}\n\\"#, readsEscapes: false)
        #expect(template.render(["1"]) == #"1\n\\"#)
        #expect(template.source == #"{a}\\n\\\"#)
        #expect(try Template(template.source).render(["1"]) == #"1\n\\"#)
    }

    @Test("leaves out a part whose field is empty, and keeps a field that may be")
    func optionalParts() throws {
        let template = try Template("{a}\n{?In: {b} ({c?})\n?}{d?}Out??:")
        #expect(template.fields.map(\.name) == ["a", "b", "c", "d"])
        #expect(template.fields.map(\.isOptional) == [false, true, true, true])
        #expect(template.render(["1", "2", "", "4"]) == "1\nIn: 2 ()\n4Out??:")
        #expect(template.render(["1", "", "3", ""]) == "1\nOut??:")
        #expect(template.renderPlaces(["1", "", "3", ""]).source == "1\nOut??:")
        // Needed in one place, it is needed.
        #expect(try Template("{?{a} {b}?}{a}").fields.map(\.isOptional) == [false, true])
        #expect(try Template("{?{{{a}}}?}").render(["1"]) == "{1}")
    }

    @Test(
        "says what is wrong with its braces",
        arguments: [
            ("{mr", "error: '{' must be followed by a field's name and '}'; write {{ for a brace"),
            ("a {} b", "error: '{' must be followed by a field's name and '}'; write {{ for a brace"),
            ("{mr}}", "error: '}' without '{'; write }} for a brace"),
            ("{a {b}", "error: '{' must be followed by a field's name and '}'; write {{ for a brace"),
            ("{?{a}", "error: '{?' begins a part that has no end; write '?}' behind it"),
            ("{?a?}", "error: the part between '{?' and '?}' names no field whose absence leaves it out"),
            ("{?{a?}?}", "error: the part between '{?' and '?}' names no field whose absence leaves it out"),
            (
                "{?{a}{?{b}?}?}",
                "error: '{?' stands within another part that can be left out; close that first, by '?}'"
            ),
            ("{a}?}", "error: '}' without '{'; write }} for a brace"),
            ("plain", "error: names no field of the data; write {field} for one"),
            ("{{mr}}", "error: names no field of the data; write {field} for one"),
            ("", "error: names no field of the data; write {field} for one"),
        ])
    func problems(source: String, expected: String) {
        do {
            _ = try Template(source)
            Issue.record("accepted")
        } catch { #expect("\(error)" == expected) }
    }
}
