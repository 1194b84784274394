import Configuration
import Foundation
import Methods
import TestSupport
import Testing
import Training

/// The committed examples, by their paths in the repository.
private let examples: [String] = {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: repositoryRoot.appending(path: "configs").path()))
    return (names ?? []).filter { $0.hasSuffix(".yaml") }.sorted().map { "configs/\($0)" }
}()

@Suite("The configurations in configs/")
struct ConfigurationFilesTests {
    @Test("have examples") func present() { #expect(examples.count >= 8) }

    @Test("have nothing wrong in them", arguments: examples)
    func valid(path: String) throws {
        let file = repositoryRoot.appending(path: path)
        // An adapter to start from must be there when the file is read, and is the result of another example.
        let overrides = path.hasSuffix("continue.yaml") ? ["peft.init_from=\(adapter)"] : []
        let document = try ConfigDocument.load(yamlFile: file.path(percentEncoded: false), overrides: overrides)
        let configuration = try RunConfiguration(document) { Issue.record($0) }
        // What a run leaves behind must say the same.
        let again = try RunConfiguration(.parse(yaml: configuration.resolvedYAML)) { Issue.record($0) }
        #expect(again.resolvedYAML == configuration.resolvedYAML)
    }

    @Test(
        "run on few records, and say of none of their settings that it can't do what it is there for",
        arguments: examples)
    func running(path: String) throws {
        let folder = try SmallExample()
        let arguments = try folder.arguments(path)
        let dry = try RunningTool(["train", "--dry-run"] + arguments).outcome()
        #expect(dry.status == 0, "\(dry.errors)")
        #expect(!dry.errors.contains("warning"), "\(dry.errors)")
        // Rates are chosen, not left to chance.
        #expect(!dry.errors.contains("the default of"), "\(dry.errors)")
        // AdaLoRA's schedule has no room in two steps.
        let schedule = path == "configs/adalora.yaml" ? ["--set", "peft.total_step=100"] : []
        let short = ["--set", "training.max_steps=2", "--quiet"]
        let run = try RunningTool(["train"] + short + schedule + arguments).outcome()
        #expect(run.status == 0, "\(run.errors)")
    }

    @Test("fit the methods that are compared with them", arguments: ["configs/demo.yaml", "configs/which-food.yaml"])
    func compared(path: String) throws {
        let variants = try RunVariants.load(
            repositoryRoot.appending(path: "configs/compare/methods.yaml").path(percentEncoded: false))
        #expect(variants.count >= 2)
        for variant in variants {
            let document = try ConfigDocument.load(
                yamlFile: repositoryRoot.appending(path: path).path(percentEncoded: false),
                overrides: variant.overrides)
            #expect(throws: Never.self, "\(variant.name)") {
                _ = try RunConfiguration(document) { Issue.record($0) }
            }
        }
    }

    @Test("show how they are run", arguments: examples)
    func command(path: String) throws {
        let text = try String(contentsOf: repositoryRoot.appending(path: path), encoding: .utf8)
        #expect(text.contains("\n#   peft train --config \(path)"))
    }
}

private let adapter = fixture("adapters/default").path(percentEncoded: false)

/// A small model that begins at random and two hundred records, which stand in for an example's own.
private struct SmallExample {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try folder.write(
            """
            {"model_type": "gpt2", "vocab_size": 4300, "n_positions": 512, "n_embd": 32, "n_layer": 2, "n_head": 2}
            """, to: "model/config.json")
        try folder.write(
            "{% for m in messages %}{{ m.role }}: {{ m.content }}<|endoftext|>{% endfor %}"
                + "{% if add_generation_prompt %}assistant: {% endif %}", to: "model/chat_template.jinja")
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            let source = repositoryRoot.appending(path: "embedded/base/\(name)").path(percentEncoded: false)
            try FileManager.default.copyItem(atPath: source, toPath: "\(folder.path)/model/\(name)")
        }
        let records = (0..<200).map { number in
            let food = number % 2 == 0 ? "Indian" : "French"
            return #"{"mr": "name[The \#(number)], food[\#(food)]", "ref": "The \#(number) serves \#(food) food.", "#
                + #""dialogue": "\#(number)?", "summary": "\#(food).", "question": "\#(number)?", "answer": "\#(number).", "review": "\#(number)", "label": "\#(food)", "#
                + #""food": "\#(food)", "text": "The \#(number) serves \#(food) food.", "options": ["Indian", "French"], "#
                + #""sentiment": "\#(number % 2 == 0 ? "positive" : "negative")", "#
                + #""messages": [{"role": "user", "content": "\#(number)?"}, {"role": "assistant", "content": "\#(food)"}]}"#
        }
        try folder.write(records.joined(separator: "\n") + "\n", to: "data.jsonl")
        try folder.write(
            (0..<200).map { "Line \($0) of a text that is learned as it stands.\n" }.joined(), to: "text.txt")
    }

    /// What runs the example of that path with them.
    func arguments(_ path: String) throws -> [String] {
        let text = try String(contentsOf: repositoryRoot.appending(path: path), encoding: .utf8)
        let data =
            text.contains("\n  train: notes.txt") || text.contains("\n  train: corpus.txt") ? "text.txt" : "data.jsonl"
        // A T5 that begins at random, with a tokenizer of its own.
        let model = path.contains("t5") ? "embedded/t5" : "\(folder.path)/model"
        var settings = [
            "model.path=\(model)", "model.init=random", "data.train=\(folder.path)/\(data)",
            "training.output_dir=\(folder.path)/run",
        ]
        // Whose answers are one of a record's own.
        if text.contains("\n  choices: options") { settings.append("data.completion={food}") }
        if text.contains("\n  validation: ") { settings.append("data.validation=\(folder.path)/\(data)") }
        if text.contains("block_size: 512") { settings.append("data.block_size=64") }
        if text.contains("init_from: ") {
            // Another example's result.
            let start = ["model.init=random", "training.output_dir=\(folder.path)/start", "training.max_steps=1"]
            let first = try RunningTool(
                ["train", "--config", "configs/demo.yaml", "--quiet"]
                    + (settings.filter { !$0.hasPrefix("training.") } + start + [
                        "data.validation=", "training.warmup_steps=0",
                    ])
                    .flatMap { ["--set", $0] }
            ).outcome()
            #expect(first.status == 0, "\(first.errors)")
            settings.append("peft.init_from=\(folder.path)/start")
        }
        return ["--config", path, "--threads", "1"] + settings.flatMap { ["--set", $0] }
    }
}

