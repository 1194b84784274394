/// A regular expression in the words of Python's `re`, which configurations for peft are written in, matched in time
/// proportional to the expression's size times the text's length (Thompson 1968; Pike's captures).
///
/// Character classes, groups, alternatives, counted and lazy repeats, anchors, and looking ahead and behind are there; what
/// can't be matched in such a time, as references back to a group, is an error.
public struct Pattern: Sendable, Hashable {
    public let source: String
    /// How many groups capture what they match.
    public let groupCount: Int
    /// Whether `firstGroup` can tell what the first group captures: not where it stands in a look ahead or behind.
    public let capturesFirstGroup: Bool
    private let program: Program
    private let looks: [Look]

    /// Compiles an expression.
    ///
    /// - Throws: `PatternError` for what is no expression, isn't supported, or is too large.
    public init(_ source: String) throws(PatternError) {
        self.source = source
        var parser = PatternParser(source)
        let node = try parser.parse()
        groupCount = parser.groupCount
        var compiler = Compiler()
        program = try compiler.program(node, isReversed: false)
        looks = compiler.looks
        capturesFirstGroup = compiler.capturesFirstGroup
    }

    /// An expression for the end of a path, at a dot or over the whole of it, as peft reads the keys of `rank_pattern`.
    ///
    /// - Throws: as `init` does, with positions in the expression itself.
    public init(pathEnding expression: String) throws(PatternError) {
        let beginning = "(.*\\.)?("
        do {
            try self.init(beginning + expression + ")$")
        } catch {
            throw PatternError(
                error.message, at: min(max(1, error.position - beginning.count), expression.unicodeScalars.count + 1))
        }
    }

    /// How many steps the machine has, which the time of a match is proportional to.
    public var size: Int { looks.reduce(program.instructions.count) { $0 + $1.program.instructions.count } }

    /// Whether the whole text matches, Python's `re.fullmatch`.
    public func matchesWhole(_ text: String) -> Bool {
        let text = Scalars(text)
        return program.endings(in: text, lookResults(text), startingAt: 0).last == true
    }

    /// Whether the text begins with a match, Python's `re.match`.
    public func matchesBeginning(of text: String) -> Bool {
        let text = Scalars(text)
        return program.endings(in: text, lookResults(text), startingAt: 0).contains(true)
    }

    /// What the first group captures in the first match in the text, Python's `re.search`; nil where nothing matches or the
    /// group has no part in it.
    public func firstGroup(in text: String) -> String? {
        let scalars = Scalars(text)
        guard let range = program.firstGroup(in: scalars, lookResults(scalars)) else { return nil }
        return scalars.text(range)
    }

    /// For each look around whether it succeeds at each position of the text.
    private func lookResults(_ text: Scalars) -> [[Bool]] {
        var results: [[Bool]] = []
        // An inner one stands before the one that holds it.
        for look in looks {
            let found = look.program.endings(in: text, results, startingAt: nil)
            results.append(look.isNegative ? found.map { !$0 } : found)
        }
        return results
    }

    public static func == (a: Pattern, b: Pattern) -> Bool { a.source == b.source }
    public func hash(into hasher: inout Hasher) { hasher.combine(source) }
}

/// Why a text is no regular expression.
public struct PatternError: Error, Hashable, Sendable, CustomStringConvertible {
    public let message: String
    /// Where in the expression, in characters from 1.
    public let position: Int

    init(_ message: String, at position: Int) { (self.message, self.position) = (message, position) }

    public var description: String { "\(message) at character \(position)" }
}

/// A text by its Unicode scalars, as Python counts.
struct Scalars {
    let values: [UInt32]

    init(_ text: String) { values = text.unicodeScalars.map(\.value) }

    func text(_ range: Range<Int>) -> String {
        var text = String.UnicodeScalarView()
        for value in values[range] { if let scalar = Unicode.Scalar(value) { text.append(scalar) } }
        return String(text)
    }
}
