public import ChatTemplates
public import Diagnostics
public import JSONText

/// What of a conversation is learned.
public enum ChatLoss: String, CaseIterable, Sendable {
    /// Every turn of the assistant with the token that ends it.
    case assistant
    /// Its last turn alone.
    case lastAssistant = "last_assistant"
    /// All tokens.
    case all
}

/// How conversations become texts for one model: by its template, with what that may read of the model.
public struct ChatFormat: Sendable {
    public let template: ChatTemplate
    /// The names of the model's special tokens and their texts, as templates know them.
    public let variables: [JSONValue.Member]
    /// The texts of special tokens, by which the end of a turn is known.
    public let specialTexts: [String]

    public init(_ template: ChatTemplate, variables: [JSONValue.Member], specialTexts: [String]) {
        self.template = template
        self.variables = variables
        self.specialTexts = specialTexts.filter { !$0.isEmpty }
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
    /// to the text behind the beginning that the template gives to an answer, up to the token that ends it.
    ///
    /// - Throws: `Problem` with the template's file and line, and without a place where it doesn't show what a turn is.
    public func text(_ messages: [JSONValue], tools: [JSONValue]?, learning loss: ChatLoss) throws -> Text {
        let whole = try template.render(
            messages: messages, addGenerationPrompt: false, tools: tools, variables: variables)
        if loss == .all { return Text(text: whole.text, learned: [0..<whole.text.utf8.count]) }
        let turns = Conversation(messages: messages, tools: nil).answers
        guard let last = turns.last else { return Text(text: whole.text, learned: []) }
        let bytes = Array(whole.text.utf8)
        if !whole.generationSpans.isEmpty {
            if loss == .assistant { return Text(text: whole.text, learned: whole.generationSpans) }
            let start = (try? rendered(Array(messages[..<last]), tools, isOpen: false)).map { Array($0.utf8) }
            let own = whole.generationSpans.filter { span in
                start.map { bytes.starts(with: $0) && span.lowerBound >= $0.count } ?? false
            }
            return Text(text: whole.text, learned: own.isEmpty ? whole.generationSpans.suffix(1) : own)
        }
        let learned = try (loss == .assistant ? turns : [last]).map { index in
            guard let turn = try turn(index, of: messages, tools, in: bytes) else {
                throw Problem(
                    "the chat template doesn't show where the assistant's turn in messages.\(index) begins and ends: mark it "
                        + "by {% generation %} in the template, or learn all by data.loss_on: all", file: template.file)
            }
            return turn
        }
        return Text(text: whole.text, learned: learned)
    }

    /// What the template writes behind what the assistant says, white space left out: the text of a token, mostly, and empty
    /// where nothing ends a turn.
    public var turnEnd: String {
        let (said, asked) = ("\u{F8D4}", "\u{F8D5}")
        func message(_ role: String, _ content: String) -> JSONValue {
            ["role": .string(role), "content": .string(content)]
        }
        guard let text = try? rendered([message("user", asked), message("assistant", said)], nil, isOpen: false),
            let place = text.firstRange(of: said)
        else { return "" }
        let rest = Array(text[place.upperBound...].utf8)
        let start = rest.firstIndex { !Self.isSpace($0) } ?? rest.count
        let special = specialTexts.filter { rest[start...].starts(with: $0.utf8) }.max { $0.utf8.count < $1.utf8.count }
        if let special { return special }
        let end = (rest.lastIndex { !Self.isSpace($0) } ?? start - 1) + 1
        return String(decoding: rest[start..<max(start, end)], as: UTF8.self)
    }

    /// What is doubtful about how turns end, though they can be learned.
    public var endWarning: Problem? {
        let end = turnEnd
        if specialTexts.contains(end) { return nil }
        let message =
            end.isEmpty
            ? "nothing ends the assistant's turns in this template: a model that is trained on it doesn't stop"
            : "the assistant's turns end with '\(end)', which is no special token of this model: it learns to spell it, and "
                + "other programs won't stop there"
        return Problem(message, file: template.file, severity: .warning)
    }

    private func rendered(_ messages: [JSONValue], _ tools: [JSONValue]?, isOpen: Bool) throws -> String {
        try template.render(messages: messages, addGenerationPrompt: isOpen, tools: tools, variables: variables).text
    }

    /// The bytes of `whole` that message `index` stands for; nil where they can't be told.
    private func turn(
        _ index: Int, of messages: [JSONValue], _ tools: [JSONValue]?, in whole: [UInt8]
    ) throws -> Range<Int>? {
        if let turn = markedTurn(index, of: messages, tools, in: whole) { return turn }
        // A turn that calls functions may say nothing.
        let before = try? Array(rendered(Array(messages[..<index]), tools, isOpen: true).utf8)
        let isLast = index == messages.count - 1
        let after = isLast ? whole : try? Array(rendered(Array(messages[...index]), tools, isOpen: false).utf8)
        guard let before, let after, whole.starts(with: before), whole.starts(with: after), after.count > before.count
        else { return nil }
        return trimmed(before.count..<after.count, in: whole)
    }

    /// The turn without the white space behind the token that ends it, which nobody has to write.
    private func trimmed(_ turn: Range<Int>, in whole: [UInt8]) -> Range<Int> {
        var end = turn.upperBound
        while end > turn.lowerBound, Self.isSpace(whole[end - 1]) { end -= 1 }
        let isEnded = specialTexts.contains { whole[turn.lowerBound..<end].ends(with: $0.utf8) }
        return isEnded ? turn.lowerBound..<end : turn
    }

    /// The turn as it shows by marks around what the message says, which hold also where a template writes earlier turns
    /// otherwise than the last: from behind what opens an answer to the token that ends it.
    private func markedTurn(
        _ index: Int, of messages: [JSONValue], _ tools: [JSONValue]?, in whole: [UInt8]
    ) -> Range<Int>? {
        var messages = messages
        guard let marked = messages[index].marked(by: Self.marks) else { return nil }
        messages[index] = marked
        guard var text = try? Array(rendered(messages, tools, isOpen: false).utf8) else { return nil }
        func take(_ mark: String) -> Int? {
            guard let place = text.firstRange(of: Array(mark.utf8)) else { return nil }
            text.removeSubrange(place)
            return place.lowerBound
        }
        let (first, last) = (take(Self.marks.0), take(Self.marks.1))
        guard let end = last, text == whole else { return nil }
        let opening = opening(before: index, messages, tools) ?? []
        let opened = opening.isEmpty ? nil : whole[..<(first ?? end)].lastRange(of: opening)?.upperBound
        // What a template leaves out of an answer, such as thoughts, may hold the first mark.
        guard var start = first ?? opened else { return nil }
        if let opened, !specialTexts.contains(where: { whole[opened..<start].firstRange(of: Array($0.utf8)) != nil }) {
            start = opened
        }
        let rest = whole[end...].drop(while: Self.isSpace)
        let ending = specialTexts.filter { rest.starts(with: $0.utf8) }.map(\.utf8.count).max()
        return start..<(ending.map { rest.startIndex + $0 } ?? end)
    }

    /// What the template puts in front of an answer.
    private func opening(before index: Int, _ messages: [JSONValue], _ tools: [JSONValue]?) -> [UInt8]? {
        let earlier = Array(messages[..<index])
        guard let closed = try? Array(rendered(earlier, tools, isOpen: false).utf8),
            let open = try? Array(rendered(earlier, tools, isOpen: true).utf8)
        else { return nil }
        // Some templates end a text that isn't open with a token of its own.
        let shared = zip(closed, open).prefix { $0 == $1 }.count
        return Array(open[shared...])
    }

    /// What hardly any text holds: characters that Unicode leaves to private use.
    private static let marks = ("\u{F8D0}\u{F8D1}", "\u{F8D2}\u{F8D3}")

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}

extension JSONValue {
    /// The message with marks around its content, within the white space that templates may take away; nil where it says
    /// nothing.
    fileprivate func marked(by marks: (String, String)) -> JSONValue? {
        guard case .object(var members) = self, let place = members.lastIndex(where: { $0.key == "content" }) else {
            return nil
        }
        switch members[place].value {
        case .string(let text):
            guard let marked = text.marked(first: marks.0, last: marks.1) else { return nil }
            members[place].value = .string(marked)
        case .array(var parts):
            let texts = parts.indices.filter { parts[$0].partText?.marked(first: "", last: "") != nil }
            guard let first = texts.first, let last = texts.last else { return nil }
            parts[first].partText = parts[first].partText?.marked(first: marks.0, last: "")
            parts[last].partText = parts[last].partText?.marked(first: "", last: marks.1)
            members[place].value = .array(parts)
        default: return nil
        }
        return .object(members)
    }

