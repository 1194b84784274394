public import JSONText

extension Conversation {
    /// A conversation of messages that templates take as they are.
    public init(messages: [JSONValue], tools: [JSONValue]?) { (self.messages, self.tools) = (messages, tools) }

    /// All of it as JSON on one line.
    public var text: String {
        JSONValue.object([.init("messages", .array(messages))] + (tools.map { [.init("tools", .array($0))] } ?? []))
            .text(.compact)
    }

    /// The messages in which an assistant speaks.
    public var answers: [Int] { messages.indices.filter { messages[$0].role == "assistant" } }

    /// Whether it begins with a word of the system's.
    public var hasSystem: Bool { ["system", "developer"].contains(messages.first?.role) }

    /// The same up to where an assistant has to speak: without an answer at its end.
    public var open: Conversation {
        guard let last = answers.last, last == messages.count - 1 else { return self }
        return Conversation(messages: Array(messages[..<last]), tools: tools)
    }

    /// The text of the last answer, and what comes before it; nil where it has none.
    public var lastAnswer: (question: Conversation, answer: String)? {
        guard let last = answers.last, let text = messages[last].contentText, !text.isEmpty else { return nil }
        return (Conversation(messages: Array(messages[..<last]), tools: tools), text)
    }
}

extension JSONValue {
    private func member(_ key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.last { sameBytes($0.key, key) }?.value
    }

    fileprivate var role: String? {
        if case .string(let role)? = member("role") { role } else { nil }
    }

    /// What a message says, its parts one behind the other.
    fileprivate var contentText: String? {
        switch member("content") {
        case .string(let text)?: text
        case .array(let parts)?:
            parts.compactMap { part in
                if case .string(let text)? = part.member("text") { text } else { nil }
            }.joined()
        default: nil
        }
    }
}
