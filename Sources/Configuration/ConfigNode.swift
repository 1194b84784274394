public import Diagnostics

/// A value of a configuration with the place where it was written.
public struct ConfigNode: Sendable, Hashable {
    public enum Content: Sendable, Hashable {
        /// Absent, as if the key weren't there: `null`, `~` or nothing.
        case null
        /// A number, a word or a text; `isQuoted` where it can only be text.
        case scalar(String, isQuoted: Bool)
        case list([ConfigNode])
        /// The entries in their order.
        case mapping([Entry])
    }

    public struct Entry: Sendable, Hashable {
        public var key: String
        public var keyPlace: Place
        public var value: ConfigNode

        public init(key: String, keyPlace: Place, value: ConfigNode) {
            self.key = key
            self.keyPlace = keyPlace
            self.value = value
        }
    }

    /// Where something was written.
    public enum Place: Sendable, Hashable {
        case file(String?, TextPosition?)
        /// On the command line; the whole option as messages show it, and the text of its value.
        case override(option: String, text: String)
    }

    public var content: Content
    public var place: Place

    public init(_ content: Content, place: Place) {
        self.content = content
        self.place = place
    }

    var isNull: Bool { content == .null }

    /// The value as a message shows it.
    var summary: String {
        switch content {
        case .null: "nothing"
        case .scalar(let text, let isQuoted):
            isQuoted && (integer(text) != nil || number(text) != nil || boolean(text) != nil)
                ? "the text '\(text)' in quotation marks"
                : isQuoted || (number(text) == nil && boolean(text) == nil) ? "'\(text)'" : text
        case .list: "a list"
        case .mapping: "a mapping"
        }
    }
}

extension ConfigNode.Place {
    func problem(_ message: String, key: String?) -> Problem {
        switch self {
        case .file(let file, let position): Problem(message, file: file, position: position, key: key)
        case .override(let option, _): Problem(message, file: option, key: key)
        }
    }
}

/// The integer that plain text stands for.
func integer(_ text: String) -> Int? { text.utf8.allSatisfy { isDigit($0) || isSign($0) } ? Int(text) : nil }

/// The number that plain text stands for; unlike YAML 1.1, `1e-4` needs no point.
func number(_ text: String) -> Double? {
    guard text.utf8.contains(where: isDigit),
        text.utf8.allSatisfy({ isDigit($0) || isSign($0) || $0 | 0x20 == UInt8(ascii: "e") || $0 == UInt8(ascii: ".") })
    else { return nil }
    return Double(text)
}

/// The boolean that plain text stands for where one is asked for, in all spellings of YAML 1.1; elsewhere they are
/// words.
func boolean(_ text: String) -> Bool? {
    switch text {
    case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON": true
    case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF": false
    default: nil
    }
}

/// How a number that is written otherwise than here would be written: `1_000`, `0,5`.
func respelledNumber(_ text: String) -> String? {
    let plain = text.replacing("_", with: "")
    if plain != text, number(plain) != nil { return plain }
    let pointed = text.replacing(",", with: ".")
    return pointed != text && number(pointed) != nil ? pointed : nil
}

private func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
private func isSign(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") }
