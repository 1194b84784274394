import JSONText

/// What Python's `json.dumps` gives, as transformers calls it for `tojson`.
struct JSONDump {
    var escapesNonASCII = false
    /// What each level is indented by; nil where all is on one line.
    var indentation: String?
    var itemSeparator = ", "
    var keySeparator = ": "
    var sortsKeys = false
    private var text = ""

    init(_ arguments: [Value?]) throws {
        escapesNonASCII = arguments[0]?.isTrue ?? false
        switch arguments[1] {
        case nil, Value.none?: break
        case let value?:
            if let width = value.index {
                indentation = try " ".repeated(width)
            } else if let text = value.text {
                indentation = text
            } else {
                throw Failure("'indent' of 'tojson' needs a number or a string, not \(value.kindName)")
            }
            itemSeparator = ","
        }
        if let separators = arguments[2], !separators.isNone {
            var sequence = try ElementSequence(of: separators)
            var parts: [String] = []
            while parts.count < 3, let part = try sequence.next()?.text { parts.append(part) }
            guard parts.count == 2 else { throw Failure("'separators' of 'tojson' needs two strings") }
            (itemSeparator, keySeparator) = (parts[0], parts[1])
        }
        sortsKeys = arguments[3]?.isTrue ?? false
    }

    mutating func dump(_ value: Value) throws -> String {
        try write(value, level: 0)
        return text
    }

    private mutating func write(_ value: Value, level: Int) throws {
        if text.utf8.count > Limits.textLength { throw Failure.textTooLong }
        switch value {
        case .none: text += "null"
        case .boolean(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .number(let value): text += Self.number(value)
        case .string(let string), .markup(let string): write(string)
        case .list(let list): try write(list.items, level)
        case .tuple(let tuple): try write(tuple.items, level)
        case .dictionary(let dictionary): try write(dictionary, level)
        case .undefined(let undefined):
            throw Failure("an undefined value can't be written as JSON: \(undefined.reason)")
        default: throw Failure("\(value.kindName) can't be written as JSON")
        }
    }

    private static func number(_ value: Double) -> String {
        value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : pythonText(of: value)
    }

    private mutating func write(_ items: [Value], _ level: Int) throws {
        text += "["
        for (index, item) in items.enumerated() {
            separate(index, level)
            try write(item, level: level + 1)
        }
        close("]", items.isEmpty, level)
    }

    private mutating func write(_ dictionary: DictionaryValue, _ level: Int) throws {
        var order = Array(dictionary.keys.indices)
        if sortsKeys { order = try Sorting.sorted(dictionary.keys) { $0 } }
        text += "{"
        for (index, place) in order.enumerated() {
            separate(index, level)
            write(try name(dictionary.keys[place]))
            text += keySeparator
            try write(dictionary.values[place], level: level + 1)
        }
        close("}", order.isEmpty, level)
    }

    private func name(_ key: Value) throws -> String {
        switch key {
        case .string(let text), .markup(let text): return text
        case .none: return "null"
        case .boolean(let value): return value ? "true" : "false"
        case .integer(let value): return String(value)
        case .number(let value): return Self.number(value)
        default: throw Failure("\(key.kindName) can't be a key in JSON")
        }
    }

    private mutating func separate(_ index: Int, _ level: Int) {
        if index > 0 { text += itemSeparator }
        breakLine(level + 1)
    }

    private mutating func close(_ mark: String, _ isEmpty: Bool, _ level: Int) {
        if !isEmpty { breakLine(level) }
        text += mark
    }

    private mutating func breakLine(_ level: Int) {
        guard let indentation else { return }
        text += "\n"
        for _ in 0..<level { text += indentation }
    }

    private mutating func write(_ string: String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{8}": text += "\\b"
            case "\u{C}": text += "\\f"
            default:
                if scalar.value < 0x20 || escapesNonASCII && scalar.value > 0x7E {
                    for unit in UTF16.encode(scalar) ?? .init() {
                        let digits = String(unit, radix: 16)
                        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                    }
                } else {
                    text.unicodeScalars.append(scalar)
                }
            }
        }
        text += "\""
    }
}

/// Python's `sorted`.
enum Sorting {
    /// The places of `values` in the order of their keys; equal ones keep theirs.
    static func sorted(
        _ values: [Value], isReversed: Bool = false, key: (Value) throws -> Value
    ) throws -> [Int] {
        let keys = try values.map(key)
        return try keys.indices.sorted { a, b in
            let order = try keys[a].order(keys[b])
            if order == .less { return !isReversed }
            if order == .greater { return isReversed }
            return a < b
        }
    }
}
