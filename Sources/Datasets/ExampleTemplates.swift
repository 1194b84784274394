import Diagnostics

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
    /// The loss is taken on turns of a conversation, which the model's chat template makes a text of.
    case conversation(ConversationTemplate)
    /// The loss is taken on the label of the text.
    case labelled(text: Template, label: LabelTemplate)

    /// What is learned by them.
    public var task: LearningTask { if case .labelled = self { .sequenceClassification } else { .causalLM } }

    /// Where records have a conversation; nil where they have texts.
    public var conversation: ConversationTemplate? {
        if case .conversation(let template) = self { template } else { nil }
    }

    /// Among what completions are chosen; nil where they are any text.
    public var choices: ChoiceSource? {
        if case .completion(_, let completion) = self { completion.fields.first?.choices } else { nil }
    }

    /// The same with completions that are chosen.
    ///
    /// - Throws: A `Problem` without a place where they can't be.
    public func choosing(among source: ChoiceSource) throws -> ExampleTemplates {
        guard case .completion(let prompt, let completion) = self else {
            throw Problem("needs prompts and completions to choose among")
        }
        return .completion(prompt: prompt, completion: try completion.choosing(among: source))
    }

    /// The templates as they can be written.
    public var sources: [String] { all.map(\.source) + (conversation.map { [$0.field] } ?? []) }

    var fields: [Template.Field] { all.flatMap(\.fields) }

    /// What is given and what is wanted of it, or a text alone.
    var all: [Template] {
        switch self {
        case .completion(let prompt, let completion): [prompt, completion]
        case .text(let template): [template]
        case .conversation: []
        case .labelled(let text, let label): [text, label.template]
        }
    }
}

/// Where a record's conversation is, and what of it is learned.
public struct ConversationTemplate: Sendable, Hashable {
    /// The field that holds the messages.
    public let field: String
    public let loss: ChatLoss
    /// A file with a chat template, or the name of a known one; nil for the model's own.
    public let template: String?

    public init(field: String, loss: ChatLoss, template: String?) {
        self.field = field
        self.loss = loss
        self.template = template
    }
}
