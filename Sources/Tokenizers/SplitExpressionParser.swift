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
    static let maximumDepth = 60

    let text: [Unicode.Scalar]
    var index = 0
    var depth = 0
    private var ignoresCase = false

    init(_ source: String) { text = Array(source.unicodeScalars) }

    static func parse(_ source: String) throws(ExpressionError) -> ExpressionNode {
        var parser = SplitExpressionParser(source)
        let node = try parser.alternatives()
        if parser.index < parser.text.count { throw parser.unexpected() }
        return node
    }

    var next: Unicode.Scalar? { index < text.count ? text[index] : nil }

    func unexpected() -> ExpressionError {
        guard let next else { return ExpressionError("it ends too early") }
        return ExpressionError("'\(next)' at character \(index + 1) isn't expected or isn't supported")
    }

    func unsupported(_ words: String) -> ExpressionError { ExpressionError("\(words) isn't supported") }

    mutating func take(_ word: String) -> Bool {
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

    func cased(_ set: CodePointSet) throws(ExpressionError) -> CodePointSet {
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
        let looks = [("?=", true, false), ("?!", true, true), ("?<=", false, false), ("?<!", false, true)]
        for (start, isAhead, isNegative) in looks where take(start) {
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
}
