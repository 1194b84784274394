import Diagnostics

/// A text with places for a record's fields.
///
/// `{mr}` is the field `mr`, and `{answer.text}` one within another; `{input?}` may be missing, null or empty.
/// `{?Input: {input}?}` is left out as a whole where one of its fields is. `\n`, `\t` and `\\` stand for a line break, a
/// tab and a backslash, `{{` and `}}` for braces.
public struct Template: Sendable, Hashable {
    /// A field that a template names.
    public struct Field: Sendable, Hashable {
        public let name: String
        /// Whether a record can do without it.
        public internal(set) var isOptional: Bool
        /// Among what its value is one; nil where it is any text.
        public internal(set) var choices: ChoiceSource?

        public init(_ name: String, isOptional: Bool = false) {
            self.name = name
            self.isOptional = isOptional
        }
    }

    enum Piece: Sendable, Hashable {
        case literal(String)
        /// An index into `fields`.
        case field(Int)
        /// What is left out where one of the fields at these indices is empty.
        case part([Piece], needs: [Int])
    }

    /// The template as it can be written, its line breaks and tabs as they are.
    public let source: String
    /// The fields that it names, each once, in the order of appearance.
    public let fields: [Field]
    private let pieces: [Piece]

    public var fieldNames: [String] { fields.map(\.name) }

    /// Throws a `Problem` without a place where the braces don't match, or no field is named.
    ///
    /// - Parameter readsEscapes: False where a backslash is nothing but a character.
    public init(_ source: String, readsEscapes: Bool = true) throws {
        var parser = TemplateParser(source, readsEscapes: readsEscapes)
        pieces = try parser.parse()
        fields = parser.fields
        self.source = String(decoding: parser.source, as: UTF8.self)
        if fields.isEmpty { throw Problem("names no field of the data; write {field} for one") }
    }

    /// A template that is made rather than read.
    init(_ pieces: [Piece], fields: [Field], source: String) {
        (self.pieces, self.fields, self.source) = (pieces, fields, source)
    }

    /// The same with choices for its first field.
    func replacing(choices: ChoiceSource) -> Template {
        var fields = fields
        fields[0].choices = choices
        return Template(pieces, fields: fields, source: source)
    }

    /// The bare value of one field.
    init(field: String) {
        source = "{\(field)}"
        fields = [Field(field)]
        pieces = [.field(0)]
    }

    /// The text with `values` for `fields`, in the same order; those that a record does without are empty.
    public func render(_ values: some RandomAccessCollection<String>) -> String {
        var text = ""
        visit(pieces, values, literal: { text += $0 }, value: { text += $0 })
        return text
    }

    /// The text with `values` for `fields` and with places for virtual tokens; what `values` hold is text in any case.
    public func renderPlaces(_ values: some RandomAccessCollection<String>) -> PlacedText {
        var text = PlacedText()
        visit(pieces, values, literal: { text.append($0) }, value: { text.appendLiteral($0) })
        return text
    }

    /// The virtual tokens that the template itself places, see `PlacedText`.
    public var virtualTokenCount: Int { renderPlaces(fields.map { _ in "x" }).virtualTokenCount }

    /// Whether a part that may be left out has places for virtual tokens.
    var hasOptionalPlaces: Bool { renderPlaces(fields.map { _ in "" }).virtualTokenCount != virtualTokenCount }

    /// Whether the text has the two characters `\n`, which are hardly ever meant.
    var holdsBackslashAndN: Bool {
        var found = false
        visit(pieces, fields.map { _ in "x" }, literal: { found = found || $0.contains("\\n") }, value: { _ in })
        return found
    }

    private func visit(
        _ pieces: [Piece], _ values: some RandomAccessCollection<String>, literal: (String) -> Void,
        value: (String) -> Void
    ) {
        func field(_ index: Int) -> String { values[values.index(values.startIndex, offsetBy: index)] }
        for piece in pieces {
            switch piece {
            case .literal(let text): literal(text)
            case .field(let index): value(field(index))
            case .part(let inner, let needs):
                if needs.allSatisfy({ !field($0).isEmpty }) { visit(inner, values, literal: literal, value: value) }
            }
        }
    }
}

/// Text as it is given on a command line, with `\n`, `\t` and `\\` for a line break, a tab and a backslash, as templates
/// have them.
public func unescaped(_ text: String) -> String {
    var result: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "\\"), let meant = TemplateParser.escaped(rest.first) {
            rest.removeFirst()
            result.append(meant)
        } else {
            result.append(byte)
        }
    }
    return String(decoding: result, as: UTF8.self)
}
