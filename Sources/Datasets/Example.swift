import Diagnostics

/// A tokenized record.
public struct Example: Sendable, Hashable {
    /// What is to be predicted of an example.
    public enum Target: Sendable, Hashable {
        /// The tokens from this index on. At least 1, because nothing predicts the first token.
        case tokens(from: Int32)
        /// The class of the whole, at its last token.
        case category(Int32)
        /// A number for the whole, at its last token.
        case value(Float)
    }

    public var tokens: [Int32]
    public let target: Target

    public init(tokens: [Int32], firstTarget: Int) {
        require(firstTarget >= 1 && firstTarget < tokens.count, "Example: no target among \(tokens.count) tokens")
        self.init(tokens: tokens, target: .tokens(from: Int32(firstTarget)))
    }

    public init(tokens: [Int32], target: Target) {
        require(!tokens.isEmpty, "Example: no tokens")
        self.tokens = tokens
        self.target = target
    }

    /// The index of the first token that takes part in the loss; all that follow do. The number of tokens where the
    /// whole has a label.
    public var firstTarget: Int { if case .tokens(let first) = target { Int(first) } else { tokens.count } }

    /// The number of predictions that take part in the loss.
    public var targetCount: Int { if case .tokens(let first) = target { tokens.count - Int(first) } else { 1 } }

    /// The rows that go through the model: without the last token where that predicts nothing.
    public var rowCount: Int { if case .tokens = target { tokens.count - 1 } else { tokens.count } }
}

/// What becomes of a record that is longer than `max_length`.
public enum LengthPolicy: String, CaseIterable, Sendable {
    /// It is left out.
    case drop
    /// Tokens are taken from the prompt's end; from the end of a `text`.
    case keepPromptStart = "keep_prompt_start"
    /// Tokens are taken from the prompt's start; from the start of a `text`.
    case keepPromptEnd = "keep_prompt_end"
    /// It stops the run.
    case error
}

/// What records become examples by.
public enum ExampleTemplates: Sendable, Hashable {
    /// The loss is taken on the completion and the end-of-text token.
    case completion(prompt: Template, completion: Template)
    /// The loss is taken on all tokens.
    case text(Template)
    /// The loss is taken on the label of the text.
    case labelled(text: Template, label: LabelTemplate)

    var fields: [Template.Field] { all.flatMap(\.fields) }

    /// What is given and what is wanted of it, or a text alone.
    var all: [Template] {
        switch self {
        case .completion(let prompt, let completion): [prompt, completion]
        case .text(let template): [template]
        case .labelled(let text, let label): [text, label.template]
        }
    }
}
