import Diagnostics
import Patterns

/// How a record's label is found: by a template and, where only a part of what it gives is the label, a regular
/// expression whose first group that part is.
public struct LabelTemplate: Sendable, Hashable {
    public let template: Template
    private let pattern: Pattern?

    /// Throws a `Problem` without a place for a pattern that is no regular expression or has no group.
    public init(_ template: Template, pattern: String?) throws {
        self.template = template
        self.pattern = try pattern.map(Self.pattern)
    }

    private static func pattern(_ source: String) throws -> Pattern {
        let pattern: Pattern
        do { pattern = try Pattern(source) } catch { throw Problem("'\(source)' is no regular expression: \(error)") }
        if pattern.groupCount == 0 {
            throw Problem("'\(source)' has no group: put parentheses around the part that is the label")
        }
        if !pattern.capturesFirstGroup {
            throw Problem("'\(source)' has its first group in a look ahead or behind, from which no label is taken")
        }
        return pattern
    }

    /// Whether a record may have no label.
    var isPartial: Bool { pattern != nil }

    /// The label of a record; nil where the pattern doesn't match, so that the record has none.
    func label(_ values: some RandomAccessCollection<String>) -> String? {
        let text = template.render(values)
        return pattern.map { $0.firstGroup(in: text) } ?? text
    }
}
