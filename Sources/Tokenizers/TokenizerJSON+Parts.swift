import Diagnostics
import JSONText

/// What surrounds the model: each part becomes a rule of ours, or is a problem that names it.
extension TokenizerJSON {
    mutating func readNormalizer(_ node: JSONNode) throws {
        if node.isNull { return }
        let type = try node.string("type")
        switch type {
        case "Sequence": for step in try node.array("normalizers") { try readNormalizer(step) }
        case "NFC": words.pipeline.normalizers.append(.composition)
        case "NFD": words.pipeline.normalizers.append(.decomposition)
        case "Lowercase": words.pipeline.normalizers.append(.lowercase)
        case "Strip":
            words.pipeline.normalizers.append(
                .strip(left: try node.boolean("strip_left"), right: try node.boolean("strip_right")))
        case "Prepend": words.pipeline.normalizers.append(.prepend(Array(try node.string("prepend").utf8)))
        case "Replace":
            guard let separator = try separator(node, "normalizer") else { return }
            words.pipeline.normalizers.append(.replace(separator, with: Array(try node.string("content").utf8)))
        default: unsupported("normalizer", node, "the normalizer \(quoted(type)) isn't supported")
        }
    }

    mutating func readPreTokenizer(_ node: JSONNode) throws {
        if node.isNull { return }
        let type = try node.string("type")
        if type == "Sequence" {
            for step in try node.array("pretokenizers") { try readPreTokenizer(step) }
            return
        }
        if words.isByteLevel {
            unsupported(
                "pre_tokenizer", node, "the pre-tokenizer \(quoted(type)) isn't supported behind ByteLevel")
            return
        }
        switch type {
        case "ByteLevel":
            words.isByteLevel = true
            words.addsPrefixSpace = try node.optionalBoolean("add_prefix_space") ?? true
            words.splitsWords = try node.optionalBoolean("use_regex") ?? true
        case "Split":
            guard let separator = try separator(node, "pre_tokenizer") else { return }
            let name = try node.required("behavior")
            guard let behavior = SplitRule.Behavior(rawValue: try name.asString()) else {
                unsupported("pre_tokenizer", name, "the behavior \(quoted(try name.asString())) isn't supported")
                return
            }
            var rule = SplitRule(separator: separator, behavior: behavior)
            rule.isInverted = try node.optionalBoolean("invert") ?? false
            // Nothing lies between GPT-2's words.
            if case .words = separator, behavior == .removed, rule.isInverted {
                rule = SplitRule(separator: separator, behavior: .isolated)
            }
            words.pipeline.steps.append(.split(rule))
        case "Digits":
            let isEach = try node.optionalBoolean("individual_digits") ?? false
            // The library has digits of a later Unicode version here than in its expressions.
            let digits = CodePointSet.numbers.union(CodePointSet(0x11DE0...0x11DE9, 0x16FF4...0x16FF6))
            words.pipeline.steps.append(
                .split(
                    SplitRule(
                        separator: .characters(CodePointTable(digits)), behavior: isEach ? .isolated : .contiguous)))
        case "WhitespaceSplit":
            words.pipeline.steps.append(
                .split(SplitRule(separator: .characters(CodePointTable(.spaces)), behavior: .removed)))
        case "Metaspace":
            guard let (replacement, prefix) = try metaspace(node, "pre_tokenizer") else { return }
            words.pipeline.steps.append(
                .metaspace(
                    replacement: replacement, prefix, splits: try node.optionalBoolean("split") ?? true))
        default:
            unsupported("pre_tokenizer", node, "the pre-tokenizer \(quoted(type)) isn't supported")
        }
    }

    /// Replacement and prefix of a Metaspace, which older files say by `add_prefix_space`.
    private mutating func metaspace(
        _ node: JSONNode, _ key: String
    ) throws -> (replacement: [UInt8], TextPipeline.Prefix)? {
        let replacement = try node.string("replacement")
        if replacement.unicodeScalars.count != 1 {
            throw try node.required("replacement").problem("expected one character, got \(quoted(replacement))")
        }
        var prefix = TextPipeline.Prefix.always
        if let scheme = try node.optional("prepend_scheme") {
            guard let known = TextPipeline.Prefix(rawValue: try scheme.asString()) else {
                unsupported(key, scheme, "the prepend_scheme \(quoted(try scheme.asString())) isn't supported")
                return nil
            }
            prefix = known
        } else if try node.optionalBoolean("add_prefix_space") == false {
            prefix = .never
        }
        return (Array(replacement.utf8), prefix)
    }

    /// What the `pattern` of a part finds; nil where that isn't supported.
    private mutating func separator(_ node: JSONNode, _ key: String) throws -> SplitRule.Separator? {
        let pattern = try node.required("pattern")
        if let text = try pattern.optionalString("String") {
            if text.isEmpty {
                unsupported(key, pattern, "an empty pattern isn't supported")
                return nil
            }
            return .text(Array(text.utf8))
        }
        let source = try pattern.required("Regex")
        let text = try source.asString()
        if sameBytes(text, WordSplitter.pattern) { return .words }
        do {
            return .expression(try SplitExpression(text))
        } catch {
            unsupported(key, source, "the regular expression \(source.summary) can't be used: \(error.message)")
            return nil
        }
    }

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
