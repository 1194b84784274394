import Diagnostics
import Glibc
import JSONText

/// The records of one file, found by one scan that also checks them; each is parsed again when it is needed.
package final class RecordFile: Sendable {
    let format: RecordFormat
    let file: FileBytes
    /// The offset of each record's first byte.
    let starts: [Int]
    /// The names of the columns, for tables.
    let columns: [String]

    /// The line of the first byte.
    private let firstLine: Int

    package var path: String { file.path }
    package var count: Int { starts.count }

    /// Scans the file. Throws a `Problem` with file and line for the first thing that is wrong: UTF-8, JSON, a column
    /// too many or too few, no record at all.
    package init(path: String) throws {
        firstLine = 1
        format = try RecordFormat(path: path)
        let file = try FileBytes(path: path)
        self.file = file
        let bytes = file.bytes
        let start = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        var columns: [String] = []
        switch format {
        case .jsonLines:
            starts = try Self.scanLines(file, from: start) { try Self.checkRecord($0, path: path, line: $1) }
        case .json: starts = try Self.scanArray(file, from: start)
        case .text:
            try Self.checkUTF8(file)
            starts = try Self.scanLines(file, from: start) { _, _ in }
        case .commas, .tabs:
            try Self.checkUTF8(file)
            var table = TableScanner(bytes, separator: format.separator, file: path, from: start)
            starts = try table.scan()
            columns = table.columns
        }
        self.columns = columns
        if starts.isEmpty { throw Problem("holds no records", file: path) }
    }

    /// A single record, the line `number` of `path`. Throws a `Problem` with file and line where it is no UTF-8 or no JSON.
    init(line: [UInt8], format: RecordFormat, path: String, number: Int) throws {
        self.format = format
        file = FileBytes(line, path: path)
        firstLine = number
        starts = [0]
        columns = []
        if format == .jsonLines {
            try file.withBytes { try Self.checkRecord($0, path: path, line: number) }
        } else if String(validating: line, as: UTF8.self) == nil {
            throw Problem("invalid UTF-8", file: path, position: TextPosition(line: number, column: 1))
        }
    }

    /// The line that record `index` starts on; counted anew, because only problems ask for it.
    package func line(of index: Int) -> Int {
        file.withBytes { firstLine + $0[..<starts[index]].count { $0 == UInt8(ascii: "\n") } }
    }

    func problem(_ message: String, at index: Int) -> Problem {
        Problem(message, file: path, position: TextPosition(line: line(of: index), column: 1))
    }

    /// The bytes of record `index` and what separates it from the next.
    func extent(of index: Int) -> UnsafeRawBufferPointer {
        let end = index + 1 < count ? starts[index + 1] : file.bytes.count
        return UnsafeRawBufferPointer(rebasing: file.bytes[starts[index]..<end])
    }

    private static func scanLines(
        _ file: FileBytes, from start: Int, check: (UnsafeRawBufferPointer, Int) throws -> Void
    ) throws -> [Int] {
        try file.withBytes { bytes in
            var starts: [Int] = []
            guard let base = bytes.baseAddress else { return starts }
            var offset = start
            var line = 1
            while offset < bytes.count {
                let newline = memchr(base + offset, 0x0A, bytes.count - offset)
                let end = newline.map { UnsafeRawPointer($0) - base } ?? bytes.count
                let isBlank = end == offset || (end == offset + 1 && bytes[offset] == UInt8(ascii: "\r"))
                if !isBlank {
                    try check(UnsafeRawBufferPointer(rebasing: bytes[offset..<end]), line)
                    starts.append(offset)
                }
                offset = end + 1
                line += 1
            }
            return starts
        }
    }

    private static func checkRecord(_ bytes: UnsafeRawBufferPointer, path: String, line: Int) throws {
        var reader = JSONReader(bytes, file: path, line: line)
        try checkObject(&reader)
        try reader.finish()
    }

    private static func checkObject(_ reader: inout JSONReader) throws {
        if try reader.peek() != .object {
            let position = reader.position
            throw reader.problem(
                "expected an object with named fields, got \(try reader.readNode().summary)", at: position)
        }
        try reader.skipValue()
    }

    private static func scanArray(_ file: FileBytes, from start: Int) throws -> [Int] {
        try file.withBytes { bytes in
            var reader = JSONReader(UnsafeRawBufferPointer(rebasing: bytes[start...]), file: file.path)
            guard try reader.peek() == .array else {
                let hint = "put one object a line into a .jsonl file otherwise"
                throw reader.problem("expected an array of objects; \(hint)")
            }
            var starts: [Int] = []
            try reader.readArray { reader in
                starts.append(start + reader.byteOffset)
                try checkObject(&reader)
            }
            try reader.finish()
            return starts
        }
    }

    private static func checkUTF8(_ file: FileBytes) throws {
        try file.withBytes { bytes in
            do throws(UTF8.ValidationError) {
                _ = try UTF8Span(validating: bytes.bindMemory(to: UInt8.self).span)
            } catch {
                let offset = error.byteOffsets.lowerBound
                let before = bytes[..<offset]
                let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
                throw Problem(
                    "invalid UTF-8 (byte 0x\(String(bytes[offset], radix: 16, uppercase: true)))", file: file.path,
                    position: TextPosition(
                        line: 1 + before.count { $0 == UInt8(ascii: "\n") }, column: offset - lineStart + 1))
            }
        }
    }
}
