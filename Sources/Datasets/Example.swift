/// A tokenized record.
public struct Example: Sendable, Hashable {
    public var tokens: [Int32]
    /// The index of the first token that takes part in the loss; all that follow do. At least 1, because nothing
    /// predicts the first token.
    public var firstTarget: Int

    public init(tokens: [Int32], firstTarget: Int) {
        precondition(firstTarget >= 1 && firstTarget < tokens.count, "Example: no target among \(tokens.count) tokens")
        self.tokens = tokens
        self.firstTarget = firstTarget
    }

    /// The number of tokens that take part in the loss.
    public var targetCount: Int { tokens.count - firstTarget }
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

    var fieldNames: [String] {
        switch self {
        case .completion(let prompt, let completion): prompt.fieldNames + completion.fieldNames
        case .text(let template): template.fieldNames
        }
    }
}
