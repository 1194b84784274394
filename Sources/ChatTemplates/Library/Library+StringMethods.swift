extension Library {
    static func callString(
        _ name: String, _ text: String, _ receiver: Value, _ arguments: CallArguments, _ renderer: Renderer
    ) throws -> Value {
        if name == "format" || name == "format_map" {
            return try BraceFormat.format(receiver, text, name, arguments, renderer)
        }
        if !arguments.keywords.isEmpty, !["split", "rsplit", "splitlines", "expandtabs"].contains(name) {
            throw Failure("the method '\(name)' takes arguments by place only")
        }
        if let plain = stringTransforms[name] {
            _ = try arguments.bound(to: [], of: "the method '\(name)'")
            return .text(plain(text), like: receiver)
        }
        if let test = stringTests[name] {
            _ = try arguments.bound(to: [], of: "the method '\(name)'")
            return .boolean(test(text))
        }
        let method = StringMethod(name: name, text: text, receiver: receiver, arguments: arguments)
        switch name {
        case "strip", "lstrip", "rstrip": return try method.strip()
        case "split", "rsplit": return try method.split(renderer)
        case "splitlines": return try method.splitLines(renderer)
        case "partition", "rpartition": return try method.partition()
        case "replace": return try method.replace(renderer)
        case "join": return try method.join(renderer)
        case "startswith", "endswith": return try method.startsOrEnds()
        case "find", "rfind", "index", "rindex", "count": return try method.find()
        case "removeprefix", "removesuffix": return try method.remove()
        case "center", "ljust", "rjust": return try method.pad()
        case "zfill": return try method.fillWithZeros()
        case "expandtabs": return try method.expandTabs()
        default: throw Failure("the method '\(name)' of \(receiver.kindName) isn't supported")
        }
    }

    private static let stringTransforms: [String: @Sendable (String) -> String] = [
        "upper": { $0.pythonUppercased }, "lower": { $0.pythonLowercased }, "title": { $0.pythonTitlecased },
        "capitalize": { $0.pythonCapitalized }, "swapcase": { $0.pythonSwapcased },
    ]

    private static let stringTests: [String: @Sendable (String) -> Bool] = [
        "isalnum": { $0.isPythonAlphanumeric }, "isalpha": { $0.isPythonAlphabetic }, "isascii": { $0.isPythonASCII },
        "isdecimal": { $0.isPythonDecimal }, "isdigit": { $0.isPythonDigit }, "islower": { $0.isPythonLower },
        "isidentifier": { $0.isPythonIdentifier }, "isnumeric": { $0.isPythonNumeric },
        "isprintable": { $0.isPythonPrintable }, "isspace": { $0.isPythonSpace }, "istitle": { $0.isPythonTitle },
        "isupper": { $0.isPythonUpper },
    ]
}

/// A call of a method of a string that takes arguments.
private struct StringMethod {
    let name: String
    let text: String
    let receiver: Value
    let arguments: CallArguments

    private var owner: String { "the method '\(name)'" }

    private func bound(_ names: [String], required: Int = 0) throws -> [Value?] {
        try arguments.bound(to: names, required: required, of: owner)
    }

    private func string(_ value: Value?) throws -> String {
        if case .undefined(let undefined)? = value { throw Failure(undefined.reason) }
        guard let text = value?.text else { throw Failure("\(owner) needs a string, not \((value ?? .none).kindName)") }
        return text
    }

    /// A string that is escaped where the text itself is markup.
    private func escaped(_ value: Value?) throws -> String {
        if receiver.isMarkup, let value, value.text == nil { return try value.printed().escapedForHTML }
        let text = try string(value)
        return receiver.isMarkup && value?.isMarkup != true ? text.escapedForHTML : text
    }

    private func like(_ text: String) -> Value { .text(text, like: receiver) }

    func strip() throws -> Value {
        let characters = try Library.optionalText(try bound(["chars"])[0], "chars")
        return like(text.stripped(characters, start: name != "rstrip", end: name != "lstrip"))
    }

    func split(_ renderer: Renderer) throws -> Value {
        let parts = try bound(["sep", "maxsplit"])
        let limit = try Library.integer(parts[1], "maxsplit", otherwise: -1)
        let isReversed = name == "rsplit"
        var pieces: [String]
        if let separator = try Library.optionalText(parts[0], "sep") {
            if separator.isEmpty { throw Failure("\(owner) needs a separator that isn't empty") }
            pieces = text.split(at: separator, limit: limit, fromEnd: isReversed)
        } else {
            pieces = text.splitAtSpace(limit: limit, fromEnd: isReversed)
        }
        try renderer.spend(pieces.count)
        return try .list(pieces.map(like))
    }

    func splitLines(_ renderer: Renderer) throws -> Value {
        let keepsEnds = try Library.flag(try bound(["keepends"])[0], "keepends")
        let lines = text.splitLines(keepingEnds: keepsEnds)
        try renderer.spend(lines.count)
        return try .list(lines.map(like))
    }

    func partition() throws -> Value {
        let separator = try string(try bound(["sep"], required: 1)[0])
        if separator.isEmpty { throw Failure("\(owner) needs a separator that isn't empty") }
        let isReversed = name == "rpartition"
        let pieces = text.split(at: separator, limit: 1, fromEnd: isReversed)
        let parts =
            pieces.count == 2 ? [pieces[0], separator, pieces[1]] : isReversed ? ["", "", text] : [text, "", ""]
        return try .tuple(parts.map(like))
    }

