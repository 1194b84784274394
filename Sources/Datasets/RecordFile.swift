import Diagnostics
import Files
import JSONText
import Synchronization

/// The records of one file, found by one scan that also checks them; each is parsed again when it is needed.
package final class RecordFile: Sendable {
    let format: RecordFormat
    let file: FileBytes
    /// The offset of each record's first byte.
    let starts: [Int]
    /// The names of the columns, for tables.
    let columns: [String]
    /// What stands between the columns.
    let separator: UInt8
    /// The line of each record, once a problem asks for one.
    private let lines = Mutex<[Int32]?>(nil)

    /// The line of the first byte.
    private let firstLine: Int

    package var path: String { file.path }
    package var count: Int { starts.count }

    /// Scans the file. Throws a `Problem` or `Problems` with file and line for what is wrong: UTF-8, JSON, a column too
    /// many or too few, no record at all.
    package init(path: String) throws {
        firstLine = 1
        let file = try path == StandardInput.path ? StandardInput.bytes() : FileBytes(path: path)
        format = try path == StandardInput.path ? StandardInput.format(of: file) : RecordFormat(path: path)
        self.file = file
        let bytes = file.bytes
        let start = try textStart(of: bytes, file: path)
        var scan = RecordScan(file: file, from: start)
        var columns: [String] = []
        var separator = UInt8(ascii: ",")
        switch format {
        case .jsonLines: try scan.readLines()
        case .json: try scan.readArray()
        case .text:
            try scan.checkText()
            scan.findLines()
        case .commas, .tabs:
            try scan.checkText()
            separator = format == .tabs ? UInt8(ascii: "\t") : TableScanner.separator(of: bytes, from: start)
            var table = TableScanner(bytes, separator: separator, file: path, from: start)
            try scan.readRows(of: &table)
            columns = table.columns
        }
        try scan.throwProblems()
        starts = scan.starts
        self.columns = columns
        self.separator = separator
        if starts.isEmpty { throw Problem("holds no records", file: path) }
    }

    /// A single record, the line `number` of `path`. Throws a `Problem` with file and line where it is no UTF-8 or no JSON.
    init(line: [UInt8], format: RecordFormat, path: String, number: Int) throws {
        self.format = format
        file = FileBytes(line, path: path)
        firstLine = number
        starts = [0]
        columns = []
        separator = format.separator
        if format == .jsonLines {
            try file.withBytes { try RecordScan.checkRecord($0, path: path, line: number) }
        } else if String(validating: line, as: UTF8.self) == nil {
            throw Problem("invalid UTF-8", file: path, position: TextPosition(line: number, column: 1))
        }
    }

    /// The line that record `index` starts on; counted anew, because only problems ask for it.
    package func line(of index: Int) -> Int {
        lines.withLock { lines in
            let known = lines ?? countedLines()
            lines = known
            return Int(known[index])
        }
    }

    private func countedLines() -> [Int32] {
        file.withBytes { bytes in
            var line = firstLine
            var before = 0
            return starts.map { start in
                line += TextLines.countEnds(bytes[before..<start])
                before = start
                return Int32(clamping: line)
            }
        }
    }

    func problem(_ message: String, at index: Int) -> Problem {
        Problem(message, file: path, position: TextPosition(line: line(of: index), column: 1))
    }

    /// The bytes of record `index` and what separates it from the next.
    func extent(of index: Int) -> UnsafeRawBufferPointer {
        let end = index + 1 < count ? starts[index + 1] : file.bytes.count
        return UnsafeRawBufferPointer(rebasing: file.bytes[starts[index]..<end])
    }
}
