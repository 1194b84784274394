import Configuration
import Diagnostics
import Foundation
import JSONText
import Methods
import TestSupport
import Testing
import Training

/// What a JSON schema of the kinds that ours has says about a value: nil where nothing is wrong.
private func complaint(_ value: ConfigNode, _ schema: JSONNode, at path: String) -> String? {
    if let options = try? schema.array("oneOf") {
        let fitting = options.filter { complaint(value, $0, at: path) == nil }
        return fitting.count == 1 ? nil : "\(path): fits \(fitting.count) of \(options.count)"
    }
    if let options = try? schema.array("anyOf") {
        return options.contains { complaint(value, $0, at: path) == nil } ? nil : "\(path): fits none"
    }
    if let constant = try? schema.string("const") {
        if case .scalar(constant, _) = value.content { return nil }
        return "\(path): not \(constant)"
    }
    if let options = try? schema.array("enum") {
        return options.contains { kindsAndText(value).text == text($0) } ? nil : "\(path): none of the words"
    }
    guard let type = try? schema.required("type") else { return nil }
    let types = (try? type.asArray().map { try $0.asString() }) ?? [(try? type.asString()) ?? ""]
    if kindsAndText(value).kinds.isDisjoint(with: types) { return "\(path): is no \(types)" }
    switch value.content {
    case .list(let nodes):
        guard let items = try? schema.required("items") else { return nil }
        return nodes.lazy.compactMap { complaint($0, items, at: path) }.first
    case .mapping(let entries):
        for name in (try? schema.array("required").map { try $0.asString() }) ?? []
        where !entries.contains(where: { $0.key == name }) {
            return "\(path).\(name): missing"
        }
        for entry in entries {
            let place = "\(path).\(entry.key)"
            if let own = try? schema.optional("properties")?.optional(entry.key) {
                if let problem = complaint(entry.value, own, at: place) { return problem }
            } else if let others = try? schema.optional("additionalProperties") {
                if case .boolean(false) = others.content { return "\(place): unknown" }
                if let problem = complaint(entry.value, others, at: place) { return problem }
            }
        }
        return nil
    default: return nil
    }
}

private func text(_ node: JSONNode) -> String? {
    switch node.content {
    case .string(let text): text
    case .boolean(let value): "\(value)"
    case .null: ""
    default: nil
    }
}

/// What types of JSON a value of YAML may be read as, and its text.
private func kindsAndText(_ node: ConfigNode) -> (kinds: Set<String>, text: String?) {
    switch node.content {
    case .null: return (["null"], "")
    case .list: return (["array"], nil)
    case .mapping: return (["object"], nil)
    case .scalar(let text, true): return (["string"], text)
    case .scalar(let text, false):
        if Int(text) != nil { return (["integer", "number"], text) }
        if Double(text) != nil { return (["number"], text) }
        if ["true", "false"].contains(text) { return (["boolean"], text) }
        return (["string"], text)
    }
}

