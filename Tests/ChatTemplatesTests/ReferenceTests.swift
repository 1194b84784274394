import ChatTemplates
import Diagnostics
import FoundationEssentials
import JSONText
import TestSupport
import Testing

@Suite("Chat templates beside transformers")
struct ReferenceTests {
    static let subjects = [
        "white space", "literals", "operators", "items and slices", "set and scopes", "loops", "macros", "filters",
        "tojson",
        "tests", "methods of strings", "methods of others", "generation", "mistakes",
    ]
    static let families = [
        "deepseek_r1_distill", "deepseekv3_training", "glm4moe", "gptoss", "idefics3", "phi3", "phi3_5", "qwen2_5",
        "qwen3_training", "qwen3_vl", "smollm2", "smolvlm",
    ]

    private func load(_ name: String) throws -> JSONNode {
        try JSONNode.load(path: fixture("chat_templates/\(name)").path())
    }

    private func members(_ node: JSONNode) throws -> [JSONValue.Member] {
        try node.asObject().map { JSONValue.Member($0.key, $0.value.plain) }
    }

    /// What a snippet gives; nil where it is refused.
    private func render(_ source: String, _ variables: [JSONValue.Member]) -> RenderedChat? {
        try? ChatTemplate(source, file: "snippet").render(variables, time: 0)
    }

    @Test("render what it renders and refuse what it refuses", arguments: subjects)
    func snippets(_ subject: String) throws {
        let fixture = try load("snippets.json")
        let others: [JSONValue.Member] = [
            .init("tools", nil), .init("documents", nil), .init("add_generation_prompt", false),
        ]
        let variables = try members(fixture.required("context")) + others
        for snippet in try fixture.required("snippets").array(subject) {
            let parts = try snippet.asArray()
            let source = try parts[0].asString()
            let rendered = render(source, variables)
            guard !parts[1].isNull else {
                #expect(rendered == nil, "\(source.debugDescription)")
                continue
            }
            let expected = try parts[1].asString()
            let isSame = rendered.map { sameBytes($0.text, expected) } ?? false
            #expect(
                isSame,
                "\(source.debugDescription) gives \(rendered.debugDescription), not \(expected.debugDescription)")
            let spans =
                try parts.count > 2 ? parts[2].asArray().map { try $0.asArray().map { try $0.asInteger() } } : []
            #expect(rendered?.generationSpans.map { [$0.lowerBound, $0.upperBound] } == spans)
        }
    }

    @Test("all subjects and families are compared")
    func complete() throws {
        #expect(Set(try load("snippets.json").object("snippets").map(\.key)) == Set(Self.subjects))
        #expect(try load("conversations.json").object("families").map(\.key) == Self.families)
    }

    @Test("give the same texts of conversations in the templates of models", arguments: families)
    func conversations(_ family: String) throws {
        let fixture = try load("conversations.json")
        let file = TestSupport.fixture("chat_templates/families/\(family).jinja")
        let template = try ChatTemplate(try String(contentsOf: file, encoding: .utf8), file: "\(family).jinja")
        let variables = try members(fixture.required("variables"))
        var digests: [String] = []
        for conversation in try fixture.array("conversations") {
            let messages = try conversation.array("messages").map(\.plain)
            let tools = try conversation.optionalArray("tools")?.map(\.plain)
            for prompt in [false, true] {
                let chat = try? template.render(
                    messages: messages, addGenerationPrompt: prompt, tools: tools, variables: variables,
                    time: try fixture.integer("time"))
                digests.append(chat.map(digest) ?? "-")
            }
        }
        let expected = try fixture.required("families").string(family).split(separator: " ").map(String.init)
        #expect(digests == expected)
    }

    private func digest(_ chat: RenderedChat) -> String {
        let marks = chat.generationSpans.map { "\0\($0.lowerBound)-\($0.upperBound)" }.joined()
        var value: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in (chat.text + marks).utf8 { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let digits = String(value, radix: 16)
        return String((String(repeating: "0", count: 16 - digits.count) + digits).prefix(12))
    }
}
