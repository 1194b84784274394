import Diagnostics
import JSONText

extension SentencePieceFile {
    /// The tokenizer of a folder that holds the file `name` and no tokenizer.json. Ids are SentencePiece's; tokens that the
    /// files beside it name are found in texts as transformers finds them.
    static func load(_ name: String, folder: String) throws -> any Tokenizer {
        let settings = try TokenizerSettings(folder: folder)
        if let node = try settings.tokenizerClass, try !classes.contains(node.asString()) {
            throw node.problem(
                "\(try quoted(node.asString())) isn't supported without tokenizer.json: its ids may be others than those "
                    + "in \(name)")
        }
        var content = try read(path: pathOfFile(name, in: folder)).content
        if name == t5Name { try becomeT5(&content, settings) }
        try settings.apply(to: &content)
        // Texts between added tokens are changed by themselves.
        for index in content.addedTokens.indices { content.addedTokens[index].isNormalized = false }
        return SubwordTokenizer(content)
    }

    static let t5Name = "spiece.model"

    /// The classes whose ids are those of the file.
    private static let classes: Set<String> = [
        "LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizer", "CodeLlamaTokenizerFast", "GemmaTokenizer",
        "GemmaTokenizerFast", "T5Tokenizer", "T5TokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend",
        "SentencePieceBackend",
    ]

    /// T5's tokenizer has tokens for what is left out of a text, the first of which has the largest id; finds those of its
    /// roles in texts whether or not a file names them; and leaves the unknown one out of what it decodes.
    private static func becomeT5(_ content: inout SubwordTokenizer.Content, _ settings: TokenizerSettings) throws {
        for number in try (0..<settings.sentinelCount).reversed() { content.addSpecial("<extra_id_\(number)>") }
        for (role, token) in [("eos_token", "</s>"), ("unk_token", "<unk>"), ("pad_token", "<pad>")]
        where !settings.names(role) && content.vocabulary.id(of: token) != nil {
            content.addSpecial(token)
        }
        content.startsAnew = true
        content.unknown = nil
        content.hidesLeadingSpaces = false
        content.decoding.steps.removeLast()
        content.decoding.steps.append(.metaspace(replacement: Array("▁".utf8), dropsFirst: true))
        content.signature += " t5"
    }

    private var content: SubwordTokenizer.Content {
        var builder = Vocabulary.Builder(reservingBytes: pieces.count * 16)
        for (id, piece) in pieces.enumerated() {
            var text = piece.text
            text.withUTF8 { builder.append(UnsafeRawBufferPointer($0), id: Int32(truncatingIfNeeded: id)) }
        }
        var content = SubwordTokenizer.Content(vocabulary: Vocabulary(builder), merges: MergeTable(mergeCount: 0))
        content.splitsWords = false
        let symbols = pieces.enumerated().filter { $1.type == .userDefined }
            .map { (Array($1.text.utf8), Int32(truncatingIfNeeded: $0)) }
        let trie = symbols.isEmpty ? nil : PieceTrie(symbols)
        content.pipeline.normalizers = [
            .sentencePiece(SentencePieceNormalizer(rules: normalization, symbols: trie))
        ]
        content.model = kind == .unigram ? .unigram(UnigramModel(self)) : .pieces(PieceMerger(self, symbols: trie))
        var steps = [DecodingRules.Step]()
        if hasByteFallback { steps.append(.byteFallback) }
        let hidesFirst = normalization.addsDummyPrefix || normalization.removesExtraSpaces
        steps.append(.visibleSpace(hidesFirst: hidesFirst))
        content.decoding = DecodingRules(steps: steps)
        content.hidesLeadingSpaces = normalization.removesExtraSpaces
        content.controlIDs = ids { $0 == .control }
        content.unknown = ids { $0 == .unknown }.first.map { ($0, unknownSurface) }
        content.endOfTexts = id(endID).map { [pieces[Int($0)].text] } ?? []
        // The beginning of a text was always there in training; where the model has none, as T5's, the end was.
        content.defaultBeginning = id(beginningID)
        content.defaultEnd = id(endID)
        if let id = content.defaultBeginning {
            content.prefixIDs = [id]
        } else if let id = content.defaultEnd {
            content.suffixIDs = [id]
        }
        content.signature = signature
        return content
    }

    private func ids(_ contains: (PieceType) -> Bool) -> [Int32] {
        pieces.indices.filter { contains(pieces[$0].type) }.map { Int32(truncatingIfNeeded: $0) }
    }

    /// A piece's id where it is one that controls.
    private func id(_ id: Int) -> Int32? {
        guard pieces.indices.contains(id), pieces[id].type == .control else { return nil }
        return Int32(truncatingIfNeeded: id)
    }

    /// All beside the pieces' spellings by which another tokenizer shows.
    private var signature: String {
        var hash = ContentHash()
        for piece in pieces {
            hash.add(UInt64(piece.score.bitPattern) << 8 | UInt64(piece.type.rawValue))
        }
        normalization.characterMap?.add(to: &hash)
        return "sentencepiece \(kind) \(hasByteFallback) \(normalization.addsDummyPrefix) "
            + "\(normalization.removesExtraSpaces) \(normalization.escapesSpaces) \(hash.value)"
    }
}
