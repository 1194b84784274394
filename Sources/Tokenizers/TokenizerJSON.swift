import Diagnostics
import Files
import JSONText

/// Reads tokenizer.json, the file of the Hugging Face tokenizers library, where it holds a byte-pair encoding.
///
/// `truncation` and `padding` are not applied: what trains and generates cuts texts itself. All that isn't supported
/// is reported together.
struct TokenizerJSON {
    private let file: String
    private var model = ModelParts()
    var words = WordRules()
    private var addedTokens: JSONNode?
    private var problems: [Problem] = []

    private struct ModelParts {
        var position: TextPosition?
        var type: String?
        var vocabulary: Vocabulary?
        var merges: MergeList?
        /// The vocabulary of a Unigram, an array of pieces and scores.
        var unigram: ScoredVocabulary?
        var unknownID: JSONNode?
        var unknownToken: JSONNode?
        var fallback: JSONNode?
        var fusesUnknown = false
        var ignoresMerges = false
    }

    /// What surrounds the model.
    struct WordRules {
        var decoderIsRead = false
        var isByteLevel = false
        var addsPrefixSpace = false
        var splitsWords = false
        var pipeline = TextPipeline()
        var decoding = DecodingRules(steps: [])
        var isFused = false
        var prefixIDs: [Int32] = []
        var suffixIDs: [Int32] = []
        var signature = ""
    }

