import Diagnostics

/// A piece of a template as its parser sees it.
struct TemplateToken {
    enum Kind {
        case text
        case printStart, printEnd
        case tagStart, tagEnd
        case name, string, integer, number, symbol
        case end
    }

    let kind: Kind
    /// Of texts and strings what they stand for, of numbers the digits without underscores.
    let text: String
    let position: TextPosition

    /// The token as a message shows it.
    var shown: String {
        switch kind {
        case .text: "text"
        case .printStart: "'{{'"
        case .printEnd: "'}}'"
        case .tagStart: "'{%'"
        case .tagEnd: "'%}'"
        case .name, .integer, .number, .symbol: "'\(text)'"
        case .string: "a string"
        case .end: "the end of the template"
        }
    }
}
