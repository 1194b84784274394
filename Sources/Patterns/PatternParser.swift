/// Reads an expression by the grammar of Python's `re`.
struct PatternParser {
    private static let maximumDepth = 100

    private let text: [Unicode.Scalar]
    private var index = 0
    private var depth = 0
    private(set) var groupCount = 0
    private var flags = Flags()

    struct Flags {
        var ignoresCase = false
        var isMultiline = false
        var dotMatchesAll = false
    }

    init(_ source: String) { text = Array(source.unicodeScalars) }

    mutating func parse() throws(PatternError) -> PatternNode {
        let node = try alternatives()
        if index < text.count { throw error("unbalanced parenthesis") }
        return node
    }

    private func error(_ message: String, at place: Int? = nil) -> PatternError {
        PatternError(message, at: (place ?? index) + 1)
    }

    private var next: Unicode.Scalar? { index < text.count ? text[index] : nil }

    private mutating func take(_ word: String) -> Bool {
        let word = Array(word.unicodeScalars)
        guard index + word.count <= text.count, Array(text[index..<index + word.count]) == word else { return false }
        index += word.count
        return true
    }

    private mutating func alternatives() throws(PatternError) -> PatternNode {
        var list = [try sequence()]
        while take("|") { list.append(try sequence()) }
        return list.count == 1 ? list[0] : .alternatives(list)
    }

    private mutating func sequence() throws(PatternError) -> PatternNode {
        var nodes: [PatternNode] = []
        while let character = next, character != "|", character != ")" {
            let start = index
            if let limits = try repeatLimits() {
                guard let last = nodes.popLast() else { throw error("nothing to repeat", at: start) }
                if last.isRepeat { throw error("multiple repeat", at: start) }
                if case .anchor = last { throw error("nothing to repeat", at: start) }
                if case .empty = last { throw error("nothing to repeat", at: start) }
                if take("+") { throw error("possessive repeats aren't supported", at: start) }
                let isLazy = take("?")
                nodes.append(.repeated(last, least: limits.least, most: limits.most, isLazy: isLazy))
            } else {
                nodes.append(try item())
            }
        }
        return nodes.count == 1 ? nodes[0] : .sequence(nodes)
    }

    /// The limits of a repeat where one stands here; a brace that begins none is a character.
    private mutating func repeatLimits() throws(PatternError) -> (least: Int, most: Int?)? {
        if take("*") { return (0, nil) }
        if take("+") { return (1, nil) }
        if take("?") { return (0, 1) }
        let start = index
        guard take("{") else { return nil }
        let least = try number()
        var most = least
        let hasComma = take(",")
        if hasComma { most = try number() }
        guard take("}"), hasComma || least != nil else {
            index = start
            return nil
        }
        if let most, most < least ?? 0 { throw error("the least number of repeats is more than the most", at: start) }
        return (least ?? 0, most)
    }

    private mutating func number() throws(PatternError) -> Int? {
        var value: Int?
        let start = index
        while let character = next, ("0"..."9").contains(character) {
            let digit = Int(character.value - 0x30)
            value = (value ?? 0) * 10 + digit
            index += 1
            if value ?? 0 > Compiler.limit { throw error("more repeats than are supported", at: start) }
        }
        return value
    }

    private mutating func item() throws(PatternError) -> PatternNode {
        let start = index
        guard let character = next else { return .empty }
        index += 1
        switch character {
        case "(": return try group(start)
        case "[": return .characters(try set(start))
        case ".":
            // Everything but a line break.
            return .characters(
                flags.dotMatchesAll
                    ? CharacterChoice(ranges: [], isNegated: true)
                    : CharacterChoice(
                        ranges: [10...10], isNegated: true))
        case "^": return .anchor(flags.isMultiline ? .lineStart : .textStart)
        case "$": return .anchor(flags.isMultiline ? .lineEnd : .textEnd)
        case "\\": return try escape(start)
        default: return .characters(single(character.value))
        }
    }

    private func single(_ value: UInt32) -> CharacterChoice {
        CharacterChoice(ranges: [value...value], ignoresCase: flags.ignoresCase)
    }

    // MARK: Groups

    private mutating func group(_ start: Int) throws(PatternError) -> PatternNode {
        depth += 1
        defer { depth -= 1 }
        if depth > Self.maximumDepth { throw error("more nested groups than are supported", at: start) }
        guard take("?") else {
            groupCount += 1
            let number = groupCount
            return .group(try closed(start), number: number)
        }
        if take(":") { return .group(try closed(start), number: nil) }
        if take("=") { return .look(try closed(start), isAhead: true, isNegative: false) }
        if take("!") { return .look(try closed(start), isAhead: true, isNegative: true) }
        if take("<=") { return .look(try closed(start), isAhead: false, isNegative: false) }
        if take("<!") { return .look(try closed(start), isAhead: false, isNegative: true) }
        if take("#") {
            while let character = next, character != ")" { index += 1 }
            if !take(")") { throw error("missing ), unterminated comment", at: start) }
            return .empty
        }
        if take("P<") {
            while let character = next, character != ">" {
                guard CharacterClass.word.contains(character.value) else { throw error("bad character in group name") }
                index += 1
            }
            if !take(">") { throw error("missing >, unterminated name") }
            groupCount += 1
            let number = groupCount
            return .group(try closed(start), number: number)
        }
        if take("P=") || take("(") { throw error("references to groups aren't supported", at: start) }
        if take(">") { throw error("atomic groups aren't supported", at: start) }
        return try flagged(start)
    }

