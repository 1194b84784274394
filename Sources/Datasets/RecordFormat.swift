import Diagnostics

/// The kinds of file that records come from, told by the name's ending.
enum RecordFormat: String, CaseIterable {
    /// A JSON object a line.
    case jsonLines = "jsonl"
    /// An array of objects.
    case json
    /// RFC 4180 with a header.
    case commas = "csv"
    case tabs = "tsv"
    /// A record a line, with the one field `text`.
    case text = "txt"

    /// Throws a `Problem` that lists the endings where `path` has another.
    init(path: String) throws {
        let name = path.split(separator: "/").last ?? ""
        let ending = name.split(separator: ".").dropFirst().last.map { $0.lowercased() } ?? ""
        guard let format = RecordFormat(rawValue: ending) else {
            let endings = Self.allCases.map { ".\($0.rawValue)" }.joined(separator: ", ")
            throw Problem("can't tell what kind of data this is: the name must end in one of \(endings)", file: path)
        }
        self = format
    }

    var separator: UInt8 { self == .tabs ? UInt8(ascii: "\t") : UInt8(ascii: ",") }
}

/// The value of a record's field.
enum FieldValue: Hashable, Sendable {
    case text(String)
    case null
    /// An array or an object, which can't stand in a template.
    case nested
}
