import ChatTemplates
import Diagnostics
import JSONText

/// Finds where the turns of one conversation stand in its text: by marks around what each message says, which the template
/// carries along.
struct TurnFinder {
    private let format: ChatFormat
    private let messages: [JSONValue]
    private let tools: [JSONValue]?
    private let whole: [UInt8]
    /// Where what each message says begins and ends; nil where that doesn't show.
    private let places: [(first: Int?, last: Int?)]
    /// What the template opens an answer with.
    private let opening: [UInt8]

    init(_ format: ChatFormat, _ messages: [JSONValue], _ tools: [JSONValue]?, _ whole: [UInt8]) {
        (self.format, self.messages, self.tools, self.whole) = (format, messages, tools, whole)
        places =
            Self.places(Set(messages.indices), format, messages, tools, whole)
            ?? messages.indices.map { index in
                Self.places([index], format, messages, tools, whole)?[index] ?? (nil, nil)
            }
        opening = Self.opening(format, messages, tools)
    }

    /// The bytes that answer `index` stands for.
    ///
    /// - Throws: `Problem` where the template doesn't show them, or leaves out what the answer says.
    func turn(_ index: Int) throws -> Range<Int> {
        let (first, last) = places[index]
        guard let contentEnd = last else {
            if let turn = addedText(index) { return turn }
            throw Problem(
                "the chat template doesn't show where the assistant's turn in messages.\(index) begins and ends, or leaves "
                    + "out what it says: mark it by {% generation %} in the template, or learn all by data.loss_on: all",
                file: format.template.file)
        }
        var start = first ?? contentEnd
        // What a template takes out of an answer, such as thoughts, may have held the first mark.
        if !opening.isEmpty, let opened = whole[..<start].lastRange(of: opening)?.upperBound,
            !format.specialTexts.contains(where: { whole[opened..<start].firstRange(of: Array($0.utf8)) != nil })
        {
            start = opened
        }
        let next = index + 1 < places.count ? places[index + 1].first ?? whole.count : whole.count
        let rest = whole[contentEnd..<max(contentEnd, next)]
        if !format.turnEnd.isEmpty, let end = rest.firstRange(of: Array(format.turnEnd.utf8)) {
            return start..<end.upperBound
        }
        return start..<ending(of: index, from: contentEnd)
    }

    /// Those of the spans that the template marks which belong to some of the answers: one an answer, or told by where what
    /// the answers say stands.
    ///
    /// - Throws: `Problem` where that doesn't show.
    func spans(of wanted: [Int], among spans: [Range<Int>], of answers: [Int]) throws -> [Range<Int>] {
        if spans.count == answers.count {
            return zip(spans, answers).filter { wanted.contains($1) }.map(\.0)
        }
        guard answers.allSatisfy({ places[$0].first != nil }) else {
            throw Problem(
                "the chat template's generation marks don't show which answer each belongs to, so not all of them can be "
                    + "left out: learn every turn by data.loss_on: assistant, without a weight of 0",
                file: format.template.file)
        }
        return spans.filter { span in
            let owner = answers.last { (places[$0].first ?? .max) < span.upperBound }
            return owner.map(wanted.contains) ?? false
        }
    }

    // MARK: Where the message's content doesn't show

    /// What message `index` adds to the text of those before it.
    private func addedText(_ index: Int) -> Range<Int>? {
        // An answer that says something which isn't in the text is left out of it, unless it calls functions.
        if messages[index].marked(by: ("", "")) != nil, !messages[index].callsFunctions { return nil }
        guard let before = text(messages[..<index], isOpen: true), whole.starts(with: before) else { return nil }
        let end = ending(of: index, from: before.count)
        return end > before.count ? before.count..<end : nil
    }

    /// Where a turn ends that holds `place`: behind the last special token that its message brings, or else behind all that
    /// isn't white space.
    private func ending(of index: Int, from place: Int) -> Int {
        var bound = whole.count
        if index + 1 < messages.count, let after = text(messages[...index], isOpen: false) {
            bound = zip(whole, after).prefix { $0 == $1 }.count
        }
        guard bound > place else { return place }
        let rest = whole[place..<bound]
        let ends = format.specialTexts.compactMap { rest.lastRange(of: Array($0.utf8))?.upperBound }
        if let end = ends.max() { return end }
        return (rest.lastIndex { !Self.isSpace($0) } ?? place - 1) + 1
    }

