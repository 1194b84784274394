/// A regular expression as Oniguruma writes them, which the tokenizers library uses, parsed.
indirect enum ExpressionNode {
    case characters(CodePointSet)
    case sequence([ExpressionNode])
    case alternatives([ExpressionNode])
    case repeated(ExpressionNode, least: Int, most: Int?, Greed)
    /// A character that must, or must not, stand in front or behind; nil for the text's edge, which only `isNegative` takes.
    case look(CodePointSet, isAhead: Bool, isNegative: Bool)

    enum Greed { case greedy, lazy, possessive }

    var canBeEmpty: Bool {
        switch self {
        case .characters: false
        case .look: true
        case .sequence(let parts): parts.allSatisfy(\.canBeEmpty)
        case .alternatives(let parts): parts.contains(where: \.canBeEmpty)
        case .repeated(let part, let least, _, _): least == 0 || part.canBeEmpty
        }
    }

    /// The characters with which a match can begin; nil where it can begin with none.
    var first: CodePointSet? {
        switch self {
        case .characters(let set): return set
        case .look: return nil
        case .alternatives(let parts):
            var union = CodePointSet()
            for part in parts {
                guard let first = part.first else { return nil }
                union = union.union(first)
            }
            return union
        case .sequence(let parts):
            var union = CodePointSet()
            for part in parts {
                if case .repeated(let inner, 0, _, _) = part, let first = inner.first {
                    union = union.union(first)
                    continue
                }
                guard let first = part.first else { return nil }
                return union.union(first)
            }
            return nil
        case .repeated(let part, let least, _, _): return least > 0 ? part.first : nil
        }
    }
}

/// What is wrong with an expression.
struct ExpressionError: Error {
    var message: String
    init(_ message: String) { self.message = message }
}

/// Reads the part of Oniguruma's grammar that patterns of tokenizers use.
struct SplitExpressionParser {
    private static let maximumDepth = 60

    private let text: [Unicode.Scalar]
    private var index = 0
    private var depth = 0
    private var ignoresCase = false

    init(_ source: String) { text = Array(source.unicodeScalars) }

    static func parse(_ source: String) throws(ExpressionError) -> ExpressionNode {
        var parser = SplitExpressionParser(source)
        let node = try parser.alternatives()
        if parser.index < parser.text.count { throw parser.unexpected() }
        return node
    }

    private var next: Unicode.Scalar? { index < text.count ? text[index] : nil }

    private func unexpected() -> ExpressionError {
        guard let next else { return ExpressionError("it ends too early") }
        return ExpressionError("'\(next)' at character \(index + 1) isn't expected or isn't supported")
    }

    private func unsupported(_ words: String) -> ExpressionError { ExpressionError("\(words) isn't supported") }

    private mutating func take(_ word: String) -> Bool {
        let word = Array(word.unicodeScalars)
        guard index + word.count <= text.count, Array(text[index..<index + word.count]) == word else { return false }
        index += word.count
        return true
    }

    private mutating func alternatives() throws(ExpressionError) -> ExpressionNode {
        depth += 1
        defer { depth -= 1 }
        if depth > Self.maximumDepth { throw ExpressionError("its groups are nested too deeply") }
        var parts = [try sequence()]
        while take("|") { parts.append(try sequence()) }
        return parts.count == 1 ? parts[0] : .alternatives(parts)
    }

    private mutating func sequence() throws(ExpressionError) -> ExpressionNode {
        var parts: [ExpressionNode] = []
        while let next, next != "|", next != ")" { parts.append(try repeats(try atom())) }
        return parts.count == 1 ? parts[0] : .sequence(parts)
    }

    private mutating func repeats(_ atom: ExpressionNode) throws(ExpressionError) -> ExpressionNode {
        let isCounted = next == "{"
        guard let (least, most) = try count() else { return atom }
        if case .look = atom { throw unsupported("a repeated look") }
        var greed = ExpressionNode.Greed.greedy
        if next == "?" || next == "+" {
            if isCounted { throw unsupported("'\(text[index])' behind a count") }
            greed = next == "?" ? .lazy : .possessive
            index += 1
        }
        if next == "*" || next == "+" || next == "?" || next == "{" { throw unsupported("a repeat of a repeat") }
        return .repeated(atom, least: least, most: most, greed)
    }

