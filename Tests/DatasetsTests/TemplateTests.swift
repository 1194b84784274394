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
        "says what is wrong with its braces",
        arguments: [
            ("{mr", "error: '{' must be followed by a field's name and '}'; write {{ for a brace"),
            ("a {} b", "error: '{' must be followed by a field's name and '}'; write {{ for a brace"),
            ("{mr}}", "error: '}' without '{'; write }} for a brace"),
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
