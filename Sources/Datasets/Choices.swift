import Diagnostics
import JSONText

/// Where the answers stand that a record's question is answered by one of.
public enum ChoiceSource: Sendable, Hashable {
    /// A field with a list of texts, or with such lists as `text` and `label`.
    case field(String)
    /// The same ones for every record.
    case texts([String])

    /// One value names a field, several are the answers.
    public init(_ values: [String]) { self = values.count == 1 ? .field(values[0]) : .texts(values) }
}

/// The answers to one record's question.
public struct Choices: Sendable, Hashable {
    public let texts: [String]
    /// Which of them is right.
    public let answer: Int
}

extension Template {
    /// The template of a completion whose one field is one of several answers: a record's value tells which, by its text, by
    /// its label or by its number, counted from 0, and stands for that text.
    ///
    /// - Throws: A `Problem` without a place where it has more fields, or there are too few answers.
    public func choosing(among source: ChoiceSource) throws -> Template {
        guard fields.count == 1, !fields[0].isOptional else {
            throw Problem("needs a completion of one field, which holds the right one of the choices")
        }
        if case .texts(let texts) = source {
            if texts.count < 2 { throw Problem("needs two or more choices") }
            if texts.contains("") { throw Problem("has an empty choice") }
            if Set(texts.map(ByteString.init)).count < texts.count { throw Problem("has a choice twice") }
        }
        return replacing(choices: source)
    }
}

extension RecordFile {
    /// A value as it is written: what it reads, and whether it is a number rather than a text.
    private struct Scalar {
        let text: String
        let isNumber: Bool

        init(_ text: String, isNumber: Bool) { (self.text, self.isNumber) = (text, isNumber) }

        init?(_ node: JSONNode) {
            switch node.content {
            case .string(let text): self.init(text, isNumber: false)
            case .integer(let value): self.init("\(value)", isNumber: true)
            case .number(let value): self.init(JSONValue.number(value).text(.compact), isNumber: true)
            case .boolean(let value): self.init(value ? "true" : "false", isNumber: false)
            case .null, .array, .object: return nil
            }
        }
    }

    /// The answers of record `index`, of which the field `name` tells the right one.
    ///
    /// - Throws: `Problem` with file and line where there are none, or none is right.
    func choices(_ source: ChoiceSource, answer name: String, at index: Int) throws -> Choices {
        var root: JSONNode?
        if format == .json || format == .jsonLines {
            root = try withExtendedLifetime(file) {
                var reader = JSONReader(extent(of: index), file: path)
                return try reader.readNode()
            }
        }
        var labels: [String] = []
        let found: [Scalar]
        switch source {
        case .texts(let texts): found = texts.map { Scalar($0, isNumber: false) }
        case .field(let field):
            guard let root else {
                throw problem(
                    "choices in a field ('\(field)') are lists, which only JSON has: give the choices themselves",
                    at: index)
            }
            guard let node = Self.node(at: field[...], in: root), !node.isNull else {
                throw problem(try missing(field, nil, at: index), at: index)
            }
            if case .object = node.content {
                found = try list(node.member("text"), field + ".text", at: index)
                labels = try list(node.member("label"), field + ".label", at: index).map(\.text)
                if labels.count != found.count {
                    throw problem("'\(field)' has \(found.count) texts and \(labels.count) labels", at: index)
                }
            } else {
                found = try list(node, field, at: index)
            }
            if found.count < 2 {
                throw problem("'\(field)' needs two or more choices, and has \(found.count)", at: index)
            }
            if let empty = found.firstIndex(where: { $0.text.isEmpty }) {
                throw problem("choice \(empty) in '\(field)' is empty", at: index)
            }
        }
        let value: Scalar?
        if let root {
            value = Self.node(at: name[...], in: root).flatMap(Scalar.init)
        } else if case .text(let text)? = try values(of: [name], at: index)[0] {
            value = Scalar(text, isNumber: false)
        } else {
            value = nil
        }
        guard let value else { throw problem("the field '\(name)' names no choice", at: index) }
        let texts = found.map(\.text)
        // A number among texts counts them; among numbers it is one.
        if value.isNumber, !found.contains(where: \.isNumber) {
            guard let number = Int(value.text), texts.indices.contains(number) else {
                throw problem(
                    "'\(name)' is \(value.text), but the choices are numbered from 0 to \(texts.count - 1)", at: index)
            }
            return Choices(texts: texts, answer: number)
        }
        if let answer = texts.firstIndex(where: { sameBytes($0, value.text) })
            ?? labels.firstIndex(where: { sameBytes($0, value.text) })
        {
            return Choices(texts: texts, answer: answer)
        }
        if let number = Int(value.text), "\(number)" == value.text, texts.indices.contains(number) {
            return Choices(texts: texts, answer: number)
        }
        let shown = texts.prefix(8).map { "'\($0)'" }.joined(separator: ", ") + (texts.count > 8 ? ", …" : "")
        throw problem("'\(value.text)' in '\(name)' is none of the choices \(shown)", at: index)
    }

    private func list(_ node: JSONNode?, _ field: String, at index: Int) throws -> [Scalar] {
        guard let node, case .array(let elements) = node.content else {
            throw problem("'\(field)' is no list of choices", at: index)
        }
        return try elements.enumerated().map { number, element in
            guard let scalar = Scalar(element) else {
                throw problem("choice \(number) in '\(field)' is no text", at: index)
            }
            return scalar
        }
    }

    /// The value at a path with points, a field whose name holds them before one within another.
    private static func node(at path: Substring, in node: JSONNode) -> JSONNode? {
        if let exact = node.member(String(path)) { return exact }
        for point in path.indices where path[point] == "." {
            let rest = path[path.index(after: point)...]
            if let outer = node.member(String(path[..<point])), !rest.isEmpty,
                let found = Self.node(at: rest, in: outer)
            {
                return found
            }
        }
        return nil
    }
}
