/// The text of tokens that come one by one.
public struct StreamedTokens: Sendable {
    private let tokenizer: any Tokenizer
    private var isContinuation: Bool
    private var text = StreamingText()

    /// - Parameter isContinuation: Whether text stands before them.
    public init(_ tokenizer: any Tokenizer, isContinuation: Bool) {
        self.tokenizer = tokenizer
        self.isContinuation = isContinuation
    }

    /// The text that is complete with `token`; special tokens have none.
    public mutating func append(_ token: Int32) -> String {
        let bytes = tokenizer.decode([token], skippingSpecialTokens: true, isContinuation: isContinuation)
        // A token that is nothing but the space in front of a text has no bytes, and stands before what follows all the
        // same.
        isContinuation =
            isContinuation || !bytes.isEmpty
            || !tokenizer.hidesLeadingSpaces
                && !tokenizer.decode([token], skippingSpecialTokens: true, isContinuation: true).isEmpty
        return text.append(bytes)
    }

    /// What is left at the end: U+FFFD for a character that was never completed, or nothing.
    public mutating func finish() -> String { text.finish() }
}
