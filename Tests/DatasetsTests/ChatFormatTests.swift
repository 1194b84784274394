import ChatTemplates
import Datasets
import Diagnostics
import Files
import FoundationEssentials
import JSONText
import TestSupport
import Testing
import Tokenizers

/// Conversations as transformers writes them, on the fixtures of `scripts/fixtures/chat_data.py`.
@Suite("A conversation's text") struct ChatFormatTests {
    private static let folder = fixture("chat").path()

    private struct Row {
        let template: String
        let messages: [JSONValue]
        let ids: [Int32]
        let learned: [Bool]
    }

    private static func rows() throws -> [Row] {
        try JSONNode.load(path: folder + "/expected.json").asArray().map { node in
            Row(
                template: try node.string("template"), messages: try node.array("messages").map(\.plain),
                ids: try node.array("ids").map { Int32(try $0.asInteger()) },
                learned: try node.string("learned").map { $0 == "1" })
        }
    }

    private static func format(_ name: String) throws -> (format: ChatFormat, codec: TextCodec) {
        let path = fixture("chat_templates/families/\(name).jinja").path()
        return try format(source: FileSystem.text(of: path))
    }

    private static func format(source: String) throws -> (format: ChatFormat, codec: TextCodec) {
        let tokenizer = try loadTokenizer(folder: folder + "/model")
        let format = ChatFormat(
            try ChatTemplate(source, file: "template.jinja"),
            variables: [.init("eos_token", "<|im_end|>"), .init("bos_token", "<|im_start|>")],
            specialTexts: tokenizer.addedTokens.filter(\.isSpecial).map(\.content))
        return (format, TextCodec(tokenizer, end: EndOfText(tokenizer, others: [])))
    }

    @Test("has transformers' ids, and what is learned of them by position")
    func masks() throws {
        let rows = try Self.rows()
        #expect(rows.count == 30 && Set(rows.map(\.template)).count == 4)
        for row in rows {
            let (format, codec) = try Self.format(row.template)
            let text = try format.text(row.messages, tools: nil, learning: .assistant)
            let (ids, spans) = codec.ids(of: text.text, marking: text.learned)
            #expect(ids == row.ids)
            let learned = ids.indices.map { index in spans.contains { $0.contains(index) } }
            #expect(learned == row.learned, "\(row.template): \(text.text)")
        }
    }

    @Test("learns the last turn alone, or all, where that is asked for")
    func losses() throws {
        for row in try Self.rows() {
            let (format, codec) = try Self.format(row.template)
            func learned(_ loss: ChatLoss) throws -> [Range<Int>] {
                let text = try format.text(row.messages, tools: nil, learning: loss)
                return codec.ids(of: text.text, marking: text.learned).spans
            }
            #expect(try learned(.lastAssistant) == learned(.assistant).suffix(1))
            #expect(try learned(.all) == [0..<row.ids.count])
        }
    }

