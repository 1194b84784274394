import Diagnostics
import JSONText

/// What the files beside a vocabulary say: tokenizer_config.json, special_tokens_map.json and added_tokens.json.
///
/// They are applied as transformers does it: where tokenizer_config.json lists the added tokens itself
/// (`added_tokens_decoder`) its special tokens count, otherwise those of special_tokens_map.json go before.
struct TokenizerSettings {
    static let endOfText = "<|endoftext|>"
    private static let tokenNames = [
        "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
    ]
    /// The classes that take `add_prefix_space` from tokenizer.json alone.
    private static let plainClasses: Set<String> = ["PreTrainedTokenizerFast", "TokenizersBackend"]

    private let configuration: JSONNode?
    private let map: JSONNode?
    private let additions: JSONNode?

    init(folder: String) throws {
        func load(_ name: String) throws -> JSONNode? {
            let path = pathOfFile(name, in: folder)
            guard fileExists(path) else { return nil }
            let node = try JSONNode.load(path: path)
            _ = try node.asObject()
            return node
        }
        configuration = try load("tokenizer_config.json")
        map = try load("special_tokens_map.json")
        additions = try load("added_tokens.json")
    }

    var tokenizerClass: JSONNode? { get throws { try configuration?.optional("tokenizer_class") } }

    var addsPrefixSpace: Bool? {
        get throws {
            if let name = try tokenizerClass?.asString(), Self.plainClasses.contains(name) { return nil }
            return try configuration?.optionalBoolean("add_prefix_space")
        }
    }

    /// Where a token is asked for in front of every text.
    var beginningOfText: JSONNode? {
        get throws {
            guard let node = try configuration?.optional("add_bos_token"), try node.asBoolean() else { return nil }
            return node
        }
    }

    /// What the files say about the special token `name`, which may be null.
    private func specialToken(_ name: String) throws -> JSONNode? {
        let listsTokens = configuration?.member("added_tokens_decoder") != nil
        let sources = listsTokens ? [configuration, map] : [map, configuration]
        return sources.lazy.compactMap { $0?.member(name) }.first
    }

    /// A special token is its content or an object that holds it.
    private static func content(_ node: JSONNode) throws -> String {
        if case .object = node.content { return try node.string("content") }
        return try node.asString()
    }

    /// Adds the tokens that the files name to those that the vocabulary's file holds.
    func apply(to content: inout ByteLevelBPE.Content) throws {
        if let addsPrefixSpace = try addsPrefixSpace { content.addsPrefixSpace = addsPrefixSpace }
        let listed = try (configuration?.optionalObject("added_tokens_decoder") ?? []).map { member in
            (id: try Self.id(member), node: member.value)
        }
        for (id, node) in listed.sorted(by: { $0.id < $1.id }) { try content.add(AddedToken(node, id: id), at: node) }
        let others = try (additions?.asObject() ?? []).map { member in
            (content: member.key, id: try member.value.asInteger(), node: member.value)
        }
        for (text, id, node) in others.sorted(by: { $0.id < $1.id }) {
            guard id >= 0, id < MergeTable.idLimit else { throw node.problem("the id \(id) is out of range") }
            var token = AddedToken(content: text, id: Int32(truncatingIfNeeded: id))
            token.isNormalized = true
            try content.add(token, at: node)
        }
        for name in Self.tokenNames {
            guard let node = try specialToken(name), !node.isNull else { continue }
            let text = try Self.content(node)
            let isKnown = content.addedTokens.contains { sameBytes($0.content, text) }
            // The others end up outside the model's embedding, and no text is expected to hold them.
            if isKnown || content.vocabulary.id(of: text) != nil {
                content.addSpecial(text)
            } else if name == "eos_token", !text.isEmpty {
                throw node.problem("the token \(quoted(text)) is neither in the vocabulary nor an added token")
            }
        }
        try applyEndOfText(to: &content)
    }

    private func applyEndOfText(to content: inout ByteLevelBPE.Content) throws {
        if let node = try specialToken("eos_token") {
            content.endOfText = node.isNull ? nil : try Self.content(node)
        } else if content.addedTokens.contains(where: { sameBytes($0.content, Self.endOfText) }) {
            content.endOfText = Self.endOfText
        }
    }

    private static func id(_ member: JSONMember) throws -> Int {
        guard let id = Int(member.key) else {
            throw member.value.problem("expected a token's id as the key, got \(quoted(member.key))")
        }
        return id
    }
}
