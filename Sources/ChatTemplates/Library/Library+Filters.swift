extension Library {
    static let filters: [String: Filter] = textFilters.merging(elementFilters) { $1 }.merging(valueFilters) { $1 }

    private static func text(_ name: String, _ body: @escaping @Sendable (String) -> String) -> Filter {
        { value, arguments, _ in
            _ = try bind(arguments, name, [])
            return try mapText(value, body)
        }
    }

    /// Filters of texts.
    private static let textFilters: [String: Filter] = [
        "upper": text("upper") { $0.pythonUppercased },
        "lower": text("lower") { $0.pythonLowercased },
        "capitalize": text("capitalize") { $0.pythonCapitalized },
        "string": text("string") { $0 },
        "title": { value, arguments, _ in
            _ = try bind(arguments, "title", [])
            return .string(title(try value.printed()))
        },
        "trim": { value, arguments, _ in
            let characters = try bind(arguments, "trim", ["chars"])[0]
            return try mapText(value) { $0.stripped(try optionalText(characters, "chars"), start: true, end: true) }
        },
        "replace": { value, arguments, renderer in
            let parts = try bind(arguments, "replace", ["old", "new", "count"], required: 2)
            let limit = parts[2].map { $0.isNone } == true ? -1 : try integer(parts[2], "count", otherwise: -1)
            let (old, new) = (try (parts[0] ?? .none).printed(), try (parts[1] ?? .none).printed())
            let result = try value.printed().replacing(old, by: new, limit: limit)
            try renderer.spend(bytes: result.utf8.count)
            return .string(result)
        },
        "indent": indent,
        "center": { value, arguments, _ in
            let width = try integer(try bind(arguments, "center", ["width"])[0], "width", otherwise: 80)
            return try mapText(value) { try $0.padded(width, " ", left: true, right: true) }
        },
        "truncate": truncate,
        "wordcount": { value, arguments, _ in
            _ = try bind(arguments, "wordcount", [])
            return .integer(wordCount(try value.printed()))
        },
        "format": { value, arguments, renderer in
            if !arguments.positional.isEmpty, !arguments.keywords.isEmpty {
                throw Failure("the filter 'format' takes arguments by place or by name, not both")
            }
            let names = arguments.keywords.map { (Value.string($0.name), $0.value) }
            let values: Value =
                names.isEmpty ? try .tuple(arguments.positional) : .dictionary(try DictionaryValue(names))
            return try PercentFormat.format(try softText(value), values, renderer)
        },
        "escape": escape("escape"), "e": escape("e"),
        "forceescape": { value, arguments, _ in
            _ = try bind(arguments, "forceescape", [])
            return .markup(try value.printed().escapedForHTML)
        },
        "safe": { value, arguments, _ in
            _ = try bind(arguments, "safe", [])
            return .markup(try value.printed())
        },
        "urlencode": urlEncode,
    ]

    private static func escape(_ name: String) -> Filter {
        { value, arguments, _ in
            _ = try bind(arguments, name, [])
            return .markup(value.isMarkup ? value.text ?? "" : try value.printed().escapedForHTML)
        }
    }

    static func optionalText(_ value: Value?, _ name: String) throws -> String? {
        guard let value, !value.isNone else { return nil }
        guard let text = value.text else { throw Failure("'\(name)' needs a string, not \(value.kindName)") }
        return text
    }

    /// Words begin behind spaces, hyphens and opening brackets.
    private static func title(_ text: String) -> String {
        var result = ""
        var word = ""
        func flush() {
            guard let first = word.unicodeScalars.first else { return }
            result += first.properties.uppercaseMapping + String(word.unicodeScalars.dropFirst()).pythonLowercased
            word = ""
        }
        for scalar in text.unicodeScalars {
            if scalar.isPythonSpace || "-({[<".unicodeScalars.contains(scalar) {
                flush()
                result.unicodeScalars.append(scalar)
            } else {
                word.unicodeScalars.append(scalar)
            }
        }
        flush()
        return result
    }

    private static let indent: Filter = { value, arguments, renderer in
        let parts = try bind(arguments, "indent", ["width", "first", "blank"])
        guard let text = value.text else {
            if case .undefined(let undefined) = value { throw Failure(undefined.reason) }
            throw Failure("the filter 'indent' needs a string, not \(value.kindName)")
        }
        var indentation = "    "
        if let width = parts[0] {
            indentation = try width.text ?? " ".repeated(try integer(width, "width", otherwise: 4))
            if value.isMarkup, width.text != nil, !width.isMarkup { indentation = indentation.escapedForHTML }
        }
        let (first, blank) = (parts[1]?.isTrue ?? false, parts[2]?.isTrue ?? false)
        let lines = (text + "\n").splitLines(keepingEnds: false)
        try renderer.spend(lines.count)
        try checkLength(text.utf8.count, adding: lines.count, indentation.utf8.count + 1)
        var result = ""
        for (index, line) in lines.enumerated() {
            if index > 0 { result += "\n" }
            if index > 0 ? blank || !line.isEmpty : first { result += indentation }
            result += line
        }
        try renderer.spend(bytes: result.utf8.count)
        return .text(result, like: value)
    }

    private static let truncate: Filter = { value, arguments, _ in
        let parts = try bind(arguments, "truncate", ["length", "killwords", "end", "leeway"])
        let length = try integer(parts[0], "length", otherwise: 255)
        let end = parts[2] ?? .string("...")
        let leeway = parts[3].map { $0.isNone } == true ? 5 : try integer(parts[3], "leeway", otherwise: 5)
        guard let ending = end.text else {
            throw Failure("'end' of the filter 'truncate' needs a string, not \(end.kindName)")
        }
        if length < ending.scalarCount || leeway < 0 {
            throw Failure("the filter 'truncate' needs a length that its end fits into")
        }
        if try count(value, "the filter 'truncate'") - leeway <= length { return value }
        guard let text = value.text else {
            throw Failure("the filter 'truncate' needs a string, not \(value.kindName)")
        }
        var kept = String(text.unicodeScalars.prefix(length - ending.scalarCount))
        if !(parts[1]?.isTrue ?? false) { kept = kept.split(at: " ", limit: 1, fromEnd: true)[0] }
        return .text(kept + (value.isMarkup && !end.isMarkup ? ending.escapedForHTML : ending), like: value)
    }

    private static func wordCount(_ text: String) -> Int {
        var count = 0
        var isInWord = false
        for scalar in text.unicodeScalars {
            let isPart = scalar == "_" || scalar.isPythonLetter || scalar.properties.numericType != nil
            if isPart, !isInWord { count += 1 }
            isInWord = isPart
        }
        return count
    }

    private static let urlEncode: Filter = { value, arguments, renderer in
        _ = try bind(arguments, "urlencode", [])
        if value.text != nil { return .string(quoted(try value.printed(), isQuery: false)) }
        let pairs: [Value]
        switch value {
        case .dictionary(let dictionary): pairs = try DictionaryView(kind: .items, dictionary: dictionary).elements()
        case .list, .tuple, .view, .iterator, .range, .undefined: pairs = try renderer.elements(of: value)
        default: return .string(quoted(try value.printed(), isQuery: false))
        }
        return .string(
            try pairs.map { pair in
                let parts = try renderer.elements(of: pair)
                if parts.count != 2 { throw Failure("the filter 'urlencode' needs pairs of keys and values") }
                return try parts.map { quoted(try $0.printed(), isQuery: true) }.joined(separator: "=")
            }.joined(separator: "&"))
    }

    private static func quoted(_ text: String, isQuery: Bool) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"),
                UInt8(ascii: "~"):
                result.unicodeScalars.append(UnicodeScalar(byte))
            case UInt8(ascii: "/") where !isQuery: result += "/"
            case UInt8(ascii: " ") where isQuery: result += "+"
            default: result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return result
    }
}
