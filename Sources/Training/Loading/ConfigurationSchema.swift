public import Configuration
import Diagnostics
public import JSONText
import Methods

/// What a run's configuration may hold, found by reading configurations that ask for everything, as a JSON schema for
/// editors (draft 2020-12).
public enum ConfigurationSchema {
    /// What a method's section must hold for every key of it to be asked for.
    private static let needed = [
        "lora": "init_lora_weights: loftq, target_modules: [x], rank_pattern: {MODULE: 1}, alpha_pattern: {MODULE: 1}",
        "loha": "rank_pattern: {MODULE: 1}, alpha_pattern: {MODULE: 1}",
        "lokr": "rank_pattern: {MODULE: 1}, alpha_pattern: {MODULE: 1}",
        "prompt_tuning": "num_virtual_tokens: 1", "prefix_tuning": "num_virtual_tokens: 1",
        "p_tuning": "num_virtual_tokens: 1", "p_tuning_v2": "num_virtual_tokens: 1",
    ]

    /// What a schedule must be given.
    private static let scheduled: [LearningRateSchedule.Kind: String] = [
        .cosineWithLeast: "min_lr: 0", .cosineWarmupWithLeast: "min_lr: 0", .warmupStableDecay: "num_decay_steps: 0",
    ]

    /// A configuration whose reading asks for every key of a method.
    public static func probe(method: String, training: String = "") -> String {
        """
        model: {path: x}
        data: {train: x.txt, validation: x.txt}
        peft: {method: \(method), \(needed[method] ?? "")}
        training: {output_dir: x, \(training)}

        """
    }

    /// The settings in `training` whose reading asks for every key of a schedule.
    public static func probe(schedule kind: LearningRateSchedule.Kind) -> String {
        "lr_scheduler_type: \(kind.rawValue), lr_scheduler_kwargs: {\(scheduled[kind] ?? "")}"
    }

    /// The keys that the reading of a configuration asks for.
    public static func askedKeys(_ yaml: String) throws -> [ConfigDocument.AskedKey] {
        let document = try ConfigDocument.parse(yaml: yaml)
        _ = try RunConfiguration(document, warn: { _ in })
        return document.askedKeys
    }

    /// The schema.
    public static func json() throws -> JSONValue {
        var common = SchemaSection()
        var ofMethods: [(method: String, section: SchemaSection)] = []
        for method in methods.map({ $0.name }) {
            var own = SchemaSection()
            for key in try askedKeys(probe(method: method)) {
                let path = key.path.split(separator: ".").map(String.init)
                if path.first == "peft" {
                    own.add(key, at: path.dropFirst(), description: KeyDescriptions.text(of: key.path, method: method))
                } else {
                    common.add(key, at: path[...], description: KeyDescriptions.text(of: key.path, method: nil))
                }
            }
            own.properties["method"]?.value = .object([
                .init("const", .string(method)),
                .init("description", .string(KeyDescriptions.text(of: "peft.method", method: nil))),
            ])
            ofMethods.append((method, own))
        }
        for kind in LearningRateSchedule.Kind.allCases {
            let yaml = probe(method: "full", training: probe(schedule: kind))
            for key in try askedKeys(yaml) where key.section == "training.lr_scheduler_kwargs" {
                let path = key.path.split(separator: ".").map(String.init)
                common.add(
                    key, at: path[...], description: KeyDescriptions.text(of: key.path, method: nil),
                    isRequired: false)
            }
        }
        var members: [JSONValue.Member] = [
            .init("$schema", "https://json-schema.org/draft/2020-12/schema"),
            .init("title", "A run of peft train"),
        ]
        common.properties["peft"] = .init(
            value: .object([.init("oneOf", .array(ofMethods.map { $0.section.json }))]), isRequired: true)
        common.order.append("peft")
        if case .object(let own) = common.json { members += own }
        return .object(members)
    }
}

/// An object of the schema as it is put together.
private struct SchemaSection {
    struct Property {
        var value: JSONValue
        var isRequired: Bool
        var section: SchemaBox?

        init(value: JSONValue, isRequired: Bool, section: SchemaBox? = nil) {
            (self.value, self.isRequired, self.section) = (value, isRequired, section)
        }
    }

    final class SchemaBox {
        var section = SchemaSection()
    }

    var properties: [String: Property] = [:]
    var order: [String] = []
    /// What any other key holds.
    var others: JSONValue?