@Suite("The schema of configurations") struct SchemaTests {
    private static let files: [String] = {
        let folder = repositoryRoot.appending(path: "configs").path(percentEncoded: false)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasSuffix(".yaml") }.sorted()
    }()

    private func schema() throws -> JSONNode { try JSONNode.parse(ConfigurationSchema.json().text(.indented)) }

    @Test("is printed by the tool")
    func printed() throws {
        let outcome = try peft("schema")
        #expect(outcome.status == 0 && outcome.errors.isEmpty)
        #expect(outcome.output == (try ConfigurationSchema.json().text(.indented)) + "\n")
        let schema = try JSONNode.parse(outcome.output)
        #expect(try schema.string("$schema") == "https://json-schema.org/draft/2020-12/schema")
    }

    @Test("holds for the configurations in configs/", arguments: files)
    func examples(name: String) throws {
        let path = repositoryRoot.appending(path: "configs/\(name)").path(percentEncoded: false)
        let node = try ConfigDocument.load(yamlFile: path).node
        #expect(complaint(node, try schema(), at: name) == nil)
    }

    static let mistakes = [
        ("training.learning_rte", "1", "training.learning_rte: unknown"),
        ("training.learning_rate", "high", "training.learning_rate: is no [\"number\", \"null\"]"),
        ("training.lr_scheduler_type", "cosin", "training.lr_scheduler_type: none of the words"),
        ("training.lr_scheduler_kwargs.num_cycle", "1", "training.lr_scheduler_kwargs.num_cycle: unknown"),
        ("peft.init_r", "1", "peft: fits 0 of \(methods.count)"), ("modl", "1", "modl: unknown"),
    ]

    @Test("finds what is wrong", arguments: mistakes)
    func wrong(key: String, value: String, expected: String) throws {
        let yaml = ConfigurationSchema.probe(method: "lora")
        let schema = try schema()
        #expect(complaint(try ConfigDocument.parse(yaml: yaml).node, schema, at: "") == nil)
        let node = try ConfigDocument.parse(yaml: yaml, overrides: ["\(key)=\(value)"]).node
        #expect(complaint(node, schema, at: "") == "." + expected)
    }

    /// The keys of a schema by their paths, those of a method behind its name.
    private func keys(_ schema: JSONNode, _ path: String, _ method: String?) throws -> [String: JSONNode] {
        var found: [String: JSONNode] = [:]
        for member in try schema.optional("properties")?.asObject() ?? [] {
            let own = path.isEmpty ? member.key : "\(path).\(member.key)"
            if let options = try member.value.optional("oneOf")?.asArray() {
                for option in options {
                    let name = try option.required("properties").required("method").string("const")
                    found.merge(try keys(option, own, name)) { first, _ in first }
                }
            } else if try member.value.optional("properties") != nil {
                found.merge(try keys(member.value, own, method)) { first, _ in first }
            } else if let module = try member.value.optional("additionalProperties") {
                found["\(method.map { $0 + " " } ?? "")\(own).MODULE"] = module
            } else {
                found["\(method.map { $0 + " " } ?? "")\(own)"] = member.value
            }
        }
        return found
    }

    @Test("has every key that the code reads, and no other, each with what the page says of it")
    func complete() throws {
        let found = try keys(try schema(), "", nil)
        var expected: Set<String> = []
        for method in methods.map({ $0.name }) {
            for key in try ConfigurationSchema.askedKeys(ConfigurationSchema.probe(method: method)) {
                expected.insert(key.path.hasPrefix("peft.") ? "\(method) \(key.path)" : key.path)
            }
        }
        for kind in LearningRateSchedule.Kind.allCases {
            let probe = ConfigurationSchema.probe(method: "full", training: ConfigurationSchema.probe(schedule: kind))
            for key in try ConfigurationSchema.askedKeys(probe) where !key.path.hasPrefix("peft.") {
                expected.insert(key.path)
            }
        }
        #expect(Set(found.keys).subtracting(expected).sorted() == [])
        #expect(expected.subtracting(found.keys).sorted() == [])
        let page = try documented()
        for (key, value) in found {
            let description = try value.string("description")
            #expect(!description.isEmpty, "\(key)")
            if key.contains("lr_scheduler_kwargs.") { continue }
            let shared = key.split(separator: " ").last.map(String.init) ?? key
            #expect((page[key] ?? page[shared]) == description, "\(key)")
        }
    }

    /// The meanings in the tables of docs/configuration.md without marks, by key, those of a method behind its name.
    private func documented() throws -> [String: String] {
        let file = repositoryRoot.appending(path: "docs/configuration.md")
        var rows: [String: String] = [:]
        var names: [String] = [""]
        for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
            if line.hasPrefix("## ") { names = [""] }
            if line.hasPrefix("With `method: ") {
                names = line.split(separator: "`").filter { $0.hasPrefix("method: ") }
                    .map { $0.dropFirst("method: ".count) + " " }
            }
            guard line.hasPrefix("| `") else { continue }
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            let meaning = cells[3].replacing("`", with: "").replacing(/\[([^\]]*)\]\([^)]*\)/) { $0.1 }
            for name in names { rows[name + cells[0].trimmingCharacters(in: ["`"])] = meaning }
        }
        return rows
    }

    @Test("docs/configuration.md has what stands in lr_scheduler_kwargs, by schedule")
    func schedules() throws {
        let file = repositoryRoot.appending(path: "docs/configuration.md")
        let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
        for kind in LearningRateSchedule.Kind.allCases {
            let row = try #require(lines.first { $0.hasPrefix("| \(kind.rawValue) | ") })
            let cell = row.split(separator: "|")[1]
            let probe = ConfigurationSchema.probe(method: "full", training: ConfigurationSchema.probe(schedule: kind))
            let asked = try ConfigurationSchema.askedKeys(probe)
                .filter { $0.section == "training.lr_scheduler_kwargs" }
            #expect(cell.matches(of: /`(\w+)/).count == asked.count, "\(kind)")
            for key in asked {
                // Numbers compare by value.
                let entry = cell.split(separator: "`").first { $0.prefix { $0 != ":" } == key.key }
                let value = entry?.split(separator: ": ").dropFirst().first.map(String.init)
                let isSame =
                    value == key.defaultText || value.flatMap(Double.init) == key.defaultText.flatMap(Double.init)
                #expect(entry != nil && (value == nil) == (key.defaultText == nil) && isSame, "\(kind): \(key.key)")
            }
        }
    }
}

