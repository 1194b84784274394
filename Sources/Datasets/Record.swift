public import ChatTemplates
public import Diagnostics
public import JSONText

/// A record by itself, to be used as it comes rather than as part of a data set.
public struct Record: Sendable {
    private let file: RecordFile
    private let index: Int

    /// A line of text, whose one field fills any template that has one.
    public static func text(_ line: [UInt8], file: String, line number: Int) throws -> Record {
        Record(file: try RecordFile(line: line, format: .text, path: file, number: number), index: 0)
    }

    /// A JSON object, the content of one line.
    ///
    /// - Throws: `Problem` with file and line where it is no object, or none that JSON allows.
    public static func json(_ line: [UInt8], file: String, line number: Int) throws -> Record {
        Record(file: try RecordFile(line: line, format: .jsonLines, path: file, number: number), index: 0)
    }

    /// All records of a file that is read as a whole.
    ///
    /// - Throws: `Problem` with file and line for what is wrong.
    public static func all(of path: String) throws -> [Record] {
        let file = try RecordFile(path: path)
        return (0..<file.count).map { Record(file: file, index: $0) }
    }

    /// Whether each line of a file is a record by itself, told by its name; of those files whether the lines are JSON.
    ///
    /// - Throws: `Problem` for a name that doesn't tell.
    public static func lineKind(of path: String) throws -> LineKind {
        switch try RecordFormat(path: path) {
        case .jsonLines: .json
        case .text: .text
        case .json, .commas, .tabs: .none
        }
    }

    public enum LineKind: Sendable {
        case json, text
        /// Records that can't be told apart by lines.
        case none
    }

    /// The template of a record that is nothing but a text; nil for others.
    public var wholeTextTemplate: Template? { file.format == .text ? Template(field: "text") : nil }

    /// The text that is all of the record; nil for a record with fields.
    public var wholeText: String? { file.format == .text ? (try? file.texts(of: ["text"], at: index))?.first : nil }

    /// The conversation in one of its fields.
    ///
    /// - Throws: `Problem` with file, line and key where there is none.
    public func conversation(in field: String) throws -> Conversation {
        try file.conversation(in: field, at: index, needsAnswer: false)
    }

    /// The text in one of its fields; nil where it has none of that name, or nothing in it.
    ///
    /// - Throws: `Problem` with file and line where there is something else.
    public func text(of field: String) throws -> String? {
        if file.format == .text { return nil }
        let text = try file.texts(of: [Template.Field(field, isOptional: true)], at: index).first ?? ""
        return text.isEmpty ? nil : text
    }

    /// A problem at the record's place.
    public func problem(_ message: String) -> Problem { file.problem(message, at: index) }

    /// The record in a template.
    ///
    /// - Throws: `Problem` with file and line where a field is missing, null or nested.
    public func rendered(in template: Template) throws -> PlacedText {
        if file.format == .text, let text = try file.texts(of: ["text"], at: index).first {
            guard let filled = template.renderPlaces(filledWith: text) else {
                throw problem(
                    "the template has the fields \(template.fieldNames.joined(separator: ", ")), and a line of text can "
                        + "fill only one: give the records as JSON lines")
            }
            return filled
        }
        return template.renderPlaces(try file.texts(of: template.fields, at: index))
    }

    /// The record as a JSON object on one line, its values as they are written, with further members behind them. The
    /// record's own fields stay: a member that has the name of one is called `predicted_` and that name.
    public func json(adding members: [JSONValue.Member]) throws -> String {
        let own = try file.object(at: index)
        let added = members.map { member in
            let isTaken = own.names.contains { sameBytes($0, member.key) }
            return JSONValue.Member((isTaken ? "predicted_" : "") + member.key, member.value)
        }
        let rest = JSONValue.object(added).text(.compact).dropFirst()
        let separator = own.names.isEmpty || added.isEmpty ? "" : ", "
        return "{" + own.text + separator + rest
    }
}

extension Template {
    /// The template with `text` for its one field, or the one that it can't do without; nil where it needs more of them.
    public func renderPlaces(filledWith text: String) -> PlacedText? {
        let needed = fields.indices.filter { fields.count == 1 || !fields[$0].isOptional }
        guard needed.count == 1 else { return nil }
        return renderPlaces(fields.indices.map { $0 == needed[0] ? text : "" })
    }
}

extension RecordFile {
    /// What stands between the braces of record `index` as a JSON object, on one line, and the names of its fields.
    fileprivate func object(at index: Int) throws -> (text: String, names: [String]) {
        switch format {
        case .text, .commas, .tabs:
            let names = format == .text ? ["text"] : columns
            let values = try texts(of: names, at: index)
            let object = JSONValue.object(zip(names, values).map { .init($0, .string($1)) })
            return (String(object.text(.compact).dropFirst().dropLast()), names)
        case .json, .jsonLines:
            return try withExtendedLifetime(file) {
                let bytes = extent(of: index)
                var reader = JSONReader(bytes, file: path)
                var names: [String] = []
                try reader.readObject { reader, key in
                    names.append(String(decoding: key, as: UTF8.self))
                    try reader.skipValue()
                }
                let space: Set<UInt8> = [0x20, 0x09, 0x0A, 0x0D]
                let object = bytes[..<reader.byteOffset].drop { space.contains($0) }.dropFirst().dropLast()
                // Line breaks stand only between values.
                let line = object.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 }
                let trimmed = line.drop { space.contains($0) }.reversed().drop { space.contains($0) }.reversed()
                return (String(decoding: Array(trimmed), as: UTF8.self), names)
            }
        }
    }
}
