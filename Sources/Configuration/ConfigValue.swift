import JSONText

/// A value without its place, to be written as YAML.
public enum ConfigValue: Sendable, Hashable {
    public struct Entry: Sendable, Hashable {
        public var key: String
        public var value: ConfigValue

        public init(_ key: String, _ value: ConfigValue) {
            self.key = key
            self.value = value
        }
    }

    case null
    case boolean(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case list([ConfigValue])
    case mapping([Entry])

    /// The value of a node.
    public init(_ node: ConfigNode) {
        switch node.content {
        case .null: self = .null
        case .scalar(let text, isQuoted: true): self = .string(text)
        case .scalar(let text, isQuoted: false):
            if let value = Configuration.integer(text) {
                self = .integer(value)
            } else if let value = Configuration.number(text) {
                self = .number(value)
            } else if text == "true" || text == "false" {
                self = .boolean(text == "true")
            } else {
                self = .string(text)
            }
        case .list(let nodes): self = .list(nodes.map { ConfigValue($0) })
        case .mapping(let entries): self = .mapping(entries.map { Entry($0.key, ConfigValue($0.value)) })
        }
    }

    mutating func set(_ path: ArraySlice<String>, to value: ConfigValue) {
        guard let key = path.first else {
            self = value
            return
        }
        var entries: [Entry] = if case .mapping(let existing) = self { existing } else { [] }
        if let index = entries.firstIndex(where: { $0.key == key }) {
            entries[index].value.set(path.dropFirst(), to: value)
        } else {
            var child = ConfigValue.mapping([])
            child.set(path.dropFirst(), to: value)
            entries.append(Entry(key, child))
        }
        self = .mapping(entries)
    }

    /// The value as YAML lines, mappings in block style and lists in brackets, with a line break at the end.
    public func yaml() -> String {
        guard case .mapping(let entries) = self, !entries.isEmpty else { return flow() + "\n" }
        var text = ""
        Self.write(entries, indentation: "", to: &text)
        return text
    }

    private static func write(_ entries: [Entry], indentation: String, to text: inout String) {
        for entry in entries {
            text += indentation + ConfigValue.string(entry.key).flow() + ":"
            if case .mapping(let children) = entry.value, !children.isEmpty {
                text += "\n"
                write(children, indentation: indentation + "  ", to: &text)
            } else {
                text += " " + entry.value.flow() + "\n"
            }
        }
    }

    /// The value as YAML on one line.
    public func flow() -> String {
        switch self {
        case .null: return "null"
        case .boolean(let value): return value ? "true" : "false"
        case .integer(let value): return String(value)
        case .number(let value): return Self.text(of: value)
        case .string(let value): return Self.isPlain(value) ? value : Self.quoted(value)
        case .list(let values): return "[" + values.map { $0.flow() }.joined(separator: ", ") + "]"
        case .mapping(let entries):
            return "{"
                + entries.map { "\(ConfigValue.string($0.key).flow()): \($0.value.flow())" }
                .joined(separator: ", ") + "}"
        }
    }

    /// YAML 1.1, which Python's reader speaks, takes 5e-05 for a string and 5.0e-05 for a number.
    private static func text(of value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? ".nan" : value < 0 ? "-.inf" : ".inf" }
        let text = shortestText(of: value)
        guard let exponent = text.firstIndex(of: "e"), !text.contains(".") else { return text }
        return text[..<exponent] + ".0" + text[exponent...]
    }

    private static let words: Set<String> = [
        "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity",
    ]

    /// Whether text needs no quotation marks in any YAML.
    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.utf8.first, isLetter(first) || first == UInt8(ascii: "_") || first == UInt8(ascii: "/")
        else { return false }
        return text.utf8.allSatisfy {
            isLetter($0) || $0 &- UInt8(ascii: "0") < 10 || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-")
                || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "/")
        } && !words.contains(text.lowercased())
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- UInt8(ascii: "a") < 26 }

    /// Text in double quotes, with escapes for what YAML doesn't call printable or may fold.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x22: result += "\\\""
            case 0x5C: result += "\\\\"
            case 0x0A: result += "\\n"
            case 0x0D: result += "\\r"
            case 0x09: result += "\\t"
            case 0x20..<0x7F, 0xA0..<0x2028, 0x202A..<0xFEFF, 0xFF00..<0xFFFE, 0x10000...:
                result.unicodeScalars.append(scalar)
            default:
                let digits = String(scalar.value, radix: 16, uppercase: true)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return result + "\""
    }
}
