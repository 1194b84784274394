/// A token that is found in the text as a whole, before it is split into words.
public struct AddedToken: Sendable {
    /// The text that the token is.
    public var content: String
    public var id: Int32
    /// Left out by a decoding that skips special tokens.
    public var isSpecial = false
    /// Takes the white space in front with it.
    public var stripsLeft = false
    /// Takes the white space behind with it.
    public var stripsRight = false
    /// Found only where no word character stands beside it.
    public var isSingleWord = false
    /// Looked for after the tokens for which this is false, as where there is a normalizer.
    public var isNormalized = false

    public init(content: String, id: Int32) {
        self.content = content
        self.id = id
    }
}
