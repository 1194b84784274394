import Diagnostics
import JSONText

/// Rows of fields between separators, quoted as RFC 4180 has it: `"a ""quoted"" field, with\nline breaks"`.
///
/// A quotation mark inside a field that doesn't start with one is text, as Python's csv reads it.
struct TableScanner {
    private let bytes: UnsafeRawBufferPointer
    private let separator: UInt8
    private let file: String
    private var offset: Int
    private var line = 1
    /// The names in the first row, once scanned.
    private(set) var columns: [String] = []

    private static let quote = UInt8(ascii: "\"")
    private static let newline = UInt8(ascii: "\n")

    init(_ bytes: UnsafeRawBufferPointer, separator: UInt8, file: String, from start: Int) {
        self.bytes = bytes
        self.separator = separator
        self.file = file
        offset = start
    }

    /// Reads the header, then finds the offset of each row and checks its number of fields; empty lines are left out.
    mutating func scan() throws -> [Int] {
        var starts: [Int] = []
        while true {
            skipBlankLines()
            guard offset < bytes.count else { return starts }
            let (start, firstLine) = (offset, line)
            if columns.isEmpty {
                columns = try readRow()
                for (index, name) in columns.enumerated()
                where columns[..<index].contains(where: { sameBytes($0, name) }) {
                    throw problem("the column '\(name)' appears twice in the header", firstLine)
                }
                continue
            }
            var fieldCount = 0
            var isLast = false
            while !isLast {
                (_, _, isLast) = try readField()
                fieldCount += 1
            }
            if fieldCount != columns.count {
                let names = columns.joined(separator: ", ")
                throw problem("expected \(columns.count) columns (\(names)), found \(fieldCount)", firstLine)
            }
            starts.append(start)
        }
    }

    /// The fields of the row at the current offset.
    mutating func readRow() throws -> [String] {
        var fields: [String] = []
        var isLast = false
        while !isLast {
            let (content, hasDoubledQuotes, ends) = try readField()
            isLast = ends
            if hasDoubledQuotes {
                var text: [UInt8] = []
                var index = content.lowerBound
                while index < content.upperBound {
                    text.append(bytes[index])
                    index += bytes[index] == Self.quote ? 2 : 1
                }
                fields.append(String(decoding: text, as: UTF8.self))
            } else {
                fields.append(String(decoding: bytes[content], as: UTF8.self))
            }
        }
        return fields
    }

    private mutating func skipBlankLines() {
        while offset < bytes.count {
            if bytes[offset] == UInt8(ascii: "\r"), offset + 1 < bytes.count, bytes[offset + 1] == Self.newline {
                offset += 1
            }
            guard bytes[offset] == Self.newline else { return }
            offset += 1
            line += 1
        }
    }

    /// Goes over one field and what ends it: where its content lies, whether quotation marks in it are doubled, and
    /// whether it is the row's last.
    private mutating func readField() throws -> (content: Range<Int>, hasDoubledQuotes: Bool, isLast: Bool) {
        if offset < bytes.count, bytes[offset] == Self.quote { return try readQuotedField() }
        let start = offset
        while offset < bytes.count, bytes[offset] != separator, bytes[offset] != Self.newline { offset += 1 }
        var end = offset
        if end > start, bytes[end - 1] == UInt8(ascii: "\r"), offset == bytes.count || bytes[offset] == Self.newline {
            end -= 1
        }
        return (start..<end, false, finishField())
    }

    private mutating func readQuotedField() throws -> (content: Range<Int>, hasDoubledQuotes: Bool, isLast: Bool) {
        let firstLine = line
        offset += 1
        let start = offset
        var hasDoubledQuotes = false
        while true {
            guard offset < bytes.count else { throw problem("a quotation mark is never closed", firstLine) }
            if bytes[offset] == Self.quote {
                guard offset + 1 < bytes.count, bytes[offset + 1] == Self.quote else { break }
                hasDoubledQuotes = true
                offset += 1
            } else if bytes[offset] == Self.newline {
                line += 1
            }
            offset += 1
        }
        let end = offset
        offset += 1
        if offset < bytes.count, bytes[offset] == UInt8(ascii: "\r") { offset += 1 }
        if offset < bytes.count, bytes[offset] != separator, bytes[offset] != Self.newline {
            throw problem("a quoted field goes on after its closing quotation mark: double those inside it", line)
        }
        return (start..<end, hasDoubledQuotes, finishField())
    }

    /// Goes over the separator or the line break; true where the row ends.
    private mutating func finishField() -> Bool {
        guard offset < bytes.count else { return true }
        let endsRow = bytes[offset] == Self.newline
        if endsRow { line += 1 }
        offset += 1
        return endsRow
    }

    private func problem(_ message: String, _ line: Int) -> Problem {
        Problem(message, file: file, position: TextPosition(line: line, column: 1))
    }
}
