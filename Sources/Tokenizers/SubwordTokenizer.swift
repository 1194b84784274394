import JSONText
import Synchronization

/// Cuts a text into parts of words: by byte-pair encoding (Sennrich, Haddow and Birch, 2016), where a word's bytes (as GPT-2
/// has it, Radford et al., 2019) or characters are merged pair by pair, or by a language model of the parts (Kudo, 2018).
/// Ids equal those of the Hugging Face tokenizers library, and of SentencePiece where the files are its own.
public final class SubwordTokenizer: Tokenizer {
    public let vocabularySize: Int
    public let prefixIDs: [Int32]
    public let suffixIDs: [Int32]
    public let endOfTextIDs: [Int32]
    public var endOfTextID: Int32? { endOfTextIDs.first }
    public let addedTokens: [AddedToken]
    public var hidesLeadingSpaces: Bool { decoded.hidesLeadingSpaces }

    let vocabulary: Vocabulary
    let merges: MergeTable
    let byteIDs: [Int32]
    let addsPrefixSpace: Bool
    let splitsWords: Bool
    let startsAnew: Bool
    /// Of the tokens that are looked for in the text as it is, and of those looked for after them.
    let matcher: AddedTokenMatcher?
    let normalizedMatcher: AddedTokenMatcher?
    let decoded: DecodedTokens
    let pipeline: TextPipeline
    private let signature: String
    let merger: Merger
    let wholeWords: Vocabulary?
    let workspaces = Mutex<[EncodingWorkspace]>([])

    /// Workspaces kept for the next text: as many texts are encoded at once without making new ones.
    static let keptWorkspaces = 4

    /// Makes the ids of words, in whatever way.
    enum Merger {
        case bytes
        case characters(CharacterMerger, splitsAtSpaces: Bool)
        case pieces(PieceMerger)
        case unigram(UnigramModel)
    }

    init(_ content: Content) {
        vocabulary = content.vocabulary
        merges = content.merges
        addsPrefixSpace = content.addsPrefixSpace
        splitsWords = content.splitsWords
        startsAnew = content.startsAnew
        addedTokens = content.addedTokens.sorted { $0.id < $1.id }
        vocabularySize = max(vocabulary.idLimit, Int(addedTokens.last?.id ?? -1) + 1)
        byteIDs = Self.byteIDs(vocabulary)
        let sought = content.addedTokens.filter { !(content.splitsSpecialTokens && $0.isSpecial) }
        matcher = AddedTokenMatcher(sought.filter { !$0.isNormalized })
        normalizedMatcher = AddedTokenMatcher(
            sought.filter(\.isNormalized).map { token in
                if content.pipeline.normalizers.isEmpty { return token }
                var (token, text, place) = (token, token.content, TextPlace.start)
                token.content = text.withUTF8 {
                    String(decoding: content.pipeline.normalized($0, &place, isEnd: true), as: UTF8.self)
                }
                return token
            })
        decoded = DecodedTokens(content, addedTokens, count: vocabularySize)
        prefixIDs = content.prefixIDs
        suffixIDs = content.suffixIDs
        var pipeline = content.pipeline
        if !pipeline.steps.isEmpty, content.model.isBytes {
            if content.addsPrefixSpace { pipeline.steps.append(.prefixSpace) }
            if content.splitsWords {
                pipeline.steps.append(.split(SplitRule(separator: .words, behavior: .isolated)))
            }
        }
        self.pipeline = pipeline
        signature = content.signature
        wholeWords = content.ignoresMerges && content.model.isBytes ? Self.wholeWords(vocabulary) : nil
        merger = Self.merger(content)
        let added = addedTokens
        let vocabulary = vocabulary
        endOfTextIDs = content.endOfTexts.compactMap { Self.id(of: $0, added, vocabulary) }
    }

    private static func merger(_ content: Content) -> Merger {
        switch content.model {
        case .bytes: return .bytes
        case .pieces(let merger): return .pieces(merger)
        case .unigram(let model): return .unigram(model)
        case .characters(let rules):
            var merger = CharacterMerger(vocabulary: content.vocabulary, merges: content.merges)
            if rules.fallsBackToBytes { merger.fallbackIDs = fallbackIDs(content.vocabulary) }
            merger.unknownID = rules.unknownToken.flatMap { content.vocabulary.id(of: $0) }
            merger.fusesUnknown = rules.fusesUnknown
            merger.ignoresMerges = content.ignoresMerges
            return .characters(merger, splitsAtSpaces: merger.splitsAtSpaces)
        }
    }

    /// The ids of `<0x00>` to `<0xFF>`, or -1.
    static func fallbackIDs(_ vocabulary: Vocabulary) -> [Int32] {
        (0..<256).map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            return vocabulary.id(of: "<0x" + (digits.utf8.count < 2 ? "0" : "") + digits + ">") ?? -1
        }
    }

    /// The id of each byte's own token, or -1.
    static func byteIDs(_ vocabulary: Vocabulary) -> [Int32] {
        (0..<256).map { byte in
            ByteAlphabet.spelling(of: UInt8(byte)).withUnsafeBytes { vocabulary.id(of: $0) } ?? -1
        }
    }

    /// The tokens by the bytes that they spell.
    private static func wholeWords(_ vocabulary: Vocabulary) -> Vocabulary {
        var builder = Vocabulary.Builder(reservingBytes: 0)
        vocabulary.forEach { spelling, id in
            if let bytes = ByteAlphabet.bytes(spelledBy: spelling) {
                bytes.withUnsafeBytes { builder.append($0, id: id) }
            }
        }
        return Vocabulary(builder)
    }

    /// How many tokens there are; less than `vocabularySize` where ids are left out.
    public var tokenCount: Int {
        vocabulary.count + addedTokens.count { vocabulary.id(of: $0.content) == nil }
    }

    /// Sums over the entries, so that the order in which a file has them doesn't count.
    public var contentHashes: (vocabulary: UInt64, addedTokens: UInt64) {
        var sum: UInt64 = 0
        vocabulary.forEach { spelling, id in
            sum &+= ContentHash.value(of: spelling) &* (UInt64(UInt32(bitPattern: id)) &* 2 &+ 1)
        }
        merges.forEach { left, right, rank, merged in
            var hash = ContentHash()
            hash.add(UInt64(left) << 32 | UInt64(right))
            hash.add(UInt64(rank) << 32 | UInt64(merged))
            sum &+= hash.value
        }
        var words = ContentHash()
        words.add(sum)
        words.add((addsPrefixSpace ? 1 : 0) + (splitsWords ? 2 : 0))
        if !signature.isEmpty { words.add(signature) }
        var added = ContentHash()
        for token in addedTokens {
            added.add(token.content)
            let flags = [token.stripsLeft, token.stripsRight, token.isSingleWord, token.isNormalized]
            added.add(flags.reduce(UInt64(UInt32(bitPattern: token.id))) { $0 << 1 | ($1 ? 1 : 0) })
        }
        return (words.value, added.value)
    }

    public func id(of content: String) -> Int32? { Self.id(of: content, addedTokens, vocabulary) }

    private static func id(of content: String, _ addedTokens: [AddedToken], _ vocabulary: Vocabulary) -> Int32? {
        addedTokens.first { $0.content.utf8.elementsEqual(content.utf8) }?.id ?? vocabulary.id(of: content)
    }
}
