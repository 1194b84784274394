import Diagnostics
import Files
import JSONText

/// Rows of fields between separators, quoted as RFC 4180 has it: `"a ""quoted"" field, with\nline breaks"`.
///
/// A quotation mark inside a field that doesn't start with one is text, as Python's csv reads it; and as there a row
/// ends in `\n`, `\r\n` or `\r`.
struct TableScanner {
    private let bytes: UnsafeRawBufferPointer
    private let separator: UInt8
    private let file: String
    private var offset: Int
    private var line = 1
    /// The names in the first row, once read.
    private(set) var columns: [String] = []
    /// Whether where rows end can't be told any more.
    private(set) var isBroken = false

    private static let quote = UInt8(ascii: "\"")
    private static let newline = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    init(_ bytes: UnsafeRawBufferPointer, separator: UInt8, file: String, from start: Int) {
        self.bytes = bytes
        self.separator = separator
        self.file = file
        offset = start
    }

    /// What separates the columns of a .csv file: a semicolon, as spreadsheets write it where the comma is a decimal
    /// point, or a tab, if the header has it and no comma.
    static func separator(of bytes: UnsafeRawBufferPointer, from start: Int) -> UInt8 {
        let comma = UInt8(ascii: ",")
        var other: UInt8?
        var isQuoted = false
        for byte in bytes[start...].drop(while: isBreak) {
            if byte == quote { isQuoted.toggle() }
            if isQuoted { continue }
            if byte == comma || isBreak(byte) { return byte == comma ? comma : other ?? comma }
            if byte == UInt8(ascii: ";") || byte == UInt8(ascii: "\t") { other = other ?? byte }
        }
        return other ?? comma
    }

    private static func isBreak(_ byte: UInt8) -> Bool { byte == newline || byte == carriageReturn }

    /// Reads the names of the columns.
    mutating func readHeader() throws {
        guard let _ = nextRow() else { return }
        let firstLine = line
        columns = try readRow()
        for (index, name) in columns.enumerated()
        where columns[..<index].contains(where: { sameBytes($0, name) }) {
            throw problem("the column '\(name)' appears twice in the header", firstLine)
        }
    }

    /// Goes to the next row and returns its offset; empty lines are left out. nil at the end.
    mutating func nextRow() -> Int? {
        while offset < bytes.count, Self.isBreak(bytes[offset]) { _ = finishField() }
        return offset < bytes.count ? offset : nil
    }

    /// Goes over the row at the current offset. Throws a `Problem` where it hasn't as many fields as there are columns;
    /// the scanner stands behind it then, unless `isBroken`.
    mutating func checkRow() throws {
        let firstLine = line
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

    private func endsField(_ byte: UInt8) -> Bool { byte == separator || Self.isBreak(byte) }

    /// Goes over one field and what ends it: where its content lies, whether quotation marks in it are doubled, and
    /// whether it is the row's last.
    private mutating func readField() throws -> (content: Range<Int>, hasDoubledQuotes: Bool, isLast: Bool) {
        if offset < bytes.count, bytes[offset] == Self.quote { return try readQuotedField() }
        let start = offset
        while offset < bytes.count, !endsField(bytes[offset]) { offset += 1 }
        return (start..<offset, false, finishField())
    }

    private mutating func readQuotedField() throws -> (content: Range<Int>, hasDoubledQuotes: Bool, isLast: Bool) {
        let firstLine = line
        offset += 1
        let start = offset
        var hasDoubledQuotes = false
        while true {
            guard offset < bytes.count else {
                isBroken = true
                throw problem("a quotation mark is never closed", firstLine)
            }
            if bytes[offset] == Self.quote {
                guard offset + 1 < bytes.count, bytes[offset + 1] == Self.quote else { break }
                hasDoubledQuotes = true
                offset += 1
            }
            offset += 1
        }
        let end = offset
        line += TextLines.countEnds(bytes[start..<end])
        offset += 1
        if offset < bytes.count, !endsField(bytes[offset]) {
            isBroken = true
            throw problem("a quoted field goes on after its closing quotation mark: double those inside it", line)
        }
        return (start..<end, hasDoubledQuotes, finishField())
    }

    /// Goes over the separator or the line break; true where the row ends.
    private mutating func finishField() -> Bool {
        guard offset < bytes.count else { return true }
        let byte = bytes[offset]
        offset += 1
        guard Self.isBreak(byte) else { return false }
        if byte == Self.carriageReturn, offset < bytes.count, bytes[offset] == Self.newline { offset += 1 }
        line += 1
        return true
    }

    private func problem(_ message: String, _ line: Int) -> Problem {
        Problem(message, file: file, position: TextPosition(line: line, column: 1))
    }
}