    func replace(_ renderer: Renderer) throws -> Value {
        let parts = try bound(["old", "new", "count"], required: 2)
        let limit = try Library.integer(parts[2], "count", otherwise: -1)
        let result = try text.replacing(try string(parts[0]), by: try escaped(parts[1]), limit: limit)
        try renderer.spend(bytes: result.utf8.count)
        return like(result)
    }

    func join(_ renderer: Renderer) throws -> Value {
        var elements = try ElementSequence(of: try bound(["iterable"], required: 1)[0] ?? .none)
        var (result, isFirst) = ("", true)
        while let element = try elements.next() {
            guard receiver.isMarkup || element.text != nil else {
                throw Failure("\(owner) needs strings to join, not \(element.kindName)")
            }
            let part = try escaped(element)
            try renderer.spend(1 + (part.utf8.count + text.utf8.count) / 32)
            try checkLength(result.utf8.count, adding: 1, part.utf8.count + text.utf8.count)
            result += (isFirst ? "" : text) + part
            isFirst = false
        }
        return like(result)
    }

    /// The part of the text that `start` and `end` leave, and how many characters lie before it; nil where it begins behind
    /// the text's end.
    private func part(_ start: Value?, _ end: Value?) throws -> (text: String, offset: Int)? {
        func bound(_ value: Value?, _ otherwise: Int) throws -> Int {
            value?.isNone == false ? try Library.integer(value, "start", otherwise: 0) : otherwise
        }
        if start == nil, end == nil { return (text, 0) }
        let count = text.scalarCount
        let first = try bound(start, 0)
        if first > count { return nil }
        let (from, to) = (Library.clamp(first, count), Library.clamp(try bound(end, .max), count))
        if from > to { return nil }
        return (String(text.unicodeScalars.dropFirst(from).prefix(to - from)), from)
    }

    func startsOrEnds() throws -> Value {
        let parts = try bound(["prefix", "start", "end"], required: 1)
        let candidates: [String]
        if case .tuple(let tuple)? = parts[0] {
            candidates = try tuple.items.map { try string($0) }
        } else {
            candidates = [try string(parts[0])]
        }
        guard let (part, _) = try part(parts[1], parts[2]) else { return .boolean(false) }
        return .boolean(candidates.contains { name == "startswith" ? part.starts(with: $0) : part.ends(with: $0) })
    }

    func find() throws -> Value {
        let parts = try bound(["sub", "start", "end"], required: 1)
        let wanted = try string(parts[0])
        let part = try part(parts[1], parts[2])
        if name == "count" { return .integer(part.map { count(wanted, in: $0.text) } ?? 0) }
        let isReversed = name.hasPrefix("r")
        let place = part.flatMap { part in
            let offset =
                wanted.isEmpty
                ? (isReversed ? part.text.utf8.count : 0)
                : isReversed ? part.text.offsetsFromEnd(of: wanted, limit: 1).first : part.text.firstOffset(of: wanted)
            return offset.map { part.offset + part.text.bytes(0..<$0).scalarCount }
        }
        if place == nil, name.hasSuffix("index") { throw Failure("\(owner) finds no \(wanted.debugDescription)") }
        return .integer(place ?? -1)
    }

    private func count(_ wanted: String, in text: String) -> Int {
        wanted.isEmpty ? text.scalarCount + 1 : text.offsets(of: wanted).count
    }

    func remove() throws -> Value {
        let part = try string(try bound(["prefix"], required: 1)[0])
        if name == "removeprefix" {
            return like(text.starts(with: part) ? text.bytes(part.utf8.count..<text.utf8.count) : text)
        }
        return like(text.ends(with: part) ? text.bytes(0..<text.utf8.count - part.utf8.count) : text)
    }

    func pad() throws -> Value {
        let parts = try bound(["width", "fillchar"], required: 1)
        let width = try Library.integer(parts[0], "width", otherwise: 0)
        let fill = try parts[1].map { try escaped($0) } ?? " "
        if fill.scalarCount != 1 { throw Failure("\(owner) needs one character to fill with") }
        return like(try text.padded(width, fill, left: name != "ljust", right: name != "rjust"))
    }

    func fillWithZeros() throws -> Value {
        let width = try Library.integer(try bound(["width"], required: 1)[0], "width", otherwise: 0)
        let hasSign = text.utf8.first == UInt8(ascii: "-") || text.utf8.first == UInt8(ascii: "+")
        let sign = hasSign ? text.bytes(0..<1) : ""
        let digits = hasSign ? text.bytes(1..<text.utf8.count) : text
        let room = width <= Limits.textLength ? width - sign.utf8.count : Limits.textLength + 1
        return like(sign + (try digits.padded(room, "0", left: true, right: false)))
    }

    func expandTabs() throws -> Value {
        let size = try Library.integer(try bound(["tabsize"])[0], "tabsize", otherwise: 8)
        var (result, column) = ("", 0)
        for scalar in text.unicodeScalars {
            if scalar == "\t" {
                let count = size > 0 ? size - column % size : 0
                try checkLength(result.utf8.count, adding: count, 1)
                result += try " ".repeated(count)
                column += count
            } else {
                result.unicodeScalars.append(scalar)
                column = scalar == "\n" || scalar == "\r" ? 0 : column + 1
            }
        }
        return like(result)
    }
}
