import ChatTemplates
import JSONText
import Testing

@Suite("Chat templates")
struct ChatTemplateTests {
    private func render(
        _ source: String, _ messages: [JSONValue] = [["role": "user", "content": "hi"]], tools: [JSONValue]? = nil,
        variables: [JSONValue.Member] = []
    ) throws -> String {
        let template = try ChatTemplate(source, file: "t")
        return try template.render(
            messages: messages, addGenerationPrompt: true, tools: tools, variables: variables, time: 1_749_988_800
        ).text
    }

    /// The texts are what transformers 5.24 gives.
    @Test(
        "see messages as transformers hands them over",
        arguments: [
            (["role": "assistant", "content": nil], "[{'role': 'assistant'}]"),
            (
                ["role": "assistant", "content": "a", "thinking": "hm"],
                "[{'thinking': 'hm', 'role': 'assistant', 'content': 'a', 'reasoning_content': 'hm'}]"
            ),
            (
                ["role": "assistant", "reasoning": "hm", "content": "a"],
                "[{'thinking': 'hm', 'role': 'assistant', 'reasoning': 'hm', 'content': 'a', 'reasoning_content': 'hm'}]"
            ),
            (
                ["reasoning_content": "one", "role": "assistant", "thinking": "two"],
                "[{'thinking': 'two', 'reasoning_content': 'one', 'role': 'assistant'}]"
            ),
        ] as [(JSONValue, String)])
    func messages(_ message: JSONValue, _ expected: String) throws {
        #expect(try render("{{ messages }}", [message]) == expected)
    }

    @Test("see what they are given, and none where there are no tools")
    func variables() throws {
        let source = "{{ tools }}|{{ documents }}|{{ add_generation_prompt }}|{{ bos_token }}|{{ eos_token }}"
        #expect(try render(source, variables: [.init("bos_token", "<s>")]) == "None|None|True|<s>|")
        #expect(try render("{{ tools[0].name }}", tools: [["name": "f"]]) == "f")
        #expect(try render("{{ range }}", variables: [.init("range", 3)]) == "3")
        #expect(try render("{{ strftime_now('%d %b %Y') }}") == "15 Jun 2025")
        let template = try ChatTemplate("{% if tools %}{% endif %}", file: "t")
        #expect(template.mentions("tools") && !template.mentions("documents"))
    }

    @Test("refuse messages that nest without measure")
    func nested() {
        var value: JSONValue = "x"
        for _ in 0..<600 { value = [value] }
        let problem = #expect(throws: (any Error).self) { try render("{{ messages }}", [["role": value]]) }
        #expect(problem.map { "\($0)" } == "t: error: a value nests more than 512 levels deep")
    }
}