    mutating func add(
        _ key: ConfigDocument.AskedKey, at path: ArraySlice<String>, description: String, isRequired: Bool? = nil
    ) {
        guard let name = path.first else { return }
        if path.count > 1 {
            let box = properties[name]?.section ?? SchemaBox()
            if properties[name]?.section == nil {
                if properties[name] == nil { order.append(name) }
                properties[name] = Property(value: nil, isRequired: false, section: box)
            }
            box.section.add(key, at: path.dropFirst(), description: description, isRequired: isRequired)
            return
        }
        let value = Self.value(key, description)
        if name == "MODULE" {
            others = value
            return
        }
        if let known = properties[name] {
            // Of two defaults none is told.
            if known.value != value { properties[name]?.value = Self.withoutDefault(value) }
            return
        }
        order.append(name)
        properties[name] = Property(value: value, isRequired: isRequired ?? key.isRequired)
    }

    var json: JSONValue {
        let required = order.filter { name in
            guard let property = properties[name] else { return false }
            return property.isRequired || property.section?.section.hasRequired == true
        }
        var members: [JSONValue.Member] = [.init("type", "object")]
        if !order.isEmpty {
            members.append(
                .init(
                    "properties",
                    .object(
                        order.compactMap { name in
                            properties[name].map { .init(name, $0.section?.section.json ?? $0.value) }
                        })))
        }
        if !required.isEmpty { members.append(.init("required", .array(required.map(JSONValue.string)))) }
        members.append(.init("additionalProperties", others ?? false))
        return .object(members)
    }

    private var hasRequired: Bool { properties.values.contains { $0.isRequired } }

    private static func withoutDefault(_ value: JSONValue) -> JSONValue {
        guard case .object(let members) = value else { return value }
        return .object(members.filter { $0.key != "default" })
    }

    private static func value(_ key: ConfigDocument.AskedKey, _ description: String) -> JSONValue {
        var members = type(key)
        members.append(.init("description", .string(description)))
        if let text = key.defaultText, let value = defaultValue(text) { members.append(.init("default", value)) }
        return .object(members)
    }

    /// A path, or one with a weight, or a list of such.
    private static var weightedPaths: [JSONValue.Member] {
        let weighted: JSONValue = [
            "type": "object", "properties": ["path": ["type": scalar], "weight": ["type": "number"]],
            "required": ["path"], "additionalProperties": false,
        ]
        let one: JSONValue = ["type": scalar]
        let item: JSONValue = ["anyOf": .array([one, weighted])]
        return [.init("anyOf", .array([one, weighted, ["type": "array", "items": item], ["type": "null"]]))]
    }

    private static let scalar: JSONValue = ["string", "number", "boolean"]

    private static func type(_ key: ConfigDocument.AskedKey) -> [JSONValue.Member] {
        func orNull(_ name: String) -> JSONValue { key.isRequired ? .string(name) : [.string(name), "null"] }
        func listOrOne(_ element: JSONValue, _ more: [JSONValue]) -> [JSONValue.Member] {
            let item: JSONValue = ["type": element]
            let list: JSONValue = ["type": "array", "items": item]
            return [.init("anyOf", .array([item, list] + more + [["type": "null"]]))]
        }
        switch key.type {
        case "integer, or auto":
            return [.init("anyOf", .array([["type": "integer"], ["const": "auto"], ["type": "null"]]))]
        case "list of strings, or of path and weight": return weightedPaths
        case "integer": return [.init("type", orNull("integer"))]
        case "number": return [.init("type", orNull("number"))]
        case "true or false": return [.init("type", orNull("boolean"))]
        case "string":
            return [.init("type", key.isRequired ? scalar : ["string", "number", "boolean", "null"])]
        case "list of integers":
            // Rows of one table, or of several by their names.
            return listOrOne("integer", key.key == "trainable_token_indices" ? [["type": "object"]] : [])
        case "list of strings", "anything": return listOrOne(scalar, [])
        default: break
        }
        let words = key.type.dropFirst("one of ".count).split(separator: ", ").map(String.init)
        var options = words.map(JSONValue.string)
        if words.contains("true") { options.append(true) }
        if words.contains("false") || words.contains("no") { options.append(false) }
        return [.init("enum", .array(options + (key.isRequired ? [] : [nil])))]
    }

    private static func defaultValue(_ text: String) -> JSONValue? {
        guard case .mapping(let entries)? = try? ConfigDocument.parse(yaml: "value: \(text)").node.content,
            let node = entries.first?.value
        else { return nil }
        func json(_ value: ConfigValue) -> JSONValue {
            switch value {
            case .null: nil
            case .boolean(let value): .boolean(value)
            case .integer(let value): .integer(value)
            case .number(let value): .number(value)
            case .string(let value): .string(value)
            case .list(let values): .array(values.map(json))
            case .mapping(let entries): .object(entries.map { .init($0.key, json($0.value)) })
            }
        }
        return json(ConfigValue(node))
    }
}
