import Diagnostics
import JSONText

/// Reads tokenizer.json, the file of the Hugging Face tokenizers library, where it holds a byte-level BPE.
///
/// `truncation` and `padding` are not applied: what trains and generates cuts texts itself. All that isn't supported
/// is reported together.
struct TokenizerJSON {
    private let file: String
    private var model = ModelParts()
    private var words = WordRules()
    private var addedTokens: JSONNode?
    private var problems: [Problem] = []

    private struct ModelParts {
        var position: TextPosition?
        var type: String?
        var vocabulary: Vocabulary?
        var merges: MergeList?
        var unknownToken: JSONNode?
    }

    private struct WordRules {
        var position: TextPosition?
        var decoderIsRead = false
        var isByteLevel = false
        var addsPrefixSpace = false
        var splitsWords = false
    }

    /// What the file at `path` holds. Throws a `Problem`, or `Problems` for several.
    static func read(path: String) throws -> ByteLevelBPE.Content {
        try FileBytes(path: path).withBytes { bytes in
            var parser = TokenizerJSON(file: path)
            var reader = JSONReader(bytes, file: path)
            try parser.readFile(&reader, size: bytes.count)
            try reader.finish()
            // The merges lie in the reader's memory.
            return try withExtendedLifetime(reader) { try parser.content() }
        }
    }

    private init(file: String) { self.file = file }

    private mutating func readFile(_ reader: inout JSONReader, size: Int) throws {
        try reader.readObject { (reader, key, position) in
            if key.matches("model") {
                model.position = position
                try readModel(&reader, size: size)
            } else if key.matches("added_tokens") {
                addedTokens = try reader.readNode()
            } else if key.matches("normalizer") {
                let node = try reader.readNode()
                try Self.naming("normalizer") { try readNormalizer(node) }
            } else if key.matches("pre_tokenizer") {
                words.position = position
                let node = try reader.readNode()
                try Self.naming("pre_tokenizer") { try readPreTokenizer(node) }
            } else if key.matches("post_processor") {
                let node = try reader.readNode()
                try Self.naming("post_processor") { try readPostProcessor(node) }
            } else if key.matches("decoder") {
                words.decoderIsRead = true
                let node = try reader.readNode()
                try Self.naming("decoder") { try readDecoder(node) }
            }
        }
    }

    /// Puts the member that is read in front of the key of a problem with it.
    private static func naming(_ member: String, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch var problem as Problem {
            let key = problem.key ?? ""
            problem.key = key.isEmpty || key.hasPrefix("[") ? member + key : "\(member).\(key)"
            throw problem
        }
    }

    private mutating func unsupported(_ key: String, _ node: JSONNode, _ message: String) {
        problems.append(Problem(message, file: file, position: node.position, key: key))
    }

    // MARK: model

    private mutating func readModel(_ reader: inout JSONReader, size: Int) throws {
        try reader.readObject { (reader, key) in
            if key.matches("vocab") {
                // Unigram's is an array of pieces.
                if try reader.peek() == .object { model.vocabulary = try .read(&reader, reservingBytes: size) }
            } else if key.matches("merges") {
                try readMerges(&reader)
            } else if key.matches("type") {
                let type = try reader.readNode()
                model.type = try type.asString()
                if let name = model.type, !sameBytes(name, "BPE") {
                    unsupported("model.type", type, "the model \(quoted(name)) isn't supported: only byte-level BPE is")
                }
            } else {
                let node = try reader.readNode()
                let name = "model." + String(decoding: key, as: UTF8.self)
                try Self.naming(name) { try readModelOption(key, node) }
            }
        }
    }

    private mutating func readModelOption(_ key: UnsafeRawBufferPointer, _ node: JSONNode) throws {
        if node.isNull { return }
        let name = String(decoding: key, as: UTF8.self)
        if key.matches("unk_token") {
            model.unknownToken = node
        } else if key.matches("dropout") {
            if try node.asNumber() != 0 { unsupported("model.dropout", node, "dropout of merges isn't supported") }
        } else if key.matches("continuing_subword_prefix") || key.matches("end_of_word_suffix") {
            if try !node.asString().isEmpty {
                unsupported("model.\(name)", node, "\(name) isn't supported: byte-level BPE has none")
            }
        } else if key.matches("byte_fallback") || key.matches("ignore_merges") {
            if try node.asBoolean() { unsupported("model.\(name)", node, "\(name) isn't supported") }
        }
    }

    private mutating func readMerges(_ reader: inout JSONReader) throws {
        var list = MergeList(file: file)
        try reader.readArray { reader in
            let isPair = try reader.peek() == .array
            let position = reader.position
            if !isPair { return try list.append(try reader.readStringBytes(), at: position) }
            var tokens: (UnsafeRawBufferPointer?, UnsafeRawBufferPointer?) = (nil, nil)
            var count = 0
            try reader.readArray { reader in
                let token = try reader.readStringBytes()
                if count == 0 { tokens.0 = token } else { tokens.1 = token }
                count += 1
            }
            guard count == 2, let left = tokens.0, let right = tokens.1 else {
                throw reader.problem("a merge is two tokens, got \(count)", at: position, key: "model.merges")
            }
            list.append(left, right, at: position)
        }
        model.merges = list
    }

