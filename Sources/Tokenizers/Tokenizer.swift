/// Turns text into token ids and back.
public protocol Tokenizer: Sendable {
    /// One more than the largest id that `encode` can return.
    var vocabularySize: Int { get }

    /// The id that ends a text, where the tokenizer's files name one.
    var endOfTextID: Int32? { get }

    /// The ids of `text`, added tokens recognised, nothing put in front or behind.
    func encode(_ text: String) -> [Int32]

    /// The bytes that `ids` stand for; they may end in the middle of a UTF-8 sequence. Special tokens are left out
    /// when `skippingSpecialTokens` is true.
    func decode(_ ids: some Sequence<Int32>, skippingSpecialTokens: Bool) -> [UInt8]
}
