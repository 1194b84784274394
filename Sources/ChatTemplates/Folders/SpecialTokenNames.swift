import Diagnostics
import JSONText

/// The special tokens that have names, as transformers gives them to chat templates.
enum SpecialTokenNames {
    private static let standard = [
        "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
    ]

    /// The names and texts in tokenizer_config.json and, where that doesn't list the added tokens itself, before them those
    /// in special_tokens_map.json. Lists of additional tokens have no names.
    static func read(_ config: JSONNode?, map: JSONNode?) throws -> [JSONValue.Member] {
        var tokens: [(name: String, text: String)] = []
        func set(_ name: String, _ node: JSONNode) throws {
            guard let text = try text(node) else { return }
            tokens.removeAll { sameBytes($0.name, name) }
            tokens.append((name, text))
        }
        for source in [config, config?.member("added_tokens_decoder") == nil ? map : nil] {
            guard let source else { continue }
            for member in try source.asObject() where member.key.hasSuffix("_token") && isToken(member.value) {
                try set(member.key, member.value)
            }
            guard let extra = source.member("extra_special_tokens"), case .object = extra.content else { continue }
            for member in try extra.asObject() { try set(member.key, member.value) }
        }
        let order = standard.filter { name in tokens.contains { $0.name == name } }
        let others = tokens.map(\.name).filter { !standard.contains($0) }
        return (order + others).compactMap { name in
            tokens.first { sameBytes($0.name, name) }.map { JSONValue.Member($0.name, .string($0.text)) }
        }
    }

    /// Whether a member whose name ends as a token's does is one: `add_bos_token` is a switch.
    private static func isToken(_ node: JSONNode) -> Bool {
        switch node.content {
        case .string: true
        case .object: node.member("content") != nil
        default: false
        }
    }

    private static func text(_ node: JSONNode) throws -> String? {
        if node.isNull { return nil }
        if case .object = node.content { return try node.string("content") }
        return try node.asString()
    }
}