    private func text(_ messages: ArraySlice<JSONValue>, isOpen: Bool) -> [UInt8]? {
        Self.text(Array(messages), tools, isOpen: isOpen, format)
    }

    private static func text(
        _ messages: [JSONValue], _ tools: [JSONValue]?, isOpen: Bool, _ format: ChatFormat
    ) -> [UInt8]? {
        (try? format.rendered(messages, tools, isOpen: isOpen)).map { Array($0.utf8) }
    }

    // MARK: Marks

    /// Where the marks around messages come out; nil where they change the text.
    private static func places(
        _ indices: Set<Int>, _ format: ChatFormat, _ messages: [JSONValue], _ tools: [JSONValue]?, _ whole: [UInt8]
    ) -> [(first: Int?, last: Int?)]? {
        var marked = messages
        for index in indices { marked[index] = messages[index].marked(by: marks(index)) ?? messages[index] }
        guard let text = text(marked, tools, isOpen: false, format) else { return nil }
        var places = [(first: Int?, last: Int?)](repeating: (nil, nil), count: messages.count)
        var plain: [UInt8] = []
        plain.reserveCapacity(whole.count)
        var place = 0
        while place < text.count {
            if let mark = mark(in: text[place...]), mark.index < messages.count {
                if mark.isFirst {
                    // A template may write what is said more than once.
                    places[mark.index].first = places[mark.index].first ?? plain.count
                } else {
                    places[mark.index].last = plain.count
                }
                place += markLength
            } else {
                plain.append(text[place])
                place += 1
            }
        }
        return plain == whole ? places : nil
    }

    /// Two characters that Unicode leaves to private use, the second of which tells the message.
    private static func marks(_ index: Int) -> (String, String) {
        let number = String(UnicodeScalar(UInt32(0xF_0000 + index % 0xFF00)).map(Character.init) ?? "\u{F0000}")
        return ("\u{F8D0}" + number, "\u{F8D1}" + number)
    }

    /// Bytes of a mark in UTF-8.
    private static let markLength = 7

    private static func mark(in text: ArraySlice<UInt8>) -> (index: Int, isFirst: Bool)? {
        let bytes = text.prefix(markLength)
        guard bytes.count == markLength, bytes.starts(with: [0xEF, 0xA3]) else { return nil }
        let start = bytes.startIndex
        guard bytes[start + 2] == 0x90 || bytes[start + 2] == 0x91,
            let number = String(decoding: bytes[(start + 3)...], as: UTF8.self).unicodeScalars.first?.value,
            number >= 0xF_0000
        else { return nil }
        return (Int(number) - 0xF_0000, bytes[start + 2] == 0x90)
    }

    /// What the template puts in front of the last answer, as it does in front of all.
    private static func opening(_ format: ChatFormat, _ messages: [JSONValue], _ tools: [JSONValue]?) -> [UInt8] {
        let last = Conversation(messages: messages, tools: nil).answers.last ?? messages.count
        let earlier = Array(messages[..<last])
        guard let closed = text(earlier, tools, isOpen: false, format),
            let open = text(earlier, tools, isOpen: true, format)
        else { return [] }
        // Some templates end a text that isn't open with a token of its own.
        let shared = zip(closed, open).prefix { $0 == $1 }.count
        return Array(open[shared...])
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}

extension JSONValue {
    fileprivate var callsFunctions: Bool {
        guard case .object(let members) = self else { return false }
        return members.contains { ["tool_calls", "function_call"].contains($0.key) && $0.value != .null }
    }

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
    fileprivate func lastRange(of other: [UInt8]) -> Range<Int>? {
        guard count >= other.count, !other.isEmpty else { return nil }
        var place = endIndex - other.count
        while place >= startIndex {
            if self[place..<place + other.count].elementsEqual(other) { return place..<place + other.count }
            place -= 1
        }
        return nil
    }
}
