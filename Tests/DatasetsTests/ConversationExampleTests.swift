import Batches
import ChatTemplates
import Configuration
import Datasets
import FoundationEssentials
import JSONText
import TestSupport
import Testing
import Tokenizers

@Suite("Examples of conversations") struct ConversationExampleTests {
    private let folder: TemporaryFolder
    private let encoder: ExampleEncoder

    init() throws {
        folder = try TemporaryFolder()
        let tokenizer = try loadTokenizer(folder: fixture("chat/model").path())
        let template = try ChatTemplate(
            "{% for m in messages %}{{ m.role[0] }}{{ m.content }}<|end|>{% endfor %}"
                + "{% if add_generation_prompt %}a{% endif %}", file: "template.jinja")
        var encoder = ExampleEncoder(
            templates: .conversation(.init(field: "messages", loss: .assistant, template: nil)),
            codec: TextCodec(tokenizer, end: EndOfText(tokenizer, others: [])), maximumLength: nil, policy: .error)
        encoder.chat = ChatFormat(template, variables: [], specialTexts: ["<|end|>"])
        self.encoder = encoder
    }

    /// A conversation of one letter a turn: three tokens each.
    private static func record(_ turns: Int) -> String {
        let messages = (0..<turns).map { turn in
            #"{"role": "\#(turn % 2 == 0 ? "user" : "assistant")", "content": "\#(turn)"}"#
        }
        return #"{"messages": [\#(messages.joined(separator: ", "))]}"#
    }

    private func dataset(_ records: String..., length: Int?, policy: LengthPolicy) throws -> Dataset {
        var encoder = encoder
        (encoder.maximumLength, encoder.policy) = (length, policy)
        return try Dataset(
            paths: [folder.write("chat.jsonl", records.joined(separator: "\n"))], encoder: encoder)
    }

    @Test("have a span for each turn of the assistant, and rows up to the last of them")
    func spans() throws {
        let example = try dataset(Self.record(5), length: nil, policy: .error).example(0)
        #expect(example.tokens.count == 15 && example.targets == [4..<6, 10..<12] && example.rowCount == 11)
    }

    @Test("are cut at the end or the start with their spans; what has nothing left to learn is dropped")
    func cuts() throws {
        let start = try dataset(Self.record(4), Self.record(2), length: 5, policy: .keepPromptStart)
        #expect(start.count == 2 && start.counts.truncated == 2)
        #expect(try start.example(0).targets == [4..<5] && start.example(0).tokens.count == 5)
        let end = try dataset(Self.record(4), Self.record(3), Self.record(5), length: 5, policy: .keepPromptEnd)
        #expect(end.count == 3)
        #expect(try end.example(0).targets == [3..<5])
        #expect(try end.example(1).targets == [1..<2])
        #expect(
            folder.problem { _ = try dataset(Self.record(4), Self.record(2), length: 4, policy: .keepPromptStart) }
                == "chat.jsonl: error: all 2 records are longer than max_length (4): nothing is left to learn from")
    }

    @Test("that are too long are an error, or left out, as other texts are")
    func tooLong() throws {
        #expect(
            folder.problem { _ = try dataset(Self.record(4), length: 7, policy: .error) }
                == "chat.jsonl:1:1: error: 12 tokens are more than max_length (7): choose a max_length_policy (drop, "
                + "keep_prompt_start, keep_prompt_end)")
        let kept = try dataset(Self.record(4), Self.record(2), length: 7, policy: .drop)
        #expect(kept.count == 1 && kept.counts.dropped == 1)
    }

    @Test("need lists, which tables don't have")
    func tables() throws {
        #expect(
            folder.problem {
                _ = try Dataset(paths: [folder.write("chat.csv", "messages\nx\n")], encoder: encoder)
            } == "chat.csv:2:1: error: messages are lists, which only .jsonl and .json files have")
    }

    @Test("of Alpaca's columns have its words, and an input where there is one")
    func alpaca() throws {
        let document = try ConfigDocument.parse(yaml: "data: {train: a.jsonl, format: alpaca}")
        let settings = DataSettings(document.root.section("data"), needsTrainingFiles: true)
        try document.finish()
        var encoder = encoder
        encoder.templates = settings.templates
        let records = [
            #"{"instruction": "Add.", "input": "1, 2", "output": "3"}"#, #"{"instruction": "Hi", "output": "Ho"}"#,
            #"{"instruction": "Hi", "input": "", "output": "Ho"}"#,
        ]
        let dataset = try Dataset(
            paths: [folder.write("a.jsonl", records.joined(separator: "\n"))], encoder: encoder)
        #expect(
            try dataset.texts(of: 0).given == """
                Below is an instruction that describes a task, paired with an input that provides further context. Write a \
                response that appropriately completes the request.

                ### Instruction:
                Add.

                ### Input:
                1, 2

                ### Response:
                """)
        for index in [1, 2] {
            #expect(
                try dataset.texts(of: index).given == """
                    Below is an instruction that describes a task. Write a response that appropriately completes the request.

                    ### Instruction:
                    Hi

                    ### Response:
                    """)
            #expect(try dataset.texts(of: index).wanted == "Ho")
        }
    }
}
