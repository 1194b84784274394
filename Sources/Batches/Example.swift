import Diagnostics

/// A tokenized record.
public struct Example: Sendable, Hashable {
    /// What a whole that has a label is to give, at its last token.
    public enum Label: Sendable, Hashable {
        /// The class of the whole.
        case category(Int32)
        /// A number for the whole.
        case value(Float)
    }

    public let tokens: [Int32]
    /// What an encoder reads, where `tokens` are what its decoder says of it; nil where the tokens stand alone.
    public let source: [Int32]?
    /// The tokens that take part in the loss, as spans that neither meet nor go backwards: from 1 on, because nothing
    /// predicts the first token. Empty where the whole has a label.
    public let targets: [Range<Int>]
    /// nil where tokens are predicted.
    public let label: Label?

    public init(source: [Int32]? = nil, tokens: [Int32], targets: [Range<Int>]) {
        var end = 0
        for span in targets {
            require(
                span.lowerBound > end && !span.isEmpty && span.upperBound <= tokens.count,
                "Example: the targets \(targets) among \(tokens.count) tokens")
            end = span.upperBound
        }
        require(end > 0, "Example: no target among \(tokens.count) tokens")
        self.source = source
        self.tokens = tokens
        self.targets = targets
        label = nil
    }

    /// All tokens from `firstTarget` on take part in the loss.
    public init(tokens: [Int32], firstTarget: Int) {
        require(firstTarget >= 1 && firstTarget < tokens.count, "Example: no target among \(tokens.count) tokens")
        self.init(tokens: tokens, targets: [firstTarget..<tokens.count])
    }

    public init(tokens: [Int32], label: Label) {
        require(!tokens.isEmpty, "Example: no tokens")
        self.tokens = tokens
        self.label = label
        (source, targets) = (nil, [])
    }

    /// The number of predictions that take part in the loss.
    public var targetCount: Int { label == nil ? targets.reduce(0) { $0 + $1.count } : 1 }

    /// All tokens, those of the source among them.
    public var tokenCount: Int { (source?.count ?? 0) + tokens.count }

    /// The rows in front of the first from which something is predicted.
    public var givenCount: Int { targets.first.map { $0.lowerBound - 1 } ?? tokens.count - 1 }

    /// The rows that go through the model: without the last tokens, from which nothing is predicted.
    public var rowCount: Int { targets.last.map { $0.upperBound - 1 } ?? tokens.count }

    /// The same with those of the source.
    public var passCount: Int { (source?.count ?? 0) + rowCount }
}