@Suite("Keys of other tools") struct ForeignKeyTests {
    private func read(_ changes: [String]) -> (training: TrainingSettings?, warnings: [String], failure: String) {
        var warnings: [String] = []
        do {
            let yaml = ConfigurationSchema.probe(method: "lora")
            let configuration = try RunConfiguration(.parse(yaml: yaml, overrides: changes)) {
                warnings.append($0.description)
            }
            return (configuration.training, warnings, "")
        } catch { return (nil, warnings, "\(error)") }
    }

    @Test("are the fields of TrainingArguments and LoraConfig that are none here")
    func fields() throws {
        let file = try JSONNode.load(path: fixture("names/fields.json").path())
        let asked = try ConfigurationSchema.askedKeys(ConfigurationSchema.probe(method: "lora"))
        for (section, fields) in [("training", "TrainingArguments"), ("peft", "LoraConfig")] {
            var own = Set(asked.filter { $0.section == section }.map(\.key))
            own.formUnion(
                asked.compactMap {
                    let parts = $0.path.split(separator: ".").map(String.init)
                    return parts.count > 2 && parts[0] == section ? parts[1] : nil
                })
            own.insert("lr_scheduler_kwargs")
            for field in try file.array(fields).map({ try $0.asString() }) {
                let isForeign = ForeignKeys.all.contains { $0.section == section && $0.matches(field) }
                #expect(isForeign || own.contains(field), "\(section).\(field)")
            }
        }
    }

