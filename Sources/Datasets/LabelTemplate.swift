import Diagnostics
import Synchronization

/// How a record's label is found: by a template and, where only a part of what it gives is the label, a regular
/// expression whose first group that part is.
public struct LabelTemplate: Sendable, Hashable {
    public let template: Template
    private let pattern: LabelPattern?

    /// Throws a `Problem` without a place for a pattern that is no regular expression or has no group.
    public init(_ template: Template, pattern: String?) throws {
        self.template = template
        self.pattern = try pattern.map { try LabelPattern($0) }
    }

    /// Whether a record may have no label.
    var isPartial: Bool { pattern != nil }

    /// The label of a record; nil where the pattern doesn't match, so that the record has none.
    func label(_ values: some RandomAccessCollection<String>) -> String? {
        let text = template.render(values)
        return pattern.map { $0.firstGroup(in: text) } ?? text
    }
}

/// A compiled regular expression, used by one thread at a time because `Regex` isn't made for several.
private final class LabelPattern: Sendable, Hashable {
    private struct Compiled: @unchecked Sendable {
        let regex: Regex<AnyRegexOutput>
    }

    private let source: String
    private let compiled: Mutex<Compiled>

    init(_ source: String) throws {
        guard let regex = try? Regex(source) else { throw Problem("'\(source)' is no regular expression") }
        // The empty alternative matches anything, and tells how many groups there are.
        let groups = (try? Regex("(?:\(source))|").firstMatch(in: ""))??.output.count ?? 0
        if groups < 2 { throw Problem("'\(source)' has no group: put parentheses around the part that is the label") }
        self.source = source
        compiled = Mutex(Compiled(regex: regex))
    }

    func firstGroup(in text: String) -> String? {
        compiled.withLock { compiled in
            (try? compiled.regex.firstMatch(in: text))?.output[1].substring.map(String.init)
        }
    }

    static func == (a: LabelPattern, b: LabelPattern) -> Bool { a.source == b.source }
    func hash(into hasher: inout Hasher) { hasher.combine(source) }
}