    /// `(?i)` for the whole expression, `(?i:…)` for a group.
    private mutating func flagged(_ start: Int) throws(PatternError) -> PatternNode {
        let before = flags
        var changed = flags
        var isOn = true
        var count = 0
        while let character = next, character != ")", character != ":" {
            switch character {
            case "i": changed.ignoresCase = isOn
            case "m": changed.isMultiline = isOn
            case "s": changed.dotMatchesAll = isOn
            case "u" where isOn: break
            case "-" where isOn: isOn = false
            case "a", "L", "x": throw error("the flag \(character) isn't supported")
            default: throw error("unknown extension ?\(character)")
            }
            index += 1
            count += 1
        }
        if count == 0 { throw error("unknown extension", at: start) }
        flags = changed
        if take(")") {
            if start != 0 || !isOn { throw error("global flags not at the start of the expression", at: start) }
            return .empty
        }
        guard take(":") else { throw error("missing -, : or )") }
        let node = try closed(start)
        flags = before
        return .group(node, number: nil)
    }

    private mutating func closed(_ start: Int) throws(PatternError) -> PatternNode {
        let node = try alternatives()
        if !take(")") { throw error("missing ), unterminated subpattern", at: start) }
        return node
    }

    // MARK: Characters

    private mutating func escape(_ start: Int) throws(PatternError) -> PatternNode {
        guard let character = next else { throw error("bad escape (end of pattern)", at: start) }
        if let (kind, isNegated) = Self.classes[character] {
            index += 1
            return .characters(CharacterChoice(classes: [(kind, isNegated)]))
        }
        if let anchor = Self.anchors[character] {
            index += 1
            return .anchor(anchor)
        }
        if ("1"..."9").contains(character) { throw error("references to groups aren't supported", at: start) }
        return .characters(single(try escapedValue(start)))
    }

    private static let classes: [Unicode.Scalar: (CharacterClass, Bool)] = [
        "d": (.digit, false), "D": (.digit, true), "s": (.space, false), "S": (.space, true), "w": (.word, false),
        "W": (.word, true),
    ]
    private static let anchors: [Unicode.Scalar: Anchor] = [
        "A": .textStart, "Z": .veryEnd, "b": .wordBoundary, "B": .noWordBoundary,
    ]
    private static let controls: [Unicode.Scalar: UInt32] = [
        "a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11,
    ]

    /// The character that is meant by what follows a backslash.
    private mutating func escapedValue(_ start: Int) throws(PatternError) -> UInt32 {
        guard let character = next else { throw error("bad escape (end of pattern)", at: start) }
        index += 1
        if let control = Self.controls[character] { return control }
        switch character {
        case "x": return try hexadecimal(2, start)
        case "u": return try hexadecimal(4, start)
        case "U": return try hexadecimal(8, start)
        case "0"..."7":
            var value = character.value - 0x30
            for _ in 0..<2 {
                guard let digit = next, ("0"..."7").contains(digit) else { break }
                value = value * 8 + digit.value - 0x30
                index += 1
            }
            return value
        case "0"..."9", "a"..."z", "A"..."Z": throw error("bad escape \\\(character)", at: start)
        default: return character.value
        }
    }

    private mutating func hexadecimal(_ count: Int, _ start: Int) throws(PatternError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<count {
            guard let digit = next.flatMap({ Character($0).hexDigitValue }), next?.isASCII == true else {
                throw error("incomplete escape", at: start)
            }
            value = value << 4 | UInt32(digit)
            index += 1
        }
        if Unicode.Scalar(value) == nil { throw error("the escape is no character", at: start) }
        return value
    }

    private mutating func set(_ start: Int) throws(PatternError) -> CharacterChoice {
        var choice = CharacterChoice(isNegated: take("^"), ignoresCase: flags.ignoresCase)
        var isFirst = true
        while isFirst || next != "]" {
            guard next != nil else { throw error("unterminated character set", at: start) }
            isFirst = false
            let place = index
            let low = try member()
            guard next == "-", index + 1 < text.count, text[index + 1] != "]" else {
                choice.add(low)
                continue
            }
            index += 1
            let high = try member()
            guard case .value(let first) = low, case .value(let last) = high, first <= last else {
                throw error("bad character range", at: place)
            }
            choice.ranges.append(first...last)
        }
        index += 1
        return choice
    }

    enum Member {
        case value(UInt32)
        case kind(CharacterClass, isNegated: Bool)
    }

    private mutating func member() throws(PatternError) -> Member {
        let start = index
        guard let character = next else { throw error("unterminated character set") }
        index += 1
        guard character == "\\" else { return .value(character.value) }
        if let escaped = next, let (kind, isNegated) = Self.classes[escaped] {
            index += 1
            return .kind(kind, isNegated: isNegated)
        }
        return .value(try escapedValue(start))
    }
}

extension CharacterChoice {
    fileprivate mutating func add(_ member: PatternParser.Member) {
        switch member {
        case .value(let value): ranges.append(value...value)
        case .kind(let kind, let isNegated): classes.append((kind, isNegated))
        }
    }
}