    @Test("are none that the code reads, stand once each, and other names are of keys that it reads")
    func disjoint() throws {
        var asked: Set<String> = []
        for method in methods.map({ $0.name }) {
            for key in try ConfigurationSchema.askedKeys(ConfigurationSchema.probe(method: method)) {
                asked.insert(key.path)
            }
        }
        for key in ForeignKeys.all {
            let taken = asked.filter { path in
                let parts = path.split(separator: ".").map(String.init)
                return key.section.isEmpty
                    ? key.matches(parts[0]) : parts[0] == key.section && parts.count > 1 && key.matches(parts[1])
            }
            #expect(taken.isEmpty, "\(key.path) is read: \(taken.sorted())")
            if case .same(let path) = key.meaning { #expect(asked.contains(path), "\(key.path): \(path)") }
        }
        let paths = ForeignKeys.all.map(\.path)
        #expect(Set(paths).count == paths.count)
    }

    @Test("are listed in docs/configuration.md with what is said of them")
    func documented() throws {
        let file = repositoryRoot.appending(path: "docs/configuration.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let part = try #require(text.components(separatedBy: "## Names of other tools").last)
        let rows = part.split(separator: "\n").filter { $0.hasPrefix("| ") && !$0.hasPrefix("| name") }.map(String.init)
        #expect(
            rows == ForeignKeys.all.filter { $0.section == "training" }.map(row)
                + ForeignKeys.all.filter { $0.section == "peft" }.map(row)
                + ForeignKeys.all.filter { $0.section.isEmpty }.map(row))
    }

    private func row(_ key: ForeignKey) -> String { "| \(key.key) | \(key.explanation) |" }

    @Test("with the same meaning are understood")
    func same() {
        let found = read([
            "training.activation_checkpointing=true", "training.micro_batch_size=3", "training.lr_scheduler=cosine",
            "num_epochs=2", "lora_r=4", "training.evaluation_strategy=no",
        ])
        #expect(found.failure.isEmpty && found.warnings.isEmpty)
        #expect(found.training?.isCheckpointing == true && found.training?.batchSize == 3)
        #expect(found.training?.schedule.kind == .cosine && found.training?.epochs == 2)
        #expect(found.training?.isEvaluating == false)
    }

    @Test("that change nothing are warned of, and values that ask for what is the case aren't")
    func nothing() {
        let found = read([
            "training.dataloader_num_workers=4", "training.ddp_timeout=5", "training.bf16=false",
            "training.report_to=none",
            "training.fp16=null", "training.save_strategy=epoch", "training.max_steps=-1", "training.push_to_hub=no",
        ])
        #expect(found.failure.isEmpty)
        #expect(
            found.warnings == [
                "--set training.dataloader_num_workers=4: warning: training.dataloader_num_workers: changes nothing: records "
                    + "are ready before the first step",
                "--set training.ddp_timeout=5: warning: training.ddp_timeout: changes nothing: mpirun starts several "
                    + "processes, which know each other from it",
            ])
    }

    static let mistakes = [
        (
            ["training.fp16=true"],
            "--set training.fp16=true: error: training.fp16: leave it out, or give training.bf16: computing is in floats of 32 bits otherwise; a base in 16 bits stays so in "
                + "memory, and model.load_in_4bit or load_in_8bit makes it smaller"
        ),
        (
            ["training.num_train_epochs=2", "training.num_epochs=3"],
            "--set training.num_epochs=3: error: training.num_epochs: is another name for training.num_train_epochs, which is given "
                + "too: leave one of them out"
        ),
        (
            ["training.num_epochs=none"],
            "--set training.num_epochs=none: error: training.num_train_epochs: expected a number, got 'none'"
        ),
        (
            ["peft.use_qalora=true"],
            "--set peft.use_qalora=true: error: peft.use_qalora: is a variant of LoRA that isn't computed here: leave it out, "
                + "or train in peft"
        ),
        (
            ["datasets=[x]"],
            "--set datasets=[x]: error: datasets: files with records are data.train, and templates over their fields "
                + "data.prompt and data.completion"
        ),
        (["training.xyz=1"], nil),
    ]

    @Test("are answered with what to do instead", arguments: mistakes)
    func answers(changes: [String], expected: String?) {
        let found = read(changes).failure
        if let expected { #expect(found == expected) } else { #expect(found.contains("unknown key")) }
    }
}

extension ForeignKey {
    /// What is said of it, as in the documentation.
    fileprivate var explanation: String {
        switch meaning {
        case .same(let path): "another name for `\(path)`"
        case .nothing(let reason): "changes nothing: \(reason)"
        case .answer(let text, let harmless):
            harmless.isEmpty ? text : "\(text) (accepted: \(harmless.joined(separator: ", ")))"
        }
    }
}
