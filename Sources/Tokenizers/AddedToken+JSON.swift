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
}

extension ByteLevelBPE.Content {
    /// The id that the library gives to an added token: its own in the vocabulary, or the next one behind it.
    func idForAddedToken(_ content: String) -> Int32 {
        if let id = vocabulary.id(of: content) { return id }
        let next = Int32(truncatingIfNeeded: vocabulary.count)
        guard let last = addedTokens.map(\.id).max(), last >= next else { return next }
        return last + 1
    }

    /// Adds a token that a file gives an id; one without content, or with the content of another, is never found.
    mutating func add(_ token: AddedToken, at node: JSONNode) throws {
        if token.content.isEmpty || addedTokens.contains(where: { sameBytes($0.content, token.content) }) { return }
        let expected = idForAddedToken(token.content)
        if expected != token.id {
            throw node.problem(
                "the added token \(quoted(token.content)) has the id \(token.id), where it must be \(expected): "
                    + "added tokens keep the vocabulary's id or follow it without a gap")
        }
        addedTokens.append(token)
    }

    /// Makes `content` a special token, as transformers does with those that tokenizer_config.json names.
    mutating func addSpecial(_ content: String) {
        if content.isEmpty { return }
        if let index = addedTokens.firstIndex(where: { sameBytes($0.content, content) }) {
            addedTokens[index].isSpecial = true
            return
        }
        var token = AddedToken(content: content, id: idForAddedToken(content))
        token.isSpecial = true
        addedTokens.append(token)
    }
}
