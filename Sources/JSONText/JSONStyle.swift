/// How a JSON text is laid out.
public struct JSONStyle: Sendable {
    /// The spaces of each level, or nil for one line.
    public var indentation: Int?
    public var sortsKeys: Bool
    /// Whether everything but ASCII is written as `\uXXXX`.
    public var escapesNonASCII: Bool
    /// Whether a space follows commas and colons on one line.
    public var hasSpaces: Bool

    public init(indentation: Int?, sortsKeys: Bool, escapesNonASCII: Bool, hasSpaces: Bool) {
        self.indentation = indentation
        self.sortsKeys = sortsKeys
        self.escapesNonASCII = escapesNonASCII
        self.hasSpaces = hasSpaces
    }

    /// One line: `{"a": 1, "b": [2, 3]}`.
    public static let compact = JSONStyle(
        indentation: nil, sortsKeys: false, escapesNonASCII: false, hasSpaces: true)
    /// One line without a space: `{"a":1,"b":[2,3]}`.
    public static let tight = JSONStyle(
        indentation: nil, sortsKeys: false, escapesNonASCII: false, hasSpaces: false)
    /// The bytes of Python's `json.dumps(value, indent=2, sort_keys=True)`.
    public static let python = JSONStyle(indentation: 2, sortsKeys: true, escapesNonASCII: true, hasSpaces: true)
    /// Two spaces a level, the members in their order, text as it is.
    public static let indented = JSONStyle(
        indentation: 2, sortsKeys: false, escapesNonASCII: false, hasSpaces: true)
}

extension JSONValue {
    /// The value as text, without a line break at the end.
    public func text(_ style: JSONStyle) -> String { String(decoding: bytes(style), as: UTF8.self) }

    /// The value as UTF-8.
    public func bytes(_ style: JSONStyle) -> [UInt8] {
        var writer = JSONWriter(style: style)
        writer.write(self, level: 0)
        return writer.output
    }
}

private struct JSONWriter {
    let style: JSONStyle
    var output: [UInt8] = []

    init(style: JSONStyle) { self.style = style }

    mutating func write(_ value: JSONValue, level: Int) {
        switch value {
        case .null: append("null")
        case .boolean(let value): append(value ? "true" : "false")
        case .integer(let value): append(String(value))
        case .number(let value): append(value.isFinite ? shortestText(of: value) : "null")
        case .string(let value): writeString(value)
        case .array(let values):
            list(values, "[", "]", level) { $0.write($1, level: level + 1) }
        case .object(let members):
            let ordered =
                style.sortsKeys
                ? members.sorted { $0.key.unicodeScalars.lexicographicallyPrecedes($1.key.unicodeScalars) } : members
            list(ordered, "{", "}", level) { writer, member in
                writer.writeString(member.key)
                writer.append(writer.style.hasSpaces ? ": " : ":")
                writer.write(member.value, level: level + 1)
            }
        }
    }

    private mutating func list<Element>(
        _ elements: [Element], _ opening: String, _ closing: String, _ level: Int,
        _ body: (inout JSONWriter, Element) -> Void
    ) {
        append(opening)
        for (index, element) in elements.enumerated() {
            if index > 0 { append(style.hasSpaces && style.indentation == nil ? ", " : ",") }
            breakLine(level + 1)
            body(&self, element)
        }
        if !elements.isEmpty { breakLine(level) }
        append(closing)
    }

    private mutating func breakLine(_ level: Int) {
        guard let indentation = style.indentation else { return }
        output.append(UInt8(ascii: "\n"))
        output.append(contentsOf: repeatElement(UInt8(ascii: " "), count: indentation * level))
    }

    private mutating func append(_ text: String) { output.append(contentsOf: text.utf8) }

    private mutating func writeString(_ text: String) {
        output.append(UInt8(ascii: "\""))
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x22: append("\\\"")
            case 0x5C: append("\\\\")
            case 0x08: append("\\b")
            case 0x0C: append("\\f")
            case 0x0A: append("\\n")
            case 0x0D: append("\\r")
            case 0x09: append("\\t")
            case 0..<0x20: escape(UInt16(scalar.value))
            // Python leaves the delete character as it is.
            case 0x20..<0x80: output.append(UInt8(scalar.value))
            default:
                if style.escapesNonASCII {
                    for unit in UTF16.encode(scalar).unsafelyUnwrapped { escape(unit) }
                } else {
                    output.append(contentsOf: UTF8.encode(scalar).unsafelyUnwrapped)
                }
            }
        }
        output.append(UInt8(ascii: "\""))
    }

    private mutating func escape(_ unit: UInt16) {
        let digits = String(unit, radix: 16)
        append("\\u" + String(repeating: "0", count: 4 - digits.count) + digits)
    }
}

/// The shortest text that reads back as `value`, laid out as Python's `repr`: with an exponent below 1e-4 and from
/// 1e16 on, and always with a point or an exponent. `value` must be finite.
public func shortestText(of value: Double) -> String {
    // Swift finds the same digits but changes to the exponent at another place (2^54).
    var digits = ""
    var exponent = 0
    var point: Int?
    let parts = value.magnitude.description.split(separator: "e")
    for character in parts[0] {
        if character == "." { point = digits.utf8.count } else { digits.append(character) }
    }
    exponent = (point ?? digits.utf8.count) - 1 + (parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
    let leading = digits.prefix { $0 == "0" }.count
    digits.removeFirst(leading)
    exponent -= leading
    while digits.last == "0" { digits.removeLast() }
    let sign = value.sign == .minus ? "-" : ""
    if digits.isEmpty { return sign + "0.0" }
    if exponent < -4 || exponent >= 16 {
        let fraction = digits.dropFirst()
        let magnitude = String(exponent.magnitude)
        return sign + digits.prefix(1) + (fraction.isEmpty ? "" : "." + fraction) + (exponent < 0 ? "e-" : "e+")
            + (magnitude.count < 2 ? "0" : "") + magnitude
    }
    if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits }
    let count = digits.utf8.count
    if count <= exponent + 1 { return sign + digits + String(repeating: "0", count: exponent + 1 - count) + ".0" }
    return sign + digits.prefix(exponent + 1) + "." + digits.dropFirst(exponent + 1)
}
