import Files
import FoundationEssentials
import JSONText
import TestSupport
import Testing

private func text(_ path: String) throws -> String { try FileSystem.text(of: path) }

/// Conversations with a model that has a chat template, from data to answers.
@Suite("Conversations") struct ChatCommandTests {
    private static let model = fixture("chat/model").path(percentEncoded: false)
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try folder.write(
            #"""
            {"messages": [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "The Mill."}]}
            {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi\n"}, {"role": "assistant", "content": "Yes"}, {"role": "user", "content": "Well?"}, {"role": "assistant", "content": "No"}]}
            {"messages": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Bye"}]}
            """#, to: "chat.jsonl")
    }

    private func file(_ name: String) -> String { folder.path + "/" + name }

    private func train(_ changes: String..., data: String = "messages: messages", arguments: [String] = []) throws
        -> Outcome
    {
        try folder.write(
            """
            model: {path: \(Self.model)}
            data: {train: \(file("chat.jsonl")), shuffle: false, \(data)}
            peft: {method: lora, r: 8, target_modules: all-linear}
            training:
              {output_dir: \(file("run")), max_steps: 60, learning_rate: 2.0e-2, lr_scheduler_type: constant,
               per_device_train_batch_size: 3, save_steps: 60}
            """, to: "run.yaml")
        return try RunningTool(
            ["train", "--config", file("run.yaml"), "--threads", "1"] + arguments
                + changes.flatMap { ["--set", $0] }
        ).outcome()
    }

    @Test("are shown token by token before a step is taken, what is learned in brackets") func dryRun() throws {
        let outcome = try train(arguments: ["--dry-run"])
        #expect(outcome.status == 0)
        let lines = outcome.errors.split(separator: "\n").map(String.init)
        let start = try #require(lines.firstIndex { $0.hasPrefix("the first records") })
        #expect(
            Array(lines[start...]).map { $0.replacing(folder.path, with: "FOLDER") } == [
                "the first records token by token; what is learned stands in brackets",
                "FOLDER/chat.jsonl:1: 88 tokens, 7 learned",
                "  <|im_start|>·s·y·st·e·m·⏎",
                "  Y·o·u· are· a· ·he·l·p·f·u·l· ·A·I· a·s·s·i·st·a·nt· n·am·ed· ·S·m·o·l·L·M·,· t·ra·i·ne·d· b·y· "
                    + "·H·u·g·g·ing· ·F·a·ce·<|im_end|>·⏎",
                "  <|im_start|>·u·s·er·⏎",
                "  W·h·er·e·?·<|im_end|>·⏎",
                "  <|im_start|>·a·s·s·i·st·a·nt·⏎",
                "  [The][ ][M][il][l][.][<|im_end|>]⏎",
                "FOLDER/chat.jsonl:2: 58 tokens, 7 learned",
                "  <|im_start|>·s·y·st·e·m·⏎",
                "  S·<|im_end|>·⏎",
                "  <|im_start|>·u·s·er·⏎",
                "  H·i·⏎",
                "  <|im_end|>·⏎",
                "  <|im_start|>·a·s·s·i·st·a·nt·⏎",
                "  [Y][e][s][<|im_end|>]⏎",
                "  <|im_start|>·u·s·er·⏎",
                "  W·e·ll·?·<|im_end|>·⏎",
                "  <|im_start|>·a·s·s·i·st·a·nt·⏎",
                "  [N][o][<|im_end|>]⏎",
            ])
        #expect(outcome.errors.contains("each of the assistant's turns ends with <|im_end|>"))
        let json = try train(arguments: ["--dry-run", "--json", "--quiet"])
        let examples = try JSONNode.parse(json.output).array("examples")
        #expect(examples.count == 3)
        let learned = try examples.map { example in
            try example.array("tokens").filter { try $0.boolean("learned") }.map { try $0.string("text") }.joined()
        }
        #expect(learned == ["The Mill.<|im_end|>", "Yes<|im_end|>No<|im_end|>", "Bye<|im_end|>"])
    }

    @Test("are trained on, evaluated and gone on with; the template goes with the adapter and what is merged of it")
    func wholeWay() throws {
        let trained = try train(arguments: ["--quiet"])
        #expect(trained.status == 0 && trained.errors == "", "\(trained.errors)")
        let template = try text(Self.model + "/chat_template.jinja")
        #expect(try text(file("run/chat_template.jinja")) == template)
        // What was learned by heart is said, and stops by itself.
        let answer = try peft("generate", "--adapter", file("run"), "--prompt", "Where?")
        #expect(answer.status == 0 && answer.errors == "" && answer.output == "The Mill.\n")
        let raw = try peft("generate", "--adapter", file("run"), "--no-chat", "--prompt", "Where?")
        #expect(raw.status == 0 && raw.output != answer.output)
        let lines =
            "Where?\n" + #"{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi\n"}]}"#
            + "\n"
        let several = try peft("generate", "--adapter", file("run"), "--json", input: lines)
        let rows = try several.output.split(separator: "\n").map { try JSONNode.parse(String($0)) }
        #expect(try rows.map { try $0.string("completion") } == ["The Mill.", "Yes"])
        let scores = try peft(
            "eval", "--adapter", file("run"), "--data", file("chat.jsonl"), "--rouge", "--json")
        #expect(scores.status == 0, "\(scores.errors)")
        #expect(try JSONNode.parse(scores.output).required("rougeL").number("fmeasure") == 1, "\(scores.output)")
        let merged = try peft("merge", "--adapter", file("run"), "--output", file("merged"))
        #expect(merged.status == 0, "\(merged.errors)")
        #expect(try text(file("merged/chat_template.jinja")) == template)
        let same = try peft("generate", "--base", file("merged"), "--chat", "--prompt", "Where?")
        #expect(same.output == answer.output)
        let system = try peft(
            "generate", "--base", file("merged"), "--chat", "--system", "S", "--prompt", "Hi\\n")
        #expect(system.output == "Yes\n")
    }

    @Test("are written by another template where one is named") func otherTemplate() throws {
        try folder.write(
            "{% for m in messages %}{{ m.role }}\n{{ m.content }}<|end|>{% endfor %}"
                + "{% if add_generation_prompt %}assistant\n{% endif %}", to: "own.jinja")
        let outcome = try train(
            data: "messages: messages, chat_template: \(file("own.jinja"))", arguments: ["--quiet"])
        #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
        #expect(
            try text(file("run/chat_template.jinja"))
                == text(file("own.jinja")))
        let answer = try peft("generate", "--adapter", file("run"), "--prompt", "Where?")
        #expect(answer.output == "The Mill.\n")
        // The base ends texts by <|im_end|>, 2; the turns end by <|end|>, 6.
        #expect(try peft("merge", "--adapter", file("run"), "--output", file("merged")).status == 0)
        let ends = try JSONNode.load(path: file("merged/generation_config.json")).array("eos_token_id")
        #expect(try ends.map { try $0.asInteger() } == [6, 2])
        // As a conversation of a file, where the base alone is given, and with a word of the system's in front.
        try folder.write(#"{"messages": [{"role": "user", "content": "Where?"}]}"#, to: "ask.jsonl")
        let asked = try peft(
            "generate", "--base", file("merged"), "--chat", "--data", file("ask.jsonl"), "--json")
        #expect(try JSONNode.parse(asked.output).string("completion") == "The Mill.", "\(asked.errors)")
        let other = try peft(
            "generate", "--base", file("merged"), "--chat", "--system", "x", "--data", file("ask.jsonl"), "--json")
        #expect(other.status == 0 && other.output != asked.output)
    }

    @Test("go on only with the template that they began with") func resume() throws {
        try folder.write("{% for m in messages %}{{ m.content }}<|end|>{% endfor %}", to: "own.jinja")
        let own = "messages: messages, loss_on: all, chat_template: \(file("own.jinja"))"
        let begun = try train("training.max_steps=2", "training.save_steps=1", data: own, arguments: ["--quiet"])
        #expect(begun.status == 0, "\(begun.errors)")
        try folder.write("{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}", to: "own.jinja")
        let resumed = try train(
            "training.max_steps=3", "training.save_steps=1", data: own, arguments: ["--quiet", "--resume"])
        #expect(resumed.status == 65 && resumed.errors.contains("--other-data"), "\(resumed.errors)")
    }

    @Test("of Alpaca's form are gone on with by the template of the training") func alpaca() throws {
        try folder.write(
            #"{"instruction": "Where?", "output": "The Mill."}"# + "\n", to: "chat.jsonl")
        let trained = try train(data: "format: alpaca", arguments: ["--quiet"])
        #expect(trained.status == 0, "\(trained.errors)")
        let answer = try peft("generate", "--adapter", file("run"), "--data", file("chat.jsonl"), "--json")
        #expect(try JSONNode.parse(answer.output).string("completion") == "The Mill.", "\(answer.errors)")
        let asked = try peft("generate", "--adapter", file("run"), "--as-trained", "--prompt", "Where?")
        #expect(asked.output == "The Mill.\n", "\(asked.errors)")
    }

    private static let broken: [(line: String, complaint: String)] = [
        (
            #"{"messages": [{"role": "user", "content": "a"}]}"#,
            "FOLDER/chat.jsonl:1:14: error: messages: there is no message of an assistant, from which alone a model learns\n"
        ),
        (
            #"{"messages": [{"role": "robot", "content": "a"}, {"role": "assistant", "content": "b"}]}"#,
            #"FOLDER/chat.jsonl:1:24: error: messages[0].role: the role "robot" isn't known; known are system, developer, "#
                + "user, assistant, tool, function\n"
        ),
        (#"{"messages": "hello"}"#, "FOLDER/chat.jsonl:1:14: error: messages: expected an array, got \"hello\"\n"),
        (#"{"text": "hello"}"#, "FOLDER/chat.jsonl:1:1: error: no field 'messages'; there is text\n"),
    ]

    @Test("that can't be used are told with file and line", arguments: broken.indices) func problems(index: Int) throws
    {
        let (line, complaint) = Self.broken[index]
        try folder.write(line + "\n", to: "chat.jsonl")
        let outcome = try train(arguments: ["--quiet"])
        #expect(outcome.status == 65)
        #expect(outcome.errors.replacing(folder.path, with: "FOLDER") == complaint)
    }
}