    // MARK: what surrounds the model

    private mutating func readNormalizer(_ node: JSONNode) throws {
        if node.isNull { return }
        let type = try node.string("type")
        if sameBytes(type, "Sequence"), try node.array("normalizers").isEmpty { return }
        unsupported("normalizer", node, "the normalizer \(quoted(type)) isn't supported: GPT-2's tokenizer has none")
    }

    private mutating func readPreTokenizer(_ node: JSONNode) throws {
        if node.isNull { return }
        let isSequence = try sameBytes(node.string("type"), "Sequence")
        let steps = isSequence ? try node.array("pretokenizers") : [node]
        var isSplit = false
        for step in steps {
            let type = try step.string("type")
            if sameBytes(type, "ByteLevel"), !words.isByteLevel {
                words.isByteLevel = true
                words.addsPrefixSpace = try step.optionalBoolean("add_prefix_space") ?? true
                words.splitsWords = try step.optionalBoolean("use_regex") ?? true
                if isSplit, words.splitsWords || words.addsPrefixSpace {
                    unsupported(
                        "pre_tokenizer", step,
                        "ByteLevel behind Split isn't supported with use_regex or add_prefix_space true")
                }
            } else if sameBytes(type, "Split"), !isSplit, !words.isByteLevel, try isWordPattern(step) {
                isSplit = true
            } else {
                unsupported(
                    "pre_tokenizer", step,
                    "the pre-tokenizer \(quoted(type)) isn't supported here: only ByteLevel, "
                        + "or Split by GPT-2's pattern and ByteLevel behind it, are")
            }
        }
        if isSplit { words.splitsWords = true }
    }

    /// Whether a `Split` cuts into the words of GPT-2's pattern, which leaves nothing between them.
    private func isWordPattern(_ node: JSONNode) throws -> Bool {
        guard let pattern = try node.required("pattern").optionalString("Regex"),
            sameBytes(pattern, WordSplitter.pattern)
        else { return false }
        let behavior = try node.string("behavior")
        let inverted = try node.optionalBoolean("invert") ?? false
        return inverted ? sameBytes(behavior, "Removed") : sameBytes(behavior, "Isolated")
    }

    private mutating func readPostProcessor(_ node: JSONNode) throws {
        if node.isNull { return }
        let type = try node.string("type")
        if sameBytes(type, "ByteLevel") { return }
        if sameBytes(type, "Sequence") {
            for step in try node.array("processors") { try readPostProcessor(step) }
            return
        }
        if sameBytes(type, "TemplateProcessing") {
            // Pairs of texts are never encoded, so that only the template of one counts.
            let tokens = try node.array("single").compactMap { try $0.optional("SpecialToken")?.string("id") }
            if tokens.isEmpty { return }
            unsupported(
                "post_processor", node,
                "a template that puts \(tokens.map(quoted).joined(separator: " and ")) around the text isn't supported")
            return
        }
        unsupported("post_processor", node, "the post-processor \(quoted(type)) isn't supported")
    }

    private mutating func readDecoder(_ node: JSONNode) throws {
        let type = node.isNull ? "null" : quoted(try node.string("type"))
        if type == "\"ByteLevel\"" { return }
        unsupported("decoder", node, "the decoder \(type) isn't supported: only ByteLevel is")
    }

    // MARK: the whole

    private mutating func content() throws -> ByteLevelBPE.Content {
        if let unknown = model.unknownToken, let vocabulary = model.vocabulary,
            ByteLevelBPE.byteIDs(vocabulary).contains(-1)
        {
            unsupported(
                "model.unk_token", unknown,
                "an unknown token isn't supported where the vocabulary lacks some of the 256 bytes")
        }
        if problems.isEmpty { try checkParts() }
        if problems.count == 1 { throw problems[0] }
        if !problems.isEmpty { throw Problems(problems) }
        guard let vocabulary = model.vocabulary, let merges = model.merges else {
            throw Problem(
                "expected a byte-level BPE with \"vocab\" and \"merges\"", file: file, position: model.position,
                key: "model")
        }
        var content = ByteLevelBPE.Content(vocabulary: vocabulary, merges: try merges.table(vocabulary))
        content.addsPrefixSpace = words.addsPrefixSpace
        content.splitsWords = words.splitsWords
        try Self.naming("added_tokens") {
            for node in try addedTokens?.asArray() ?? [] {
                try content.add(AddedToken(node, id: node.integer("id")), at: node)
            }
        }
        return content
    }

    private mutating func checkParts() throws {
        if model.position == nil { problems.append(Problem("missing", file: file, key: "model")) }
        if !words.isByteLevel {
            problems.append(
                Problem(
                    "no ByteLevel: only byte-level BPE is supported", file: file, position: words.position,
                    key: "pre_tokenizer"))
        }
        if !words.decoderIsRead {
            problems.append(Problem("missing: only ByteLevel is supported", file: file, key: "decoder"))
        }
    }
}