@Suite("docs/configuration.md")
struct ConfigurationReferenceTests {
    private struct Row: Hashable, CustomStringConvertible {
        /// The method that the key belongs to; nil for keys of all.
        var method: String?
        var key: String
        var type: String
        var value: String

        var description: String { "\(method.map { $0 + ": " } ?? "")\(key) | \(type) | \(value)" }
    }

    /// What a method's section must hold for every key to be asked for.
    private static let needed = [
        "lora": "init_lora_weights: loftq, target_modules: [x], rank_pattern: {MODULE: 1}, alpha_pattern: {MODULE: 1}",
        "loha": "rank_pattern: {MODULE: 1}, alpha_pattern: {MODULE: 1}",
        "lokr": "rank_pattern: {MODULE: 1}, alpha_pattern: {MODULE: 1}",
        "prompt_tuning": "num_virtual_tokens: 1", "prefix_tuning": "num_virtual_tokens: 1",
        "p_tuning": "num_virtual_tokens: 1", "p_tuning_v2": "num_virtual_tokens: 1",
    ]

    /// Everything that the code asks a configuration for.
    private func asked() throws -> Set<Row> {
        Set(
            try methods.flatMap { type in
                let method = type.name
                let document = try ConfigDocument.parse(
                    yaml: """
                        model: {path: x}
                        data: {train: x.txt}
                        peft: {method: \(method), \(Self.needed[method] ?? "")}
                        training: {output_dir: x}
                        """)
                _ = try RunConfiguration(document) { Issue.record($0) }
                return document.askedKeys.map {
                    // Either a list or an expression, for which the code has no word.
                    let type = $0.type == "anything" ? "list of strings, string" : $0.type
                    let isCommon = $0.section.split(separator: ".").first != "peft" || Self.common.contains($0.path)
                    return Row(
                        method: isCommon ? nil : method, key: $0.path, type: type,
                        value: $0.isRequired ? "*required*" : $0.defaultText.map(number) ?? "–")
                }
            })
    }

    private static let common = ["peft.method", "peft.init_from"]

    /// The rows of the tables.
    private func documented() throws -> Set<Row> {
        let text = try String(contentsOf: repositoryRoot.appending(path: "docs/configuration.md"), encoding: .utf8)
        var rows: [Row] = []
        // Below "With `method: x`:" stands what x has of its own; "or" joins methods with the same table.
        var methods: [String?] = [nil]
        for line in text.split(separator: "\n") {
            if line.hasPrefix("## ") { methods = [nil] }
            if line.hasPrefix("With `method: ") {
                let words = line.split(separator: "`").filter { $0.hasPrefix("method: ") }
                methods = words.map { String($0.dropFirst("method: ".count)) }
            }
            guard line.hasPrefix("| `") else { continue }
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            rows += methods.map {
                Row(
                    method: $0, key: cells[0].trimmingCharacters(in: ["`"]), type: cells[1], value: number(cells[2]))
            }
        }
        #expect(Set(rows.map { [$0.method ?? "", $0.key] }).count == rows.count, "a key has two rows")
        return Set(rows)
    }

    /// Numbers compare by value, so that the page may write 0 and 5.0e-5.
    private func number(_ text: String) -> String { Double(text).map { "\($0)" } ?? text }

    @Test("lists the learning rate of every method")
    func rates() throws {
        let text = try String(contentsOf: repositoryRoot.appending(path: "docs/configuration.md"), encoding: .utf8)
        let table = try #require(text.components(separatedBy: "| method | learning rate | as |\n|---|---|---|\n").last)
        let rows = table.split(separator: "\n", omittingEmptySubsequences: false)
            .prefix { $0.hasPrefix("| ") }
            .map { line in line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } }
        #expect(rows.map { "\($0[0]) \(number($0[1]))" } == methods.map { "\($0.name) \($0.learningRate)" })
    }

    @Test("lists every key that the code asks for, with its type and default, and no other")
    func complete() throws {
        let (asked, documented) = (try asked(), try documented())
        #expect(asked.count > 40)
        #expect(asked.subtracting(documented).map(\.description).sorted() == [], "not on the page")
        #expect(documented.subtracting(asked).map(\.description).sorted() == [], "not in the code")
    }
}
