import Diagnostics
import JSONText

/// What the files beside a vocabulary say: tokenizer_config.json, special_tokens_map.json and added_tokens.json.
///
/// They are applied as transformers does it: where tokenizer_config.json lists the added tokens itself
/// (`added_tokens_decoder`) it alone counts, otherwise the special tokens of special_tokens_map.json go before. What isn't
/// in the vocabulary gets the next id.
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

    /// How many tokens T5's tokenizer adds for what is left out of a text.
    var sentinelCount: Int {
        get throws {
            guard let node = try configuration?.optional("extra_ids") else { return 100 }
            let count = try node.asInteger()
            guard (0...10000).contains(count) else { throw node.problem("expected 0 to 10000, got \(count)") }
            return count
        }
    }

    /// Where a token is asked for in front of every text.
    var beginningOfText: JSONNode? {
        get throws {
            guard let node = try configuration?.optional("add_bos_token"), try node.asBoolean() else { return nil }
            return node
        }
    }

    /// Whether tokenizer_config.json lists the added tokens, so that the older files beside it don't count.
    private var listsTokens: Bool { configuration?.member("added_tokens_decoder") != nil }

    /// What the files say about the special token `name`, which may be null.
    private func specialToken(_ name: String) -> JSONNode? {
        let sources = listsTokens ? [configuration] : [map, configuration]
        return sources.lazy.compactMap { $0?.member(name) }.first
    }

    func names(_ role: String) -> Bool { specialToken(role) != nil }

    /// A special token is its content or an object that holds it.
    private static func content(_ node: JSONNode) throws -> String {
        if case .object = node.content { return try node.string("content") }
        return try node.asString()
    }

    /// The tokens that end a text may be several.
    private static func each(_ node: JSONNode) -> [JSONNode] {
        if case .array(let nodes) = node.content { return nodes }
        return node.isNull ? [] : [node]
    }

    /// Tokens with a role, in the order in which transformers adds them: the common ones, then those that a file names
    /// itself, as `image_token`.
    private func roles() throws -> [JSONNode] {
        var nodes = Self.tokenNames.flatMap { name in
            guard let node = specialToken(name) else { return [JSONNode]() }
            return name == "eos_token" ? Self.each(node) : [node]
        }
        for source in listsTokens ? [configuration] : [configuration, map] {
            for member in try source?.asObject() ?? [] where !Self.tokenNames.contains(member.key) {
                guard member.key.hasSuffix("_token") else { continue }
                switch member.value.content {
                case .string, .object: nodes.append(member.value)
                default: continue
                }
            }
        }
        for source in listsTokens ? [configuration] : [configuration, map] {
            guard let extra = source?.member("extra_special_tokens"), case .object(let members) = extra.content else {
                continue
            }
            nodes += members.map(\.value)
        }
        return nodes.filter { !$0.isNull }
    }

    /// Further special tokens: `extra_special_tokens`, once called `additional_special_tokens`. Those of
    /// special_tokens_map.json under the old name count where tokenizer_config.json has none.
    private func extras() throws -> (configured: [JSONNode], mapped: [JSONNode]) {
        func list(_ source: JSONNode?, _ key: String) throws -> [JSONNode]? {
            guard let node = source?.member(key), !node.isNull else { return nil }
            if key == "extra_special_tokens", case .object = node.content { return [] }
            return try node.asArray()
        }
        let extra = try list(configuration, "extra_special_tokens")
        let configured = extra?.isEmpty == false ? extra : try list(configuration, "additional_special_tokens") ?? extra
        if listsTokens { return (configured ?? [], []) }
        let named = try list(map, "extra_special_tokens") ?? []
        let old = configured == nil && named.isEmpty ? try list(map, "additional_special_tokens") ?? [] : []
        return (configured ?? [], named + old)
    }

    /// Adds the tokens that the files name to those that the vocabulary's file holds.
    func apply(to content: inout SubwordTokenizer.Content) throws {
        if let addsPrefixSpace = try addsPrefixSpace { content.addsPrefixSpace = addsPrefixSpace }
        content.splitsSpecialTokens = try configuration?.optionalBoolean("split_special_tokens") ?? false
        let listed = try (configuration?.optionalObject("added_tokens_decoder") ?? []).map { member in
            (id: try Self.id(member), node: member.value)
        }
        for (id, node) in listed.sorted(by: { $0.id < $1.id }) {
            try content.add(AddedToken(node, id: id), at: node, changesKnown: true)
        }
        let (roles, extras) = (try roles(), try extras())
        if !listsTokens { try applyAdditions(to: &content, special: roles + extras.configured) }
        for node in roles { content.addNamed(try AddedToken(naming: node, isSpecial: true), isRole: true) }
        for node in extras.configured + extras.mapped {
            content.addNamed(try AddedToken(naming: node, isSpecial: nil), isRole: false)
        }
        // The roles that GPT-2's tokenizer has where no file names them.
        if try isGPT2, content.vocabulary.id(of: Self.endOfText) != nil { content.addSpecial(Self.endOfText) }
        try applyEndOfText(to: &content)
        try applyBeginningAndEnd(to: &content)
    }

    /// `add_bos_token` and `add_eos_token` count instead of a template where one of them is there, as in transformers; a
    /// file of the model's own that knows its tokens counts for the other.
    private func applyBeginningAndEnd(to content: inout SubwordTokenizer.Content) throws {
        guard let configuration,
            ["add_bos_token", "add_eos_token"].contains(where: { configuration.member($0) != nil })
        else { return }
        let knowsTokens = content.defaultBeginning != nil || content.defaultEnd != nil
        func ids(_ key: String, _ token: String, _ own: Int32?, _ present: [Int32]) throws -> [Int32] {
            let isAdded = try configuration.optionalBoolean(key)
            if isAdded == nil, knowsTokens { return present }
            if isAdded != true { return [] }
            guard let node = specialToken(token).flatMap({ Self.each($0).first }) else { return own.map { [$0] } ?? [] }
            let text = try Self.content(node)
            let added = content.addedTokens.first { sameBytes($0.content, text) }
            return (added?.id ?? content.vocabulary.id(of: text)).map { [$0] } ?? []
        }
        content.prefixIDs = try ids("add_bos_token", "bos_token", content.defaultBeginning, content.prefixIDs)
        content.suffixIDs = try ids("add_eos_token", "eos_token", content.defaultEnd, content.suffixIDs)
    }

    private var isGPT2: Bool {
        get throws {
            guard let name = try tokenizerClass?.asString() else { return true }
            return name == "GPT2Tokenizer" || name == "GPT2TokenizerFast"
        }
    }

    /// The tokens of added_tokens.json, of which those that other files name as special are.
    private func applyAdditions(to content: inout SubwordTokenizer.Content, special: [JSONNode]) throws {
        let special = try special.map(Self.content)
        let tokens = try (additions?.asObject() ?? []).map { member in
            (content: member.key, id: try member.value.asInteger(), node: member.value)
        }
        for (text, id, node) in tokens.sorted(by: { $0.id < $1.id }) {
            guard id >= 0, id < MergeTable.idLimit else { throw node.problem("the id \(id) is out of range") }
            var token = AddedToken(content: text, id: Int32(truncatingIfNeeded: id))
            token.isSpecial = special.contains { sameBytes($0, text) }
            token.isNormalized = !token.isSpecial
            try content.add(token, at: node)
        }
    }

    private func applyEndOfText(to content: inout SubwordTokenizer.Content) throws {
        if let node = specialToken("eos_token") ?? map?.member("eos_token") {
            content.endOfTexts = try Self.each(node).map(Self.content)
        } else if content.addedTokens.contains(where: { sameBytes($0.content, Self.endOfText) }) {
            content.endOfTexts = [Self.endOfText]
        }
    }

    private static func id(_ member: JSONMember) throws -> Int {
        guard let id = Int(member.key) else {
            throw member.value.problem("expected a token's id as the key, got \(quoted(member.key))")
        }
        return id
    }
}
