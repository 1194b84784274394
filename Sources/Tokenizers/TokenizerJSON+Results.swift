import Diagnostics
import JSONText

/// What is done behind the model, in both directions.
extension TokenizerJSON {
    mutating func readPostProcessor(_ node: JSONNode) throws {
        if node.isNull { return }
        let type = try node.string("type")
        switch type {
        case "ByteLevel": return
        case "Sequence": for step in try node.array("processors") { try readPostProcessor(step) }
        case "TemplateProcessing": try readTemplate(node)
        default: unsupported("post_processor", node, "the post-processor \(quoted(type)) isn't supported")
        }
    }

    /// Pairs of texts are never encoded, so that only the template of one counts.
    private mutating func readTemplate(_ node: JSONNode) throws {
        var ids: (front: [Int32], behind: [Int32]) = ([], [])
        var texts = 0
        for part in try node.array("single") {
            guard let special = try part.optional("SpecialToken") else {
                _ = try part.required("Sequence")
                texts += 1
                continue
            }
            let name = try special.string("id")
            let tokens = try node.required("special_tokens")
            guard let token = tokens.member(name) else {
                throw special.problem("the template's token \(quoted(name)) isn't among its special_tokens")
            }
            for id in try token.array("ids") {
                let value = try id.asInteger()
                guard value >= 0, value < MergeTable.idLimit else {
                    throw id.problem("the id \(value) is out of range")
                }
                if texts == 0 {
                    ids.front.append(Int32(truncatingIfNeeded: value))
                } else {
                    ids.behind.append(Int32(truncatingIfNeeded: value))
                }
            }
        }
        if texts != 1 {
            unsupported("post_processor", node, "a template that holds the text \(texts) times isn't supported")
        }
        words.prefixIDs = ids.front + words.prefixIDs
        words.suffixIDs += ids.behind
    }

    mutating func readDecoder(_ node: JSONNode) throws {
        let type = node.isNull ? "null" : try node.string("type")
        if type == "Sequence" {
            for step in try node.array("decoders") { try readDecoder(step) }
            return
        }
        if words.isFused, type != "Fuse", type != "Strip" {
            unsupported("decoder", node, "the decoder \(quoted(type)) isn't supported behind Fuse")
            return
        }
        switch type {
        case "ByteLevel": words.decoding.steps.append(.byteLevel)
        case "ByteFallback": words.decoding.steps.append(.byteFallback)
        case "Fuse": words.isFused = true
        case "Metaspace":
            guard let (replacement, prefix) = try metaspace(node, "decoder") else { return }
            words.decoding.steps.append(.metaspace(replacement: replacement, dropsFirst: prefix != .never))
        case "Replace":
            guard let text = try node.required("pattern").optionalString("String"), !text.isEmpty else {
                unsupported("decoder", node, "Replace by another pattern than a string isn't supported")
                return
            }
            words.decoding.steps.append(.replace(Array(text.utf8), with: Array(try node.string("content").utf8)))
        case "Strip": try readStrip(node)
        case "null": unsupported("decoder", node, "no decoder, which joins tokens by spaces, isn't supported")
        default: unsupported("decoder", node, "the decoder \(quoted(type)) isn't supported")
        }
    }

    private mutating func readStrip(_ node: JSONNode) throws {
        let content = Array(try node.string("content").utf8)
        let (start, stop) = (try node.integer("start"), try node.integer("stop"))
        guard content.count == 1, content[0] < 0x80, start >= 0, stop >= 0, !words.isFused || stop == 0,
            words.decoding.leading == nil
        else {
            unsupported("decoder", node, "this Strip isn't supported: only one of an ASCII character, in front, is")
            return
        }
        if words.isFused {
            words.decoding.leading = (content[0], start)
        } else {
            words.decoding.steps.append(.strip(content[0], start: start, stop: stop))
        }
    }
}
