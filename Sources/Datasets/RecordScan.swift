import Diagnostics
import Files
import Glibc
import JSONText

/// Finds the records of a file, and what is wrong with them.
struct RecordScan {
    private let file: FileBytes
    private let start: Int
    private(set) var starts: [Int] = []
    private var problems = ProblemCollection()
    /// The records that were looked at, broken ones among them.
    private var count = 0

    init(file: FileBytes, from start: Int) {
        self.file = file
        self.start = start
    }

    func throwProblems() throws { try problems.throwAll(of: count, "records") }

    /// Every line that isn't blank is an object.
    mutating func readLines() throws {
        let bytes = file.bytes
        for line in TextLines(bytes, from: start) {
            let text = UnsafeRawBufferPointer(rebasing: bytes[line.range])
            if text.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }) { continue }
            count += 1
            let isRecord: Void? = try problems.collect {
                try Self.checkRecord(text, path: file.path, line: line.number)
            }
            if isRecord != nil { starts.append(line.range.lowerBound) }
        }
    }

    /// Throws a `Problem` where a line is no object.
    static func checkRecord(_ text: UnsafeRawBufferPointer, path: String, line: Int) throws {
        var reader = JSONReader(text, file: path, line: line)
        if let problem = try mismatch(&reader) { throw problem }
        try reader.skipValue()
        try reader.finish()
    }

    /// The file is an array of objects.
    mutating func readArray() throws {
        var reader = JSONReader(UnsafeRawBufferPointer(rebasing: file.bytes[start...]), file: file.path)
        guard try reader.peek() == .array else {
            let hint = "put one object a line into a .jsonl file otherwise"
            throw reader.problem("expected an array of objects; \(hint)")
        }
        var found = self
        do {
            try reader.readArray { reader in
                found.count += 1
                found.starts.append(start + reader.byteOffset)
                if let problem = try Self.mismatch(&reader) {
                    found.problems.add(problem)
                } else {
                    try reader.skipValue()
                }
            }
            try reader.finish()
        } catch let problem as Problem {
            // What follows broken JSON can't be told apart.
            found.problems.add(problem)
        }
        self = found
    }

    /// Every line that isn't empty is a record.
    mutating func findLines() {
        starts = TextLines(file.bytes, from: start).filter { !$0.range.isEmpty }.map(\.range.lowerBound)
        count = starts.count
    }

    mutating func readRows(of table: inout TableScanner) throws {
        try table.readHeader()
        while let row = table.nextRow() {
            count += 1
            do {
                try table.checkRow()
                starts.append(row)
            } catch let problem as Problem {
                problems.add(problem)
                if table.isBroken { return }
            }
        }
    }

    /// What is wrong with the next value, which is gone over then, if it is no object.
    private static func mismatch(_ reader: inout JSONReader) throws -> Problem? {
        if try reader.peek() == .object { return nil }
        let position = reader.position
        return reader.problem(
            "expected an object with named fields, got \(try reader.readNode().summary)", at: position)
    }

    /// Makes sure that the file is UTF-8, and text.
    func checkText() throws {
        let bytes = file.bytes
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: bytes.bindMemory(to: UInt8.self).span)
        } catch {
            let offset = error.byteOffsets.lowerBound
            throw problem("invalid UTF-8 (byte 0x\(String(bytes[offset], radix: 16, uppercase: true)))", at: offset)
        }
        if let base = bytes.baseAddress, let zero = memchr(base, 0, bytes.count) {
            throw problem(
                "a zero byte, which text doesn't have: is this another kind of file?", at: UnsafeRawPointer(zero) - base
            )
        }
    }

    private func problem(_ message: String, at offset: Int) -> Problem {
        let before = file.bytes[..<offset]
        let lineStart = before.lastIndex { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }.map { $0 + 1 } ?? 0
        return Problem(
            message, file: file.path,
            position: TextPosition(line: 1 + TextLines.countEnds(before), column: offset - lineStart + 1))
    }
}
