import JSONText

extension Value {
    /// What Python's `str` gives, and so what is printed.
    func printed() throws -> String {
        switch self {
        case .undefined: return ""
        case .string(let text), .markup(let text): return text
        default:
            var text = ""
            try represent(into: &text, depth: 0)
            return text
        }
    }

    /// What Python's `repr` gives.
    func represented() throws -> String {
        var text = ""
        try represent(into: &text, depth: 0)
        return text
    }

    private func represent(into text: inout String, depth: Int) throws {
        // A namespace may hold itself.
        if depth > Limits.valueDepth { throw Failure("the value nests too deep to be printed") }
        if text.utf8.count > Limits.textLength { throw Failure.textTooLong }
        switch self {
        case .undefined: text += "Undefined"
        case .none: text += "None"
        case .boolean(let value): text += value ? "True" : "False"
        case .integer(let value): text += String(value)
        case .number(let value): text += pythonText(of: value)
        case .string(let string): string.representPython(into: &text)
        case .markup(let string):
            text += "Markup("
            string.representPython(into: &text)
            text += ")"
        case .list(let list): try Self.represent(list.items, "[", "]", &text, depth)
        case .tuple(let tuple): try Self.represent(tuple.items, "(", tuple.items.count == 1 ? ",)" : ")", &text, depth)
        case .dictionary(let dictionary): try Self.represent(dictionary, &text, depth)
        case .view(let view):
            text += "dict_\(view.kind.rawValue)("
            try Self.represent(try view.elements(), "[", "]", &text, depth)
            text += ")"
        case .range(let range):
            text += "range(\(range.start), \(range.shownStop)" + (range.step == 1 ? ")" : ", \(range.step))")
        case .namespace(let namespace):
            text += "<Namespace "
            try Self.represent(try DictionaryValue(namespace), &text, depth)
            text += ">"
        case .loop(let loop): text += "<LoopContext \(loop.index0 + 1)/\(try loop.count())>"
        case .function(let function):
            guard case .macro(let macro, _) = function.kind else { throw cannotPrint }
            text += "<Macro " + (macro.name.map { "'\($0)'" } ?? "anonymous") + ">"
        case .iterator: throw cannotPrint
        }
    }

    private var cannotPrint: Failure {
        switch self {
        case .iterator: Failure("what a filter gives one by one can't be printed; make a list of it by '| list'")
        default: Failure("\(kindName) can't be printed; is a call of it missing, '()'?")
        }
    }

    private static func represent(
        _ items: [Value], _ opening: String, _ closing: String, _ text: inout String, _ depth: Int
    ) throws {
        text += opening
        for (index, item) in items.enumerated() {
            if index > 0 { text += ", " }
            try item.represent(into: &text, depth: depth + 1)
        }
        text += closing
    }

    private static func represent(_ dictionary: DictionaryValue, _ text: inout String, _ depth: Int) throws {
        text += "{"
        for (index, key) in dictionary.keys.enumerated() {
            if index > 0 { text += ", " }
            try key.represent(into: &text, depth: depth + 1)
            text += ": "
            try dictionary.values[index].represent(into: &text, depth: depth + 1)
        }
        text += "}"
    }
}

extension Failure {
    static var textTooLong: Failure { Failure("a text becomes longer than \(Limits.textLength) bytes") }
}

/// What Python's `repr` gives for a float.
func pythonText(of value: Double) -> String {
    if value.isNaN { return "nan" }
    if value.isInfinite { return value < 0 ? "-inf" : "inf" }
    return shortestText(of: value)
}

extension String {
    /// Appends what Python's `repr` gives: in single quotes unless that takes more escapes.
    func representPython(into text: inout String) {
        let quote: UnicodeScalar = unicodeScalars.contains("'") && !unicodeScalars.contains("\"") ? "\"" : "'"
        text.unicodeScalars.append(quote)
        for scalar in unicodeScalars {
            switch scalar {
            case quote, "\\":
                text += "\\"
                text.unicodeScalars.append(scalar)
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            default:
                if scalar.isPythonPrintable {
                    text.unicodeScalars.append(scalar)
                } else {
                    text += scalar.pythonEscape
                }
            }
        }
        text.unicodeScalars.append(quote)
    }
}

extension UnicodeScalar {
    /// Whether `str.isprintable` holds.
    var isPythonPrintable: Bool {
        if value < 0x7F { return value >= 0x20 }
        return switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            false
        default: true
        }
    }

    /// The escape with `\x`, `\u` or `\U`.
    var pythonEscape: String {
        let digits = String(value, radix: 16)
        let (mark, width) = value < 0x100 ? ("x", 2) : value < 0x10000 ? ("u", 4) : ("U", 8)
        return "\\" + mark + String(repeating: "0", count: width - digits.count) + digits
    }
}
