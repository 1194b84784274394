import JSONText
import Synchronization

/// Byte-pair encoding (Sennrich, Haddow and Birch, 2016): the text is cut into words, a word's bytes (as GPT-2 has it,
/// Radford et al., 2019) or characters are merged pair by pair. Ids equal those of the Hugging Face tokenizers library.
public final class BytePairEncoding: Tokenizer {
    /// What the files of a tokenizer say.
    struct Content {
        var vocabulary: Vocabulary
        var merges: MergeTable
        var addedTokens: [AddedToken] = []
        /// Puts a space in front of text that doesn't start with one.
        var addsPrefixSpace = false
        /// Splits into words by GPT-2's pattern; otherwise a text is one word.
        var splitsWords = true
        /// What happens before: with steps, the two above come behind them.
        var pipeline = TextPipeline()
        /// What files say of `pipeline` and the rest that isn't GPT-2's, for the hash; empty where that is nothing.
        var signature = ""
        /// Whether a word that is a token is that one, whatever the merges make.
        var ignoresMerges = false
        /// How characters become tokens; nil where tokens are spelled in GPT-2's alphabet of bytes.
        var characters: CharacterRules?
        var decoding = DecodingRules()
        var prefixIDs: [Int32] = []
        var suffixIDs: [Int32] = []
        var endOfText: String?
        /// Whether special tokens in a text are text like any other.
        var splitsSpecialTokens = false
    }

    struct CharacterRules {
        var fallsBackToBytes = false
        var unknownToken: String?
        var fusesUnknown = false
    }

    public let vocabularySize: Int
    public let prefixIDs: [Int32]
    public let suffixIDs: [Int32]
    public let endOfTextID: Int32?
    public let addedTokens: [AddedToken]

    private let vocabulary: Vocabulary
    private let merges: MergeTable
    private let byteIDs: [Int32]
    private let addsPrefixSpace: Bool
    private let splitsWords: Bool
    /// Of the tokens that are looked for in the text as it is, and of those looked for after them.
    private let matcher: AddedTokenMatcher?
    private let normalizedMatcher: AddedTokenMatcher?
    private let decoded: DecodedTokens
    private let pipeline: TextPipeline
    private let signature: String
    private let characters: CharacterMerger?
    private let splitsAtSpaces: Bool
    private let wholeWords: Vocabulary?
    private let workspaces = Mutex<[EncodingWorkspace]>([])

    /// Workspaces kept for the next text: as many texts are encoded at once without making new ones.
    private static let keptWorkspaces = 4