    @Test("is up to the assistant's turn what a prompt is")
    func prompts() throws {
        for row in try Self.rows() where row.template != "qwen3_training" {
            let (format, _) = try Self.format(row.template)
            let text = try format.text(row.messages, tools: nil, learning: .lastAssistant)
            let last = try #require(
                row.messages.lastIndex { $0.text(.compact).contains(#""role": "assistant""#) })
            let before = Array(row.messages[..<last])
            let start = try #require(text.learned.first).lowerBound
            #expect(try format.prompt(before, tools: nil).utf8.count == start, "\(row.template)")
        }
    }

    private static let noOpening =
        "template.jinja: warning: the template writes something in front of an answer, and not where a prompt for one is asked "
        + "for (add_generation_prompt): generation goes on from the user's turn, which isn't what is learned"

    @Test("knows what ends a turn")
    func ends() throws {
        #expect(try Self.format("smollm2").format.turnEnd == "<|im_end|>")
        #expect(try Self.format("phi3").format.turnEnd == "<|end|>")
        let plain = "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ END }}{% endfor %}"
        #expect(try Self.format(source: plain.replacing("{{ END }}", with: "\n")).format.turnEnd == "")
        #expect(try Self.format(source: plain.replacing("{{ END }}", with: " ### \n")).format.turnEnd == "###")
        func warnings(_ source: String) throws -> [String] {
            try Self.format(source: source).format.warnings.map(\.description)
        }
        #expect(
            try warnings(plain.replacing("{{ END }}", with: "\n")) == [
                "template.jinja: warning: nothing ends the assistant's turns in this template: a model that is trained on it "
                    + "doesn't stop", Self.noOpening,
            ])
        let opened = plain + "{% if add_generation_prompt %}assistant: {% endif %}"
        #expect(
            try warnings(opened.replacing("{{ END }}", with: " ###\n")) == [
                "template.jinja: warning: the assistant's turns end with '###', which is no special token of this model: it "
                    + "learns to spell it, and other programs won't stop there"
            ])
        #expect(try warnings(plain.replacing("{{ END }}", with: "<|end|>")) == [Self.noOpening])
        let marked = opened.replacing("{{ m.content }}", with: "{% generation %}{{ m.content }}{% endgeneration %}")
        #expect(
            try warnings(marked.replacing("{{ END }}", with: "<|end|>")) == [
                "template.jinja: warning: what the template marks by generation leaves out '<|end|>', which ends a turn: it "
                    + "isn't learned, and a model that is trained on it doesn't stop"
            ])
        for name in ["smollm2", "phi3", "qwen2_5"] { #expect(try Self.format(name).format.warnings.isEmpty) }
        // One that wants a system's word in front.
        let strict = "{{ messages[0].role == 'system' or raise_exception('no') }}"
        #expect(
            try Self.format(source: strict + opened.replacing("{{ END }}", with: "<|end|>")).format.turnEnd == "<|end|>"
        )
    }

    @Test("shows a turn also where earlier ones are written otherwise than the last, and thoughts are left out of them")
    func rewritten() throws {
        let source = """
            {%- for m in messages -%}
            <|im_start|>{{ m.role }}
            {% set content = m.content.split('</think>')[-1].lstrip('\\n') if not loop.last else m.content -%}
            {%- if loop.last and m.role == 'assistant' and '<think>' not in content %}<think>

            </think>

            {% endif %}{{ content }}<|im_end|>
            {% endfor -%}
            {%- if add_generation_prompt %}<|im_start|>assistant
            {% endif %}
            """
        let format = try Self.format(source: source).format
        func learned(_ contents: String...) throws -> [String] {
            let messages: [JSONValue] = contents.enumerated().map { index, content in
                ["role": index % 2 == 0 ? "user" : "assistant", "content": .string(content)]
            }
            let text = try format.text(messages, tools: nil, learning: .assistant)
            return text.learned.map { String(decoding: Array(text.text.utf8)[$0], as: UTF8.self) }
        }
        #expect(
            try learned("a", "one", "b", "two") == ["one<|im_end|>", "<think>\n\n</think>\n\ntwo<|im_end|>"])
        #expect(
            try learned("a", "<think>x</think>\none", "b", "<think>y</think>two")
                == ["one<|im_end|>", "<think>y</think>two<|im_end|>"])
    }

    /// What is learned of an answer to "a".
    private func learned(_ answer: [JSONValue.Member], _ format: ChatFormat) throws -> [String] {
        let messages: [JSONValue] = [
            ["role": "user", "content": "a"], .object([.init("role", "assistant")] + answer),
            ["role": "user", "content": "<|end|>"],
        ]
        let text = try format.text(messages, tools: nil, learning: .assistant)
        return text.learned.map { String(decoding: Array(text.text.utf8)[$0], as: UTF8.self) }
    }

    @Test("ends a turn with its end, whatever stands between: white space of any kind, calls of functions")
    func betweenContentAndEnd() throws {
        let qwen = try Self.format("qwen2_5").format
        for space in ["\u{A0}", "\u{3000}", "\u{2028}", "\u{85}", " \n "] {
            #expect(try learned([.init("content", .string("One" + space))], qwen) == ["One\(space)<|im_end|>"])
        }
        let call: JSONValue = [["type": "function", "function": ["name": "f", "arguments": ["x": 1]]]]
        let text = "\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call><|im_end|>"
        #expect(try learned([.init("content", "See."), .init("tool_calls", call)], qwen) == ["See." + text])
        #expect(
            try learned([.init("content", ""), .init("tool_calls", call)], qwen) == [String(text.dropFirst())])
        let spelled = try Self.format(
            source: "{% for m in messages %}{{ m.role }}: {{ m.content }} <END>\n{% endfor %}"
                + "{% if add_generation_prompt %}assistant: {% endif %}"
        ).format
        #expect(try learned([.init("content", "One")], spelled) == ["One <END>"])
    }

    @Test("learns those of the template's own marks that belong to the turns which are asked for")
    func marksOfSomeTurns() throws {
        let body =
            "{% for m in messages %}{{ m.role }}: {% if m.role == 'assistant' %}CONTENT{% else %}{{ m.content }}{% endif %}"
            + "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
        func learned(_ content: String, _ answers: String...) throws -> [String] {
            let messages: [JSONValue] = answers.flatMap { answer -> [JSONValue] in
                [["role": "user", "content": "q"], ["role": "assistant", "content": .string(answer)]]
            }
            let format = try Self.format(source: body.replacing("CONTENT", with: content)).format
            let text = try format.text(messages, tools: nil, learning: .lastAssistant)
            return text.learned.map { String(decoding: Array(text.text.utf8)[$0], as: UTF8.self) }
        }
        let one = "{% generation %}{{ m.content }}<|end|>{% endgeneration %}"
        #expect(try learned(one, "One", "Two") == ["Two<|end|>"])
        // What an answer says may be marked in parts, or changed by the template.
        #expect(
            try learned("{% generation %}{{ m.content }}{% endgeneration %}-" + one, "One", "Two") == [
                "Two", "Two<|end|>",
            ])
        #expect(try learned(one.replacing("m.content", with: "m.content | length"), "One", "Four") == ["4<|end|>"])
        let several = one.replacing("m.content", with: "m.content | length") + one
        #expect(throws: Problem.self) { try learned(several, "One", "Four") }
    }

    @Test("leaves out a message whose weight is 0")
    func weights() throws {
        let qwen = try Self.format("qwen2_5").format
        #expect(try learned([.init("content", "One"), .init("weight", 0)], qwen) == [])
        #expect(try learned([.init("content", "One"), .init("weight", 1)], qwen) == ["One<|im_end|>"])
    }

    @Test("is an error where the template doesn't show what a turn is, and in the template's words where it raises")
    func problems() throws {
        func complaint(_ source: String, answer: String = "") throws -> String {
            let messages: [JSONValue] = [
                ["role": "user", "content": "a"], ["role": "assistant", "content": .string(answer)],
            ]
            let format = try Self.format(source: source).format
            do {
                _ = try format.text(messages, tools: nil, learning: .assistant)
                return "no error"
            } catch {
                return "\(error)"
            }
        }
        #expect(
            try complaint("{{ messages | length }}")
                == "template.jinja: error: the chat template doesn't show where the assistant's turn in messages.1 begins and "
                + "ends, or leaves out what it says: mark it by {% generation %} in the template, or learn all by "
                + "data.loss_on: all")
        // What the answer says isn't in the text.
        #expect(
            try complaint(
                "{% for m in messages %}{{ m.role }}<|end|>{% endfor %}", answer: "Yes"
            ).hasPrefix("template.jinja: error: the chat template doesn't show where"))
        let raised = try complaint("x\n{{ raise_exception('Roles must alternate!') }}")
        #expect(raised == "template.jinja:2:19: error: Roles must alternate!")
    }
}
