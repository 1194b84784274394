/// Turns text into token ids and back.
public protocol Tokenizer: Sendable {
    /// One more than the largest id that `encode` can return.
    var vocabularySize: Int { get }

    /// The id that ends a text, where the tokenizer's files name one.
    var endOfTextID: Int32? { get }

    /// The ids that end a text, of which the files may name several.
    var endOfTextIDs: [Int32] { get }

    /// The tokens that are found in a text as a whole, the special ones among them, by ascending id.
    var addedTokens: [AddedToken] { get }

    /// The ids that stand in front of a text of its own, as the tokenizer's files say: the beginning of text, mostly.
    var prefixIDs: [Int32] { get }

    /// The ids that the tokenizer's files put behind a text of its own.
    var suffixIDs: [Int32] { get }

    /// The ids of `text`, added tokens recognised, nothing put in front or behind.
    func encode(_ text: String) -> [Int32]

    /// The same where `text` goes on from another: without the space that some tokenizers put in front of a text, so
    /// that the ids of both decode to both.
    func encode(_ text: String, isContinuation: Bool) -> [Int32]

    /// The bytes that `ids` stand for; they may end in the middle of a UTF-8 sequence. Special tokens are left out
    /// when `skippingSpecialTokens` is true, ids that don't exist always.
    func decode(_ ids: some Sequence<Int32>, skippingSpecialTokens: Bool) -> [UInt8]

    /// The same where ids stand in front of these: without taking away the space that some tokenizers put in front of a
    /// text.
    func decode(_ ids: some Sequence<Int32>, skippingSpecialTokens: Bool, isContinuation: Bool) -> [UInt8]

    /// Whether what is decoded never begins with spaces, however many tokens of them there are.
    var hidesLeadingSpaces: Bool { get }

    /// A number by which another tokenizer shows: that of the vocabulary and its merges, and that of the added tokens.
    var contentHashes: (vocabulary: UInt64, addedTokens: UInt64) { get }

    /// The id of the token whose content, as the tokenizer's files spell it, is `content`.
    func id(of content: String) -> Int32?

    /// How many rows the table of the model has that the tokens are for, where there are more tokens; nil otherwise.
    var rowCount: Int? { get }
}

extension Tokenizer {
    public var rowCount: Int? { nil }
    public var endOfTextIDs: [Int32] { endOfTextID.map { [$0] } ?? [] }
    public var hidesLeadingSpaces: Bool { false }
    public var prefixIDs: [Int32] { [] }
    public var suffixIDs: [Int32] { [] }

    public func encode(_ text: String, isContinuation: Bool) -> [Int32] { encode(text) }

    public func decode(_ ids: some Sequence<Int32>, skippingSpecialTokens: Bool, isContinuation: Bool) -> [UInt8] {
        decode(ids, skippingSpecialTokens: skippingSpecialTokens)
    }

    /// What is wrong with `ids` where the model has no row for one of them; nil otherwise.
    public func complaint(about ids: some Sequence<Int32>) -> String? {
        guard let rowCount, let id = ids.first(where: { $0 >= rowCount }) else { return nil }
        let token = decodedString([id], skippingSpecialTokens: false)
        return "the token '\(token)' has the id \(id), and the model's table has only \(rowCount) rows (vocab_size in "
            + "config.json): they don't belong together, or the model has to be resized for the tokens that were added"
    }
}

extension Tokenizer {
    /// The text that `ids` stand for, with U+FFFD for each maximal part that is not UTF-8, as Hugging Face has it.
    public func decodedString(_ ids: some Sequence<Int32>, skippingSpecialTokens: Bool) -> String {
        String(decoding: decode(ids, skippingSpecialTokens: skippingSpecialTokens), as: UTF8.self)
    }
}