    private mutating func count() throws(ExpressionError) -> (least: Int, most: Int?)? {
        if take("*") { return (0, nil) }
        if take("+") { return (1, nil) }
        if take("?") { return (0, 1) }
        guard take("{") else { return nil }
        let least = number()
        var most = least
        if take(",") { most = number() } else if least == nil { throw unexpected() }
        guard take("}"), least != nil || most != nil else { throw unexpected() }
        if let least, let most, most < least { throw ExpressionError("a repeat's limits are the wrong way round") }
        if max(least ?? 0, most ?? 0) > 1000 { throw ExpressionError("a repeat of more than 1000 is too large") }
        return (least ?? 0, most)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let digit = next.flatMap({ Int(String($0)) }), (value ?? 0) < 100_000 {
            value = (value ?? 0) * 10 + digit
            index += 1
        }
        return value
    }

    private mutating func atom() throws(ExpressionError) -> ExpressionNode {
        guard let scalar = next else { throw unexpected() }
        switch scalar {
        case "(": return try group()
        case "[": return .characters(try characterClass())
        case "\\": return .characters(try cased(try escape()))
        case ".":
            index += 1
            return .characters(CodePointSet(10...10).inverted)
        case "*", "+", "?", "^", "$": throw unexpected()
        default:
            index += 1
            return .characters(try cased(CodePointSet(scalar.value...scalar.value)))
        }
    }

    private func cased(_ set: CodePointSet) throws(ExpressionError) -> CodePointSet {
        if !ignoresCase { return set }
        guard let cased = set.ignoringCase() else {
            throw unsupported("ignoring the case of other characters than ASCII's")
        }
        return cased
    }

    private mutating func group() throws(ExpressionError) -> ExpressionNode {
        let outer = ignoresCase
        defer { ignoresCase = outer }
        index += 1
        for (start, isAhead, isNegative) in [("?=", true, false), ("?!", true, true), ("?<=", false, false), ("?<!", false, true)]
        where take(start) {
            let node = try alternatives()
            guard take(")") else { throw unexpected() }
            guard case .characters(let set) = node else {
                throw unsupported("looking ahead or behind at more than one character")
            }
            return .look(set, isAhead: isAhead, isNegative: isNegative)
        }
        if take("?i:") {
            ignoresCase = true
        } else if take("?-i:") {
            ignoresCase = false
        } else if next == "?", !take("?:") {
            throw unexpected()
        }
        let node = try alternatives()
        guard take(")") else { throw unexpected() }
        if ignoresCase { try checkFolds(node) }
        return node
    }

    /// Letters that stand side by side may be one character where the case is ignored, as ß is ss.
    private func checkFolds(_ node: ExpressionNode) throws(ExpressionError) {
        switch node {
        case .characters, .look: return
        case .alternatives(let parts): for part in parts { try checkFolds(part) }
        case .repeated(let part, _, _, _): try checkFolds(part)
        case .sequence(let parts):
            for part in parts { try checkFolds(part) }
            func has(_ node: ExpressionNode, _ letters: String) -> Bool {
                guard let first = node.first else { return false }
                return letters.unicodeScalars.contains { letter in first.ranges.contains { $0.contains(letter.value) } }
            }
            for (left, right) in zip(parts, parts.dropFirst())
            where has(left, "s") && has(right, "st") || has(left, "f") && has(right, "fil") {
                throw unsupported("ignoring the case of letters that can be one character, as ss or ff,")
            }
        }
    }

    // MARK: classes

    private mutating func escape() throws(ExpressionError) -> CodePointSet {
        index += 1
        guard let scalar = next else { throw unexpected() }
        index += 1
        func one(_ code: UInt32) -> CodePointSet { CodePointSet(code...code) }
        switch scalar {
        case "s": return .spaces
        case "S": return .spaces.inverted
        case "d": return CodePointSet(categories: [.decimalNumber])
        case "D": return CodePointSet(categories: [.decimalNumber]).inverted
        case "p", "P": return try property(isInverted: scalar == "P")
        case "n": return one(10)
        case "r": return one(13)
        case "t": return one(9)
        case "f": return one(12)
        case "v": return one(11)
        case "a": return one(7)
        case "e": return one(27)
        case "x": return one(try hexadecimal())
        case "u": return one(try hexadecimal(digits: 4))
        default:
            guard scalar.value < 0x80, !scalar.properties.isAlphabetic, scalar.properties.numericType == nil else {
                throw unsupported("'\\\(scalar)'")
            }
            return one(scalar.value)
        }
    }

