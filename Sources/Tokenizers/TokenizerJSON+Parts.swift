import Diagnostics
import JSONText

/// What is done in front of the model: each part becomes a rule of ours, or is a problem that names it.
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
        case "Precompiled": try readCharacterMap(node)
        case "Prepend": words.pipeline.normalizers.append(.prepend(Array(try node.string("prepend").utf8)))
        case "Replace":
            guard let separator = try separator(node, "normalizer") else { return }
            words.pipeline.normalizers.append(.replace(separator, with: Array(try node.string("content").utf8)))
        default: unsupported("normalizer", node, "the normalizer \(quoted(type)) isn't supported")
        }
    }

    private mutating func readCharacterMap(_ node: JSONNode) throws {
        guard let map = try node.optional("precompiled_charsmap") else { return }
        guard let bytes = Base64.bytes(try map.asString()) else { throw map.problem("it isn't base64") }
        if bytes.isEmpty { return }
        do {
            words.pipeline.normalizers.append(.characterMap(try CharacterMap(bytes)))
        } catch {
            throw map.problem("it is broken: \(error.message)")
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
            guard let separator = try separator(node, "pre_tokenizer"), let behavior = try behavior(node) else {
                return
            }
            let isInverted = try node.optionalBoolean("invert") ?? false
            // Nothing lies between GPT-2's words.
            if case .words = separator, behavior == .removed, isInverted { return split(separator, .isolated) }
            split(separator, behavior, isInverted: isInverted)
        case "Digits":
            let isEach = try node.optionalBoolean("individual_digits") ?? false
            // The library has digits of a later Unicode version here than in its expressions.
            let digits = CodePointSet.numbers.union(CodePointSet(0x11DE0...0x11DE9, 0x16FF4...0x16FF6))
            split(.characters(CodePointTable(digits)), isEach ? .isolated : .contiguous)
        case "Punctuation":
            guard let behavior = try behavior(node) else { return }
            split(.characters(CodePointTable(.punctuation)), behavior)
        case "WhitespaceSplit": split(.characters(CodePointTable(.spaces)), .removed)
        case "Whitespace":
            let signs = CodePointSet.wordCharacters.union(.spaces).inverted
            let runs = [CodePointSet.wordCharacters, signs].map {
                ExpressionNode.repeated(.characters($0), least: 1, most: nil, .greedy)
            }
            split(.expression(try SplitExpression(.alternatives(runs))), .removed, isInverted: true)
        case "Metaspace":
            guard let (replacement, prefix) = try metaspace(node, "pre_tokenizer") else { return }
            words.pipeline.steps.append(
                .metaspace(
                    replacement: replacement, prefix, splits: try node.optionalBoolean("split") ?? true))
        default:
            unsupported("pre_tokenizer", node, "the pre-tokenizer \(quoted(type)) isn't supported")
        }
    }

    private mutating func split(
        _ separator: SplitRule.Separator, _ behavior: SplitRule.Behavior, isInverted: Bool = false
    ) {
        words.pipeline.steps.append(
            .split(SplitRule(separator: separator, behavior: behavior, isInverted: isInverted)))
    }

    /// What becomes of a separator; isolated where a part doesn't say it.
    private mutating func behavior(_ node: JSONNode) throws -> SplitRule.Behavior? {
        guard let name = try node.optional("behavior") else { return .isolated }
        if let behavior = SplitRule.Behavior(rawValue: try name.asString()) { return behavior }
        unsupported("pre_tokenizer", name, "the behavior \(quoted(try name.asString())) isn't supported")
        return nil
    }

    /// Replacement and prefix of a Metaspace, which older files say by `add_prefix_space`.
    mutating func metaspace(
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
}
