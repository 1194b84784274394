import ChatTemplates
import JSONText
import Testing

@Suite("Built-in chat templates")
struct BuiltInTemplateTests {
    private let turns: [JSONValue] = [
        ["role": "system", "content": "Be brief."], ["role": "user", "content": "Hi"],
        ["role": "assistant", "content": "Hello!"], ["role": "user", "content": [["type": "text", "text": "And?"]]],
        ["role": "assistant", "content": "More."],
    ]

    private func render(_ name: String, _ messages: [JSONValue], prompt: Bool = false) throws -> RenderedChat {
        let template = try #require(try ChatTemplate(builtIn: name))
        return try template.render(
            messages: messages, addGenerationPrompt: prompt,
            variables: [.init("bos_token", "<s>"), .init("eos_token", "</s>")])
    }

    @Test(
        "write the formats that models know, and mark what an assistant says",
        arguments: [
            (
                "chatml",
                "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
                    + "Hello!<|im_end|>\n<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\nMore.<|im_end|>\n",
                ["Hello!<|im_end|>", "More.<|im_end|>"]
            ),
            (
                "llama3",
                "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user"
                    + "<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHello!<|eot_id|>"
                    + "<|start_header_id|>user<|end_header_id|>\n\nAnd?<|eot_id|><|start_header_id|>assistant"
                    + "<|end_header_id|>\n\nMore.<|eot_id|>",
                ["Hello!<|eot_id|>", "More.<|eot_id|>"]
            ),
            (
                "llama2",
                "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello! </s><s>[INST] And? [/INST] More. </s>",
                [" Hello! </s>", " More. </s>"]
            ),
            (
                "mistral", "<s>[INST] Be brief.\n\nHi [/INST] Hello!</s>[INST] And? [/INST] More.</s>",
                [" Hello!</s>", " More.</s>"]
            ),
            (
                "zephyr",
                "<|system|>\nBe brief.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello!</s>\n<|user|>\nAnd?</s>\n"
                    + "<|assistant|>\nMore.</s>\n", ["Hello!</s>", "More.</s>"]
            ),
        ])
    func formats(_ name: String, _ expected: String, _ spoken: [String]) throws {
        let chat = try render(name, turns)
        #expect(chat.text == expected)
        let bytes = Array(chat.text.utf8)
        #expect(chat.generationSpans.map { String(decoding: bytes[$0], as: UTF8.self) } == spoken)
    }

    @Test(
        "begin an answer where one is asked for",
        arguments: [
            ("chatml", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"),
            (
                "llama3",
                "<s><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
            ), ("llama2", "<s>[INST] Hi [/INST]"), ("mistral", "<s>[INST] Hi [/INST]"),
            ("zephyr", "<|user|>\nHi</s>\n<|assistant|>\n"),
        ])
    func prompts(_ name: String, _ expected: String) throws {
        #expect(try render(name, [["role": "user", "content": "Hi"]], prompt: true).text == expected)
    }

    @Test("are all there, and no others")
    func names() throws {
        for name in ChatTemplate.builtInNames { _ = try #require(try ChatTemplate(builtIn: name)) }
        let other = try ChatTemplate(builtIn: "alpaca")
        #expect(other == nil)
    }

    @Test("refuse turns that their format has no place for")
    func turnsOutOfOrder() throws {
        let messages: [JSONValue] = [["role": "user", "content": "a"], ["role": "user", "content": "b"]]
        for name in ["llama2", "mistral"] {
            let problem = #expect(throws: (any Error).self) { try render(name, messages) }
            #expect(
                "\(try #require(problem))".hasSuffix(
                    "error: after at most one system's message, user and assistant have to take turns; message 2 is by 'user'"
                ))
        }
    }
}
