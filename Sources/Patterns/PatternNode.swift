/// A parsed expression.
indirect enum PatternNode {
    case empty
    case characters(CharacterChoice)
    case anchor(Anchor)
    /// `(?=`, `(?!`, `(?<=` and `(?<!`
    case look(PatternNode, isAhead: Bool, isNegative: Bool)
    /// The number of a group that captures; nil for one that doesn't.
    case group(PatternNode, number: Int?)
    case sequence([PatternNode])
    case alternatives([PatternNode])
    case repeated(PatternNode, least: Int, most: Int?, isLazy: Bool)

    /// Whether a repeat may follow.
    var isRepeat: Bool {
        if case .repeated = self { true } else { false }
    }
}

/// A condition on a position.
enum Anchor: Hashable {
    case textStart, lineStart
    /// The end, and the place before a line break at the end.
    case textEnd
    case lineEnd, veryEnd
    case wordBoundary, noWordBoundary

    func holds(at position: Int, in text: [UInt32]) -> Bool {
        let newline: UInt32 = 10
        switch self {
        case .textStart: return position == 0
        case .lineStart: return position == 0 || text[position - 1] == newline
        case .textEnd:
            return position == text.count || position == text.count - 1 && text[position] == newline
        case .lineEnd: return position == text.count || text[position] == newline
        case .veryEnd: return position == text.count
        case .wordBoundary, .noWordBoundary:
            let isBefore = position > 0 && CharacterClass.word.contains(text[position - 1])
            let isAfter = position < text.count && CharacterClass.word.contains(text[position])
            return (isBefore != isAfter) == (self == .wordBoundary)
        }
    }
}

/// `\d`, `\s` and `\w`.
enum CharacterClass: Hashable {
    case digit, space, word

    func contains(_ value: UInt32) -> Bool {
        if value < 128 {
            let isDigit = value &- 0x30 < 10
            switch self {
            case .digit: return isDigit
            case .space: return value == 32 || value &- 9 < 5 || value &- 28 < 4
            case .word: return isDigit || (value | 0x20) &- 0x61 < 26 || value == 0x5F
            }
        }
        guard let properties = Unicode.Scalar(value)?.properties else { return false }
        switch self {
        case .digit: return properties.generalCategory == .decimalNumber
        case .space: return properties.isWhitespace
        case .word:
            switch properties.generalCategory {
            case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber,
                .letterNumber, .otherNumber:
                return true
            default: return false
            }
        }
    }
}

/// The characters that one place of an expression takes.
struct CharacterChoice: Hashable {
    var ranges: [ClosedRange<UInt32>] = []
    var classes: [(kind: CharacterClass, isNegated: Bool)] = []
    var isNegated = false
    var ignoresCase = false

    func contains(_ value: UInt32) -> Bool {
        var isIn = holds(value)
        if !isIn, ignoresCase { isIn = Self.otherCases(of: value).contains(where: holds) }
        return isIn != isNegated
    }

    private func holds(_ value: UInt32) -> Bool {
        ranges.contains { $0.contains(value) } || classes.contains { $0.kind.contains(value) != $0.isNegated }
    }

    private static func otherCases(of value: UInt32) -> [UInt32] {
        guard let properties = Unicode.Scalar(value)?.properties else { return [] }
        return [properties.lowercaseMapping, properties.uppercaseMapping].compactMap { mapping in
            mapping.unicodeScalars.count == 1 ? mapping.unicodeScalars.first?.value : nil
        }
    }

    static func == (a: CharacterChoice, b: CharacterChoice) -> Bool {
        a.ranges == b.ranges && a.isNegated == b.isNegated && a.ignoresCase == b.ignoresCase
            && a.classes.elementsEqual(b.classes) { $0 == $1 }
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(ranges)
        hasher.combine(isNegated)
    }
}
