/// A tokenizer beside a model that has no rows for its last ids.
public struct LimitedTokenizer: Tokenizer {
    private let whole: any Tokenizer
    public let rowCount: Int?

    /// - Parameter rowCount: The rows that the model has.
    public init(_ whole: any Tokenizer, rowCount: Int) {
        self.whole = whole
        self.rowCount = rowCount
    }

    public var vocabularySize: Int { whole.vocabularySize }
    public var endOfTextID: Int32? { whole.endOfTextID }
    public var endOfTextIDs: [Int32] { whole.endOfTextIDs }
    public var addedTokens: [AddedToken] { whole.addedTokens }
    public var contentHashes: (vocabulary: UInt64, addedTokens: UInt64) { whole.contentHashes }
    public var prefixIDs: [Int32] { whole.prefixIDs }
    public var hidesLeadingSpaces: Bool { whole.hidesLeadingSpaces }
    public var suffixIDs: [Int32] { whole.suffixIDs }
    public func encode(_ text: String) -> [Int32] { whole.encode(text) }
    public func id(of content: String) -> Int32? { whole.id(of: content) }

    public func decode(_ ids: some Sequence<Int32>, skippingSpecialTokens: Bool) -> [UInt8] {
        whole.decode(ids, skippingSpecialTokens: skippingSpecialTokens)
    }

    public func encode(_ text: String, isContinuation: Bool) -> [Int32] {
        whole.encode(text, isContinuation: isContinuation)
    }

    public func decode(_ ids: some Sequence<Int32>, skippingSpecialTokens: Bool, isContinuation: Bool) -> [UInt8] {
        whole.decode(ids, skippingSpecialTokens: skippingSpecialTokens, isContinuation: isContinuation)
    }
}