    private mutating func hexadecimal(digits: Int? = nil) throws(ExpressionError) -> UInt32 {
        let isBraced = digits == nil && take("{")
        var word = ""
        while let next, next.properties.isASCIIHexDigit, word.utf8.count < digits ?? (isBraced ? 8 : 2) {
            word.unicodeScalars.append(next)
            index += 1
        }
        if isBraced, !take("}") { throw unexpected() }
        guard digits == nil || word.utf8.count == digits, let code = UInt32(word, radix: 16), code <= 0x10FFFF else {
            throw unexpected()
        }
        return code
    }

    private mutating func property(isInverted: Bool) throws(ExpressionError) -> CodePointSet {
        guard take("{") else { throw unexpected() }
        var isInverted = isInverted
        if take("^") { isInverted.toggle() }
        var name = ""
        while let next, next != "}" {
            name.unicodeScalars.append(next)
            index += 1
        }
        guard take("}") else { throw unexpected() }
        guard let set = Self.set(ofProperty: name.lowercased()) else { throw unsupported("the property '\(name)'") }
        return isInverted ? set.inverted : set
    }

    private static func set(ofProperty name: String) -> CodePointSet? {
        switch name {
        case "l", "letter": .letters
        case "n", "number": .numbers
        default: categories[name].map { CodePointSet(categories: $0) }
        }
    }

    private static let categories: [String: Set<Unicode.GeneralCategory>] = {
        var table: [String: Set<Unicode.GeneralCategory>] = [
            "lu": [.uppercaseLetter], "ll": [.lowercaseLetter], "lt": [.titlecaseLetter], "lm": [.modifierLetter],
            "lo": [.otherLetter], "mn": [.nonspacingMark], "mc": [.spacingMark], "me": [.enclosingMark],
            "nd": [.decimalNumber], "nl": [.letterNumber], "no": [.otherNumber], "pc": [.connectorPunctuation],
            "pd": [.dashPunctuation], "ps": [.openPunctuation], "pe": [.closePunctuation],
            "pi": [.initialPunctuation], "pf": [.finalPunctuation], "po": [.otherPunctuation],
            "sm": [.mathSymbol], "sc": [.currencySymbol], "sk": [.modifierSymbol], "so": [.otherSymbol],
            "zs": [.spaceSeparator], "zl": [.lineSeparator], "zp": [.paragraphSeparator],
        ]
        let names = table.keys
        for (letter, word) in [("m", "mark"), ("p", "punctuation"), ("s", "symbol"), ("z", "separator")] {
            let union = names.filter { $0.hasPrefix(letter) }.reduce(into: Set()) { $0.formUnion(table[$1] ?? []) }
            table[letter] = union
            table[word] = union
        }
        return table
    }()

    private mutating func characterClass() throws(ExpressionError) -> CodePointSet {
        depth += 1
        defer { depth -= 1 }
        if depth > Self.maximumDepth { throw ExpressionError("its groups are nested too deeply") }
        index += 1
        let isInverted = take("^")
        var set = CodePointSet()
        var intersected: CodePointSet?
        var isFirst = true
        while true {
            guard let scalar = next else { throw unexpected() }
            if scalar == "]", !isFirst { break }
            isFirst = false
            if take("&&") {
                intersected = intersected?.intersection(set) ?? set
                set = CodePointSet()
                continue
            }
            if scalar == "[" {
                if index + 1 < text.count, text[index + 1] == ":" { throw unexpected() }
                set = set.union(try characterClass())
                continue
            }
            let start = try member()
            guard next == "-", index + 1 < text.count, text[index + 1] != "]", text[index + 1] != "[",
                let low = start.single
            else {
                set = set.union(try cased(start))
                continue
            }
            index += 1
            guard let high = try member().single, low <= high else { throw unexpected() }
            set = set.union(try cased(CodePointSet(low...high)))
        }
        index += 1
        let whole = intersected?.intersection(set) ?? set
        return isInverted ? whole.inverted : whole
    }

    private mutating func member() throws(ExpressionError) -> CodePointSet {
        guard let scalar = next else { throw unexpected() }
        if scalar == "\\" { return try escape() }
        index += 1
        return CodePointSet(scalar.value...scalar.value)
    }
}

extension CodePointSet {
    /// The one code point that it holds; nil for more or none.
    fileprivate var single: UInt32? {
        ranges.count == 1 && ranges[0].count == 1 ? ranges[0].lowerBound : nil
    }
}
