/// The tokens that end a text.
public struct EndOfText: Sendable, Hashable {
    /// Generation stops at any of them.
    public let stops: Set<Int32>
    /// What training and evaluation put behind completions and texts; nil where none is known.
    public let appended: Int32?

    public init(stops: Set<Int32>, appended: Int32?) {
        self.stops = stops
        self.appended = appended
    }

    /// - Parameter others: Tokens that end a text too, in their order; the first is appended where the tokenizer names
    ///   none.
    public init(_ tokenizer: (any Tokenizer)?, others: [Int32]) {
        appended = tokenizer?.endOfTextID ?? others.first
        stops = Set(others).union(tokenizer?.endOfTextIDs ?? [])
    }
}