    /// What the file at `path` holds. Throws a `Problem`, or `Problems` for several.
    static func read(path: String) throws -> SubwordTokenizer.Content {
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
                if !node.isNull { words.signature += "normalizer " + node.plain.text(.compact) }
            } else if key.matches("pre_tokenizer") {
                let node = try reader.readNode()
                try Self.naming("pre_tokenizer") { try readPreTokenizer(node) }
                if !words.pipeline.steps.isEmpty { words.signature += "steps " + node.plain.text(.compact) }
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

    mutating func unsupported(_ key: String, _ node: JSONNode, _ message: String) {
        problems.append(Problem(message, file: file, position: node.position, key: key))
    }

    // MARK: model

    private mutating func readModel(_ reader: inout JSONReader, size: Int) throws {
        try reader.readObject { (reader, key) in
            if key.matches("vocab") {
                if try reader.peek() == .object {
                    model.vocabulary = try .read(&reader, reservingBytes: size)
                } else {
                    model.unigram = try .read(&reader, reservingBytes: size)
                }
            } else if key.matches("merges") {
                try readMerges(&reader)
            } else if key.matches("type") {
                let type = try reader.readNode()
                model.type = try type.asString()
                if let name = model.type, !sameBytes(name, "BPE"), !sameBytes(name, "Unigram") {
                    unsupported(
                        "model.type", type, "the model \(quoted(name)) isn't supported: only BPE and Unigram are")
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
        } else if key.matches("unk_id") {
            model.unknownID = node
        } else if key.matches("dropout") {
            if try node.asNumber() != 0 { unsupported("model.dropout", node, "dropout of merges isn't supported") }
        } else if key.matches("continuing_subword_prefix") || key.matches("end_of_word_suffix") {
            if try !node.asString().isEmpty {
                unsupported("model.\(name)", node, "\(name) isn't supported")
            }
        } else if key.matches("byte_fallback") {
            model.fallback = try node.asBoolean() ? node : nil
        } else if key.matches("ignore_merges") {
            model.ignoresMerges = try node.asBoolean()
        } else if key.matches("fuse_unk") {
            model.fusesUnknown = try node.asBoolean()
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

    // MARK: the whole

    private mutating func content() throws -> SubwordTokenizer.Content {
        checkUnknown()
        if problems.isEmpty { checkParts() }
        if problems.count == 1 { throw problems[0] }
        if !problems.isEmpty { throw Problems(problems) }
        if let unigram = try unigramContent() { return try withAddedTokens(unigram) }
        guard let vocabulary = model.vocabulary, let merges = model.merges else {
            throw Problem(
                "expected a BPE with \"vocab\" and \"merges\"", file: file, position: model.position, key: "model")
        }
        var content = SubwordTokenizer.Content(vocabulary: vocabulary, merges: try merges.table(vocabulary))
        content.take(words)
        content.ignoresMerges = model.ignoresMerges
        if model.ignoresMerges { content.signature += "ignore_merges" }
        if !words.isByteLevel {
            var rules = SubwordTokenizer.CharacterRules()
            rules.fallsBackToBytes = model.fallback != nil
            rules.unknownToken = try model.unknownToken?.asString()
            rules.fusesUnknown = model.fusesUnknown
            content.model = .characters(rules)
            content.signature += "characters \(rules)"
        } else if content.pipeline.steps.count == 1, !words.splitsWords, !words.addsPrefixSpace,
            case .split(let rule) = content.pipeline.steps[0], case .words = rule.separator
        {
            // GPT-2's own words in other terms.
            content.pipeline.steps = []
            content.splitsWords = true
            if content.pipeline.normalizers.isEmpty { content.signature = "" }
        }
        return try withAddedTokens(content)
    }

    private func withAddedTokens(_ content: SubwordTokenizer.Content) throws -> SubwordTokenizer.Content {
        var content = content
        try Self.naming("added_tokens") {
            for node in try addedTokens?.asArray() ?? [] {
                try content.add(AddedToken(node, id: node.integer("id")), at: node)
            }
        }
        return content
    }

    /// What a Unigram's file holds; nil for other models.
    private func unigramContent() throws -> SubwordTokenizer.Content? {
        guard let type = model.type, sameBytes(type, "Unigram") else { return nil }
        guard let unigram = model.unigram else {
            throw Problem("expected a Unigram with \"vocab\"", file: file, position: model.position, key: "model")
        }
        let count = unigram.vocabulary.idLimit
        guard let node = model.unknownID else {
            throw Problem(
                "missing: texts with unknown characters need it", file: file, position: model.position,
                key: "model.unk_id")
        }
        let unknownID = try node.asInteger()
        guard unknownID >= 0, unknownID < count else {
            throw node.problem("the id \(unknownID) is out of range: there are \(count) pieces")
        }
        var unknown = UnknownPieces(id: Int32(truncatingIfNeeded: unknownID), bytes: [])
        if model.fallback != nil { unknown.bytes = SubwordTokenizer.fallbackIDs(unigram.vocabulary) }
        var content = SubwordTokenizer.Content(
            vocabulary: unigram.vocabulary, merges: MergeTable(mergeCount: 0))
        content.take(words)
        content.splitsWords = false
        content.model = .unigram(UnigramModel(unigram.vocabulary, scores: unigram.scores, unknown: unknown))
        var hash = ContentHash()
        for score in unigram.scores { hash.add(score.bitPattern) }
        content.signature += "unigram \(unknownID) \(!unknown.bytes.isEmpty) \(hash.value)"
        return content
    }

    private mutating func checkUnknown() {
        guard let vocabulary = model.vocabulary else { return }
        if words.isByteLevel {
            guard SubwordTokenizer.byteIDs(vocabulary).contains(-1) else { return }
            for (key, node) in [("unk_token", model.unknownToken), ("byte_fallback", model.fallback)] {
                guard let node else { continue }
                unsupported(
                    "model.\(key)", node,
                    "\(key) isn't supported where the vocabulary lacks some of the 256 bytes of ByteLevel")
            }
        } else if let node = model.unknownToken, let token = try? node.asString(), vocabulary.id(of: token) == nil {
            unsupported("model.unk_token", node, "the vocabulary lacks the unknown token \(quoted(token))")
        }
    }

    private mutating func checkParts() {
        if model.position == nil { problems.append(Problem("missing", file: file, key: "model")) }
        if !words.decoderIsRead {
            problems.append(
                Problem("missing: it says how tokens become text again", file: file, key: "decoder"))
        }
    }
}
