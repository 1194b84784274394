import Diagnostics
import JSONText

extension RecordFile {
    /// The fields `names` of record `index`, as text. Throws a `Problem` with file and line where one is missing, null
    /// or not a scalar.
    package func texts(of names: [String], at index: Int) throws -> [String] {
        let values = try withExtendedLifetime(file) { try self.values(of: names, at: index) }
        var texts: [String] = []
        texts.reserveCapacity(names.count)
        for (name, value) in zip(names, values) {
            switch value {
            case .text(let text): texts.append(text)
            case .null: throw problem("the field '\(name)' is null", at: index)
            case .nested:
                throw problem(
                    "the field '\(name)' is an array or an object, which has no place in a template", at: index)
            case nil:
                let existing = try fieldNames(at: index).joined(separator: ", ")
                throw problem("no field '\(name)'; there is \(existing.isEmpty ? "none" : existing)", at: index)
            }
        }
        return texts
    }

    /// The lines from record `index` to the next, blank ones and line breaks included.
    func lines(at index: Int) -> [String] {
        withExtendedLifetime(file) {
            var lines: [String] = []
            var rest = extent(of: index)[...]
            while !rest.isEmpty {
                let end = rest.firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? rest.endIndex
                lines.append(String(decoding: rest[..<end], as: UTF8.self))
                rest = rest[end...]
            }
            return lines
        }
    }

    /// The line of text that record `index` is, without its line break.
    private func lineText(at index: Int) -> String {
        var bytes = extent(of: index).prefix { $0 != UInt8(ascii: "\n") }
        if bytes.last == UInt8(ascii: "\r") { bytes = bytes.dropLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func values(of names: [String], at index: Int) throws -> [FieldValue?] {
        switch format {
        case .text: return names.map { $0 == "text" ? .text(lineText(at: index)) : nil }
        case .commas, .tabs:
            var table = TableScanner(extent(of: index), separator: format.separator, file: path, from: 0)
            let row = try table.readRow()
            return names.map { name in
                guard let column = columns.firstIndex(where: { sameBytes($0, name) }), column < row.count else {
                    return nil
                }
                return .text(row[column])
            }
        case .json, .jsonLines:
            var reader = JSONReader(extent(of: index), file: path)
            var values: [FieldValue?] = Array(repeating: nil, count: names.count)
            try reader.readObject { reader, key in
                // A field may stand in several templates.
                let slots = names.indices.filter { key.elementsEqual(names[$0].utf8) }
                if slots.isEmpty { return }
                let value = try Self.value(&reader, in: extent(of: index))
                for slot in slots { values[slot] = value }
            }
            return values
        }
    }

    private func fieldNames(at index: Int) throws -> [String] {
        switch format {
        case .text: return ["text"]
        case .commas, .tabs: return columns
        case .json, .jsonLines:
            var names: [String] = []
            var reader = JSONReader(extent(of: index), file: path)
            try reader.readObject { _, key in names.append(String(decoding: key, as: UTF8.self)) }
            return names
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
