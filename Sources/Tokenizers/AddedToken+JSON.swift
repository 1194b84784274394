import Diagnostics
import JSONText

extension AddedToken {
    /// Reads an entry of tokenizer.json's `added_tokens` or of `added_tokens_decoder`.
    init(_ node: JSONNode, id: Int) throws {
        guard id >= 0, id < MergeTable.idLimit else {
            throw node.problem("the id \(id) is out of range: ids go from 0 to \(MergeTable.idLimit - 1)")
        }
        self.init(content: try node.string("content"), id: Int32(truncatingIfNeeded: id))
        isSpecial = try node.optionalBoolean("special") ?? false
        stripsLeft = try node.optionalBoolean("lstrip") ?? false
        stripsRight = try node.optionalBoolean("rstrip") ?? false
        isSingleWord = try node.optionalBoolean("single_word") ?? false
        isNormalized = try node.optionalBoolean("normalized") ?? !isSpecial
    }

    /// Reads a special token as files name it, by its content alone or with its properties; the id is none yet.
    ///
    /// - Parameter isSpecial: Whatever the properties say; nil takes `special` of a serialized token, and true otherwise.
    init(naming node: JSONNode, isSpecial: Bool?) throws {
        guard case .object = node.content else {
            self.init(content: try node.asString(), id: -1)
            self.isSpecial = true
            return
        }
        try self.init(node, id: 0)
        id = -1
        let isSerialized = node.member("__type") != nil
        self.isSpecial = try isSpecial ?? (isSerialized ? node.optionalBoolean("special") ?? false : true)
        isNormalized = try node.optionalBoolean("normalized") ?? !self.isSpecial
    }
}

extension SubwordTokenizer.Content {
    /// The id that the library gives to an added token: its own in the vocabulary, or the next one behind it.
    func idForAddedToken(_ content: String) -> Int32 {
        if let id = vocabulary.id(of: content) { return id }
        let next = Int32(truncatingIfNeeded: vocabulary.count)
        guard let last = addedTokens.map(\.id).max(), last >= next else { return next }
        return last + 1
    }

    private func index(of content: String) -> Int? {
        addedTokens.firstIndex { sameBytes($0.content, content) }
    }

    /// Adds a token that a file gives an id; one without content, or with the content of another, is never found.
    ///
    /// - Parameter changesKnown: Whether the properties count where the content is known already.
    mutating func add(_ token: AddedToken, at node: JSONNode, changesKnown: Bool = false) throws {
        if token.content.isEmpty { return }
        if let index = index(of: token.content) {
            if changesKnown {
                let id = addedTokens[index].id
                addedTokens[index] = token
                addedTokens[index].id = id
            }
            return
        }
        let expected = idForAddedToken(token.content)
        if expected != token.id {
            throw node.problem(
                "the added token \(quoted(token.content)) has the id \(token.id), where it must be \(expected): "
                    + "added tokens keep the vocabulary's id or follow it without a gap")
        }
        addedTokens.append(token)
    }

    /// Adds a token that a file names without an id, where there is none of that content yet.
    ///
    /// - Parameter isRole: Whether it plays a role, such as the end of text, which makes a known token special.
    mutating func addNamed(_ token: AddedToken, isRole: Bool) {
        if token.content.isEmpty { return }
        if let index = index(of: token.content) {
            if isRole { addedTokens[index].isSpecial = true }
            return
        }
        var token = token
        token.id = idForAddedToken(token.content)
        addedTokens.append(token)
    }

    /// Makes `content` a special token.
    mutating func addSpecial(_ content: String) {
        if content.isEmpty { return }
        if let index = index(of: content) {
            addedTokens[index].isSpecial = true
            return
        }
        var token = AddedToken(content: content, id: idForAddedToken(content))
        token.isSpecial = true
        addedTokens.append(token)
    }
}