    /// The text of a part of a content.
    private var partText: String? {
        get {
            guard case .object(let members) = self,
                case .string(let text)? = members.last(where: { $0.key == "text" })?.value
            else { return nil }
            return text
        }
        set {
            guard case .object(var members) = self, let newValue,
                let place = members.lastIndex(where: { $0.key == "text" })
            else { return }
            members[place].value = .string(newValue)
            self = .object(members)
        }
    }
}

extension String {
    /// The text with `first` and `last` around what isn't white space at its ends; nil where there is nothing else.
    fileprivate func marked(first: String, last: String) -> String? {
        let scalars = unicodeScalars
        guard let start = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
            let end = scalars.lastIndex(where: { !$0.properties.isWhitespace })
        else { return nil }
        let behind = scalars.index(after: end)
        return String(scalars[..<start]) + first + String(scalars[start..<behind]) + last + String(scalars[behind...])
    }
}

extension Collection where Element == UInt8, Index == Int {
    fileprivate func ends(with other: some Collection<UInt8>) -> Bool {
        count >= other.count && self[(endIndex - other.count)...].elementsEqual(other)
    }

    fileprivate func lastRange(of other: [UInt8]) -> Range<Int>? {
        guard count >= other.count else { return nil }
        var place = endIndex - other.count
        while place >= startIndex {
            if self[place..<place + other.count].elementsEqual(other) { return place..<place + other.count }
            place -= 1
        }
        return nil
    }
}
