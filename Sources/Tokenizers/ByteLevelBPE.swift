import JSONText
import Synchronization

/// Byte-level byte-pair encoding as GPT-2 has it (Radford et al., 2019; merges after Sennrich, Haddow and Birch,
/// 2016): the text is cut into words by a pattern, a word's bytes are merged pair by pair. Ids equal those of the
/// Hugging Face tokenizers library.
public final class ByteLevelBPE: Tokenizer {
    /// What the files of a tokenizer say.
    struct Content {
        var vocabulary: Vocabulary
        var merges: MergeTable
        var addedTokens: [AddedToken] = []
        /// Puts a space in front of text that doesn't start with one.
        var addsPrefixSpace = false
        /// Splits into words by GPT-2's pattern; otherwise a text is one word.
        var splitsWords = true
        var endOfText: String?
        /// Whether special tokens in a text are text like any other.
        var splitsSpecialTokens = false
    }

    public let vocabularySize: Int
    public let endOfTextID: Int32?
    public let addedTokens: [AddedToken]

    private let vocabulary: Vocabulary
    private let merges: MergeTable
    private let byteIDs: [Int32]
    private let addsPrefixSpace: Bool
    private let splitsWords: Bool
    /// Of the tokens that are looked for in the text as it is, and of those looked for after them.
    private let matchers: [AddedTokenMatcher]
    private let decoded: DecodedTokens
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
        matchers = [false, true].compactMap { isNormalized in
            AddedTokenMatcher(
                content.addedTokens.filter {
                    $0.isNormalized == isNormalized && !(content.splitsSpecialTokens && $0.isSpecial)
                })
        }
        decoded = DecodedTokens(vocabulary, addedTokens, count: vocabularySize)
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

    public func encode(_ text: String) -> [Int32] {
        var text = text
        return text.withUTF8 { encode(validUTF8: $0) }
    }

    /// The ids of a text given as its UTF-8, which must be valid.
    package func encode(validUTF8 bytes: UnsafeBufferPointer<UInt8>) -> [Int32] {
        guard let text = bytes.baseAddress, bytes.count > 0 else { return [] }
        let workspace = workspaces.withLock { $0.popLast() } ?? EncodingWorkspace()
        append(text, 0..<bytes.count, matcher: 0, to: workspace)
        let ids = workspace.takeIDs()
        workspaces.withLock { if $0.count < Self.keptWorkspaces { $0.append(workspace) } }
        return ids
    }

    /// Appends the ids of `text[range]`, in which the matchers from `matcher` on have still to look.
    private func append(
        _ text: UnsafePointer<UInt8>, _ range: Range<Int>, matcher: Int, to workspace: EncodingWorkspace
    ) {
        if matcher == matchers.count { return appendText(text, range, to: workspace) }
        for piece in matchers[matcher].pieces(text, range) {
            if let id = piece.id {
                workspace.append(id)
            } else {
                append(text, piece.range, matcher: matcher + 1, to: workspace)
            }
        }
    }

    private func appendText(_ text: UnsafePointer<UInt8>, _ range: Range<Int>, to workspace: EncodingWorkspace) {
        byteIDs.withUnsafeBufferPointer { byteIDs in
            guard let base = byteIDs.baseAddress else { return }
            let merger = WordMerger(merges: merges, byteIDs: base)
            if addsPrefixSpace, text[range.lowerBound] != UInt8(ascii: " ") {
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
        decoded.bytes(of: ids, skippingSpecialTokens: skippingSpecialTokens)
    }
}
