public import ChatTemplates
public import Diagnostics
public import JSONText

/// What of a conversation is learned.
public enum ChatLoss: String, CaseIterable, Sendable {
    /// Every turn of the assistant with what ends it.
    case assistant
    /// Its last turn alone.
    case lastAssistant = "last_assistant"
    /// All tokens.
    case all
}

/// How conversations become texts for one model: by its template, with what that may read of the model.
public struct ChatFormat: Sendable {
    public let template: ChatTemplate
    /// What conversations with tools are written by, where that is another.
    private let toolTemplate: ChatTemplate?
    /// The names of the model's special tokens and their texts, as templates know them.
    private let variables: [JSONValue.Member]
    /// The texts of special tokens, by which the end of a turn is known.
    public let specialTexts: [String]
    /// What the template writes behind what the assistant says, white space left out: the text of a token, mostly, and empty
    /// where nothing ends a turn.
    public private(set) var turnEnd = ""

    public init(
        _ template: ChatTemplate, toolTemplate: ChatTemplate? = nil, variables: [JSONValue.Member],
        specialTexts: [String]
    ) {
        self.template = template
        self.toolTemplate = toolTemplate
        self.variables = variables
        self.specialTexts = specialTexts.filter { !$0.isEmpty }
        turnEnd = Probe.all.lazy.compactMap(foundTurnEnd).first ?? ""
    }

    /// A conversation as a text, and what of it is learned, as bytes in order.
    public struct Text: Sendable, Hashable {
        public let text: String
        public let learned: [Range<Int>]
    }

    /// The text up to where the assistant's next turn begins.
    ///
    /// - Throws: `Problem` with the template's file and line.
    public func prompt(_ messages: [JSONValue], tools: [JSONValue]?) throws -> String {
        try rendered(messages, tools, isOpen: true)
    }

    /// The whole text with what of it is learned.
    ///
    /// Where the template marks what the model writes (`generation`), that is it. Otherwise a turn is what its message adds
    /// to the text behind what the template opens an answer with, up to and with what ends it. A message whose `weight` is 0
    /// is not learned.
    ///
    /// - Throws: `Problem` with the template's file and line, and without a line where it doesn't show what a turn is.
    public func text(_ messages: [JSONValue], tools: [JSONValue]?, learning loss: ChatLoss) throws -> Text {
        let whole = try render(messages, tools, isOpen: false)
        if loss == .all { return Text(text: whole.text, learned: [0..<whole.text.utf8.count]) }
        let answers = Conversation(messages: messages, tools: nil).answers
        let wanted = (loss == .assistant ? answers : answers.suffix(1)).filter { messages[$0].weighs }
        let finder = TurnFinder(self, messages, tools, Array(whole.text.utf8))
        if whole.generationSpans.isEmpty { return Text(text: whole.text, learned: try wanted.map(finder.turn)) }
        if wanted == answers { return Text(text: whole.text, learned: whole.generationSpans) }
        return Text(text: whole.text, learned: try finder.spans(of: wanted, among: whole.generationSpans, of: answers))
    }

    func rendered(_ messages: [JSONValue], _ tools: [JSONValue]?, isOpen: Bool) throws -> String {
        try render(messages, tools, isOpen: isOpen).text
    }

    private func render(_ messages: [JSONValue], _ tools: [JSONValue]?, isOpen: Bool) throws -> RenderedChat {
        let template = tools == nil ? template : toolTemplate ?? template
        return try template.render(
            messages: messages, addGenerationPrompt: isOpen, tools: tools, variables: variables)
    }
}

// MARK: What the template shows by short conversations

extension ChatFormat {
    /// A conversation of words that no text holds.
    private struct Probe {
        let messages: [JSONValue]
        static let said = "\u{F8D4}"

        /// Some templates refuse a conversation without a system's word, others one with.
        static let all: [Probe] = [[], [("system", "\u{F8D6}")]].map { (first: [(String, String)]) in
            Probe(
                messages: (first + [("user", "\u{F8D5}"), ("assistant", said)]).map { role, content in
                    ["role": .string(role), "content": .string(content)]
                })
        }
    }

    private func foundTurnEnd(_ probe: Probe) -> String? {
        guard let text = try? rendered(probe.messages, nil, isOpen: false), let place = text.firstRange(of: Probe.said)
        else { return nil }
        let rest = text[place.upperBound...].drop { $0.isWhitespace }
        let special = specialTexts.filter { rest.utf8.starts(with: $0.utf8) }.max { $0.utf8.count < $1.utf8.count }
        if let special { return special }
        let line = rest.prefix { !$0.isNewline }
        return String(line.reversed().drop { $0.isWhitespace }.reversed())
    }

    /// What is doubtful about how turns begin and end, though they can be learned.
    public var warnings: [Problem] {
        func warning(_ message: String) -> Problem { Problem(message, file: template.file, severity: .warning) }
        // What is wrong with the template itself is told where it is used.
        guard let probe = Probe.all.first(where: { (try? rendered($0.messages, nil, isOpen: false)) != nil }),
            let whole = try? render(probe.messages, nil, isOpen: false)
        else { return [] }
        var warnings: [Problem] = []
        let bytes = Array(whole.text.utf8)
        let said = bytes.firstRange(of: Array(Probe.said.utf8))
        if turnEnd.isEmpty {
            warnings.append(
                warning(
                    "nothing ends the assistant's turns in this template: a model that is trained on it doesn't stop"))
        } else if !specialTexts.contains(turnEnd) {
            warnings.append(
                warning(
                    "the assistant's turns end with '\(turnEnd)', which is no special token of this model: it learns to "
                        + "spell it, and other programs won't stop there"))
        }
        if !turnEnd.isEmpty, !whole.generationSpans.isEmpty, let said,
            let end = bytes[said.upperBound...].firstRange(of: Array(turnEnd.utf8)),
            !whole.generationSpans.contains(where: {
                $0.lowerBound <= end.lowerBound && $0.upperBound >= end.upperBound
            })
        {
            warnings.append(
                warning(
                    "what the template marks by generation leaves out '\(turnEnd)', which ends a turn: it isn't learned, "
                        + "and a model that is trained on it doesn't stop"))
        }
        let question = Array(probe.messages.dropLast())
        if let closed = try? rendered(question, nil, isOpen: false),
            let open = try? rendered(question, nil, isOpen: true),
            open == closed, let said, bytes.starts(with: closed.utf8),
            !String(decoding: bytes[closed.utf8.count..<max(closed.utf8.count, said.lowerBound)], as: UTF8.self)
                .allSatisfy(\.isWhitespace)
        {
            warnings.append(
                warning(
                    "the template writes something in front of an answer, and not where a prompt for one is asked for "
                        + "(add_generation_prompt): generation goes on from the user's turn, which isn't what is learned"
                ))
        }
        return warnings
    }
}

extension JSONValue {
    /// Whether a message is to be learned: OpenAI's `weight` is 0 or 1.
    fileprivate var weighs: Bool {
        guard case .object(let members) = self, let weight = members.last(where: { $0.key == "weight" })?.value else {
            return true
        }
        return weight != .integer(0) && weight != .number(0)
    }
}
