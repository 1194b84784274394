import Diagnostics
import Files
import JSONText

extension RecordFile {
    /// The fields `names` of record `index`, as text. Throws a `Problem` with file and line where one is missing, null
    /// or not a scalar.
    package func texts(of names: [String], at index: Int) throws -> [String] {
        try texts(of: names.map { Template.Field($0) }, at: index)
    }

    /// The same, empty for optional fields that are missing or null.
    func texts(of fields: [Template.Field], at index: Int) throws -> [String] {
        let values = try values(of: fields.map(\.name), at: index)
        var texts: [String] = []
        texts.reserveCapacity(fields.count)
        for (field, value) in zip(fields, values) {
            switch value {
            case .text(let text):
                guard let source = field.choices else {
                    texts.append(text)
                    continue
                }
                let choices = try choices(source, answer: field.name, at: index)
                texts.append(choices.texts[choices.answer])
            case .nested: throw problem(try nestedValue(field.name, at: index), at: index)
            case .null, nil:
                if !field.isOptional { throw problem(try missing(field.name, value, at: index), at: index) }
                texts.append("")
            }
        }
        return texts
    }

    /// The lines from record `index` to the next, blank ones included, each with `\n` in place of its end.
    func lines(at index: Int) -> [String] {
        withExtendedLifetime(file) {
            let bytes = extent(of: index)
            return TextLines(bytes).map { line in
                String(decoding: bytes[line.range], as: UTF8.self) + (line.range.upperBound < bytes.count ? "\n" : "")
            }
        }
    }

    /// The line of text that record `index` is, without its end.
    private func lineText(at index: Int) -> String {
        let bytes = extent(of: index)
        var lines = TextLines(bytes)
        return lines.next().map { String(decoding: bytes[$0.range], as: UTF8.self) } ?? ""
    }

    /// The values of the fields `names`; nil for those that aren't there.
    func values(of names: [String], at index: Int) throws -> [FieldValue?] {
        try withExtendedLifetime(file) {
            switch format {
            case .text: return names.map { $0 == "text" ? .text(lineText(at: index)) : nil }
            case .commas, .tabs:
                var table = TableScanner(extent(of: index), separator: separator, file: path, from: 0)
                let row = try table.readRow()
                return names.map { name in
                    guard let column = columns.firstIndex(where: { sameBytes($0, name) }), column < row.count else {
                        return nil
                    }
                    return .text(row[column])
                }
            case .json, .jsonLines:
                let bytes = extent(of: index)
                var reader = JSONReader(bytes, file: path)
                var values: [FieldValue?] = Array(repeating: nil, count: names.count)
                try Self.readFields(&reader, names.map { $0[...] }, in: bytes, &values)
                return values
            }
        }
    }

    /// Reads an object, and puts the values at `paths` into `values`. A field whose name holds points goes before one
    /// within another.
    private static func readFields(
        _ reader: inout JSONReader, _ paths: [Substring], in bytes: UnsafeRawBufferPointer,
        _ values: inout [FieldValue?]
    ) throws {
        var isExact = Array(repeating: false, count: paths.count)
        try reader.readObject { reader, key in
            // A field may stand in several templates.
            for slot in paths.indices where !isExact[slot] {
                guard let rest = Self.rest(of: paths[slot], behind: key) else { continue }
                var reader = reader
                if rest.isEmpty {
                    isExact[slot] = true
                    values[slot] = try Self.value(&reader, in: bytes)
                } else if let value = try Self.value(&reader, at: rest, in: bytes) {
                    values[slot] = value
                }
            }
        }
    }

    /// What is left of `path` behind the key that it begins with; nil where it doesn't.
    private static func rest(of path: Substring, behind key: UnsafeRawBufferPointer) -> Substring? {
        let text = path.utf8
        guard text.starts(with: key) else { return nil }
        let rest = text.dropFirst(key.count)
        if rest.isEmpty { return Substring(rest) }
        return rest.first == UInt8(ascii: ".") && rest.count > 1 ? Substring(rest.dropFirst()) : nil
    }

    /// The value at `path` within the next one.
    private static func value(
        _ reader: inout JSONReader, at path: Substring, in bytes: UnsafeRawBufferPointer
    ) throws -> FieldValue? {
        switch try reader.peek() {
        case .object:
            var values: [FieldValue?] = [nil]
            try readFields(&reader, [path], in: bytes, &values)
            return values[0]
        case .array:
            let first = path.prefix { $0 != "." }
            guard let wanted = Int(first), String(wanted) == first else { return nil }
            let rest = path.dropFirst(first.count + 1)
            var number = 0
            var found: FieldValue?
            try reader.readArray { reader in
                if number == wanted {
                    found =
                        rest.isEmpty ? try value(&reader, in: bytes) : try value(&reader, at: rest, in: bytes)
                }
                number += 1
            }
            return found
        case .null: return .null
        default: return nil
        }
    }

    /// The next value; numbers and booleans as they are written.
    private static func value(_ reader: inout JSONReader, in bytes: UnsafeRawBufferPointer) throws -> FieldValue {
        switch try reader.peek() {
        case .string: return .text(try reader.readString())
        case .null:
            try reader.readNull()
            return .null
        case .array, .object:
            try reader.skipValue()
            return .nested
        case .number, .boolean:
            let start = reader.byteOffset
            try reader.skipValue()
            return .text(String(decoding: bytes[start..<reader.byteOffset], as: UTF8.self))
        }
    }
}
