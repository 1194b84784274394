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
    /// The tokens that take part in the loss, as spans that neither meet nor go backwards: from 1 on, because nothing
    /// predicts the first token. Empty where the whole has a label.
    public let targets: [Range<Int>]
    /// nil where tokens are predicted.
    public let label: Label?

    public init(tokens: [Int32], targets: [Range<Int>]) {
        var end = 0
        for span in targets {
            require(
                span.lowerBound > end && !span.isEmpty && span.upperBound <= tokens.count,
                "Example: the targets \(targets) among \(tokens.count) tokens")
            end = span.upperBound
        }
        require(end > 0, "Example: no target among \(tokens.count) tokens")
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
        targets = []
    }

    /// The number of predictions that take part in the loss.
    public var targetCount: Int { label == nil ? targets.reduce(0) { $0 + $1.count } : 1 }

    /// The rows that go through the model: without the last tokens, from which nothing is predicted.
    public var rowCount: Int { targets.last.map { $0.upperBound - 1 } ?? tokens.count }
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

    /// What is learned by them.
    public var task: LearningTask { if case .labelled = self { .sequenceClassification } else { .causalLM } }

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