    init(_ content: Content) {
        vocabulary = content.vocabulary
        merges = content.merges
        addsPrefixSpace = content.addsPrefixSpace
        splitsWords = content.splitsWords
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
                    String(decoding: content.pipeline.normalized($0, &place), as: UTF8.self)
                }
                return token
            })
        decoded = DecodedTokens(vocabulary, addedTokens, content.decoding, count: vocabularySize)
        prefixIDs = content.prefixIDs
        suffixIDs = content.suffixIDs
        var pipeline = content.pipeline
        if !pipeline.steps.isEmpty, content.characters == nil {
            if content.addsPrefixSpace { pipeline.steps.append(.prefixSpace) }
            if content.splitsWords {
                pipeline.steps.append(.split(SplitRule(separator: .words, behavior: .isolated)))
            }
        }
        self.pipeline = pipeline
        signature = content.signature
        wholeWords = content.ignoresMerges && content.characters == nil ? Self.wholeWords(vocabulary) : nil
        characters = content.characters.map { rules in
            var merger = CharacterMerger(vocabulary: content.vocabulary, merges: content.merges)
            if rules.fallsBackToBytes { merger.fallbackIDs = CharacterMerger.fallbackIDs(content.vocabulary) }
            merger.unknownID = rules.unknownToken.flatMap { content.vocabulary.id(of: $0) }
            merger.fusesUnknown = rules.fusesUnknown
            merger.ignoresMerges = content.ignoresMerges
            return merger
        }
        splitsAtSpaces = characters?.splitsAtSpaces ?? false
        let added = addedTokens
        let vocabulary = vocabulary
        endOfTextID = content.endOfText.flatMap { Self.id(of: $0, added, vocabulary) }
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

    public func encode(_ text: String) -> [Int32] { encode(text, isContinuation: false) }

    public func encode(_ text: String, isContinuation: Bool) -> [Int32] {
        var text = text
        return text.withUTF8 { encode(validUTF8: $0, isContinuation: isContinuation) }
    }

    /// The ids of a text given as its UTF-8, which must be valid.
    package func encode(validUTF8 bytes: UnsafeBufferPointer<UInt8>, isContinuation: Bool = false) -> [Int32] {
        guard let text = bytes.baseAddress, bytes.count > 0 else { return [] }
        let workspace = workspaces.withLock { $0.popLast() } ?? EncodingWorkspace()
        let start = isContinuation ? TextPlace.continuation : .start
        forEachPiece(matcher, text, 0..<bytes.count, start, to: workspace) { range, place in
            appendUnnormalized(text, range, place, to: workspace)
        }
        let ids = workspace.takeIDs()
        workspaces.withLock { if $0.count < Self.keptWorkspaces { $0.append(workspace) } }
        return ids
    }

    /// Appends the added tokens in `text[range]`, and calls `body` with what lies between.
    private func forEachPiece(
        _ matcher: AddedTokenMatcher?, _ text: UnsafePointer<UInt8>, _ range: Range<Int>, _ place: TextPlace,
        to workspace: EncodingWorkspace, _ body: (Range<Int>, TextPlace) -> Void
    ) {
        guard let matcher else { return body(range, place) }
        for piece in matcher.pieces(text, range) {
            if let id = piece.id {
                workspace.append(id)
            } else {
                body(piece.range, piece.range.lowerBound == range.lowerBound ? place : .inside)
            }
        }
    }

    private func appendUnnormalized(
        _ text: UnsafePointer<UInt8>, _ range: Range<Int>, _ place: TextPlace, to workspace: EncodingWorkspace
    ) {
        if pipeline.normalizers.isEmpty {
            return forEachPiece(normalizedMatcher, text, range, place, to: workspace) { range, place in
                appendText(text, range, place, to: workspace)
            }
        }
        var place = place
        let piece = UnsafeBufferPointer(start: text + range.lowerBound, count: range.count)
        let normalized = pipeline.normalized(piece, &place)
        normalized.withUnsafeBufferPointer { normalized in
            guard let start = normalized.baseAddress, normalized.count > 0 else { return }
            forEachPiece(normalizedMatcher, start, 0..<normalized.count, place, to: workspace) { range, place in
                appendText(start, range, place, to: workspace)
            }
        }
    }

    private func appendText(
        _ text: UnsafePointer<UInt8>, _ range: Range<Int>, _ place: TextPlace, to workspace: EncodingWorkspace
    ) {
        if let characters {
            return pipeline.split(text, range, place) { text, range in
                if splitsAtSpaces {
                    CharacterMerger.split(text, range) {
                        workspace.appendWord(text + $0.lowerBound, $0.count, characters)
                    }
                } else {
                    workspace.appendWord(text + range.lowerBound, range.count, characters)
                }
            }
        }
        byteIDs.withUnsafeBufferPointer { byteIDs in
            guard let base = byteIDs.baseAddress else { return }
            let merger = WordMerger(merges: merges, byteIDs: base, wholeWords: wholeWords)
            if !pipeline.steps.isEmpty {
                pipeline.split(text, range, place) { text, range in
                    workspace.appendWord(text + range.lowerBound, range.count, merger)
                }
            } else if addsPrefixSpace, place != .continuation, text[range.lowerBound] != UInt8(ascii: " ") {
                let prefixed =
                    [UInt8(ascii: " ")] + UnsafeBufferPointer(start: text + range.lowerBound, count: range.count)
                prefixed.withUnsafeBufferPointer { prefixed in
                    guard let start = prefixed.baseAddress else { return }
                    appendPrepared(start, 0..<prefixed.count, merger, to: workspace)
                }
            } else {
                appendPrepared(text, range, merger, to: workspace)
            }
        }
    }

    private func appendPrepared(
        _ text: UnsafePointer<UInt8>, _ range: Range<Int>, _ merger: WordMerger, to workspace: EncodingWorkspace
    ) {
        if splitsWords {
            workspace.appendWords(text, range, merger)
        } else {
            workspace.appendWord(text + range.lowerBound, range.count, merger)
        }
    }

    public func decode(_ ids: some Sequence<Int32>, skippingSpecialTokens: Bool) -> [UInt8] {
        decode(ids, skippingSpecialTokens: skippingSpecialTokens, isContinuation: false)
    }

    public func decode(_ ids: some Sequence<Int32>, skippingSpecialTokens: Bool, isContinuation: Bool) -> [UInt8] {
        decoded.bytes(of: ids, skippingSpecialTokens: skippingSpecialTokens, isContinuation: isContinuation)
    }
}
