import Diagnostics

/// Text with virtual tokens of a learned prompt between its words: `[P3]` stands for three of them.
public struct PlacedText: Sendable, Hashable {
    public enum Part: Sendable, Hashable {
        case text(String)
        case virtualTokens(Int)
    }

    public private(set) var parts: [Part] = []
    /// The whole text with its places as they are written.
    public private(set) var source = ""

    public init() {}

    /// Takes the places out of `text`.
    public init(_ text: String) { append(text) }

    /// The virtual tokens of all places.
    public var virtualTokenCount: Int {
        parts.reduce(0) {
            guard case .virtualTokens(let count) = $1 else { return $0 }
            return $0 + count
        }
    }

    /// Adds text as it stands, in which nothing is a place.
    public mutating func appendLiteral(_ text: String) {
        source += text
        appendPart(text[...])
    }

    private mutating func appendPart(_ text: Substring) {
        if text.isEmpty { return }
        if case .text(let before)? = parts.last {
            parts[parts.count - 1] = .text(before + text)
        } else {
            parts.append(.text(String(text)))
        }
    }

    /// Adds text and takes the places out of it.
    public mutating func append(_ text: String) {
        source += text
        var rest = text[...]
        var start = rest.startIndex
        while let open = rest[start...].firstIndex(of: "[") {
            guard let (count, end) = Self.place(rest[open...]) else {
                start = rest.index(after: open)
                continue
            }
            appendPart(rest[..<open])
            parts.append(.virtualTokens(count))
            rest = rest[end...]
            start = rest.startIndex
        }
        appendPart(rest)
    }

    /// The place that `text` begins with: how many tokens it stands for, and where it ends.
    private static func place(_ text: Substring) -> (count: Int, end: String.Index)? {
        // No more than a place can have, for a long text may open many and close none.
        let longest = 9
        guard text.hasPrefix("[P"), let close = text.prefix(longest).firstIndex(of: "]") else { return nil }
        let digits = text[..<close].dropFirst(2)
        guard digits.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }),
            let count = Int(digits), count > 0
        else { return nil }
        return (count, text.index(after: close))
    }

    /// In words, where there are other ones.
    public static func places(for count: Int) -> String {
        switch count {
        case 0: "no place for a virtual token"
        case 1: "a place for 1 virtual token"
        default: "places for \(count) virtual tokens"
        }
    }
}

/// What `[P3]` in a prompt's template means.
public enum VirtualTokenPlaces: Sendable, Hashable {
    /// Nothing: it is text.
    case none
    /// Places of as many virtual tokens in all.
    case filled(Int)
    /// Places that stay empty, because the model has learned no virtual tokens.
    case empty

    /// What a model's prompt, with virtual tokens for the template to place or without, makes of it.
    public init(placedCount: Int) { self = placedCount > 0 ? .filled(placedCount) : .none }

    /// Throws a `Problem` where the templates don't place all virtual tokens.
    public func check(_ templates: ExampleTemplates) throws {
        guard case .filled(let count) = self else { return }
        guard let given = templates.given else {
            throw Problem(
                "virtual tokens have places in a prompt with a completion, or in a text with a label; here all of a "
                    + "text is learned", key: "data.text")
        }
        let found = given.template.virtualTokenCount
        if found != count {
            throw Problem(
                "has \(PlacedText.places(for: found)), but there are \(count) (num_virtual_tokens): [P3] in the template "
                    + "is a place for three", key: given.key)
        }
        if given.template.hasOptionalPlaces {
            throw Problem(
                "has places for virtual tokens in a part that may be left out; they are needed for every record",
                key: given.key)
        }
    }
}

extension ExampleTemplates {
    /// The template of what is given rather than learned, and where it is set; nil where all is learned.
    public var given: (template: Template, key: String)? {
        switch self {
        case .completion(let prompt, _): (prompt, "data.prompt")
        case .labelled(let text, _): (text, "data.text")
        case .text, .conversation: nil
        }
    }
}
