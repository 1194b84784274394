import Glibc

/// The lines of a text, whose ends are `\n`, `\r\n` or, as old spreadsheets write them, `\r`.
public struct TextLines: Sequence, IteratorProtocol {
    public struct Line {
        /// Where it lies, without its end.
        public var range: Range<Int>
        /// Counted from 1.
        public var number: Int
    }

    private let bytes: UnsafeRawBufferPointer
    private var offset: Int
    private var number = 0
    /// The next `\n` at or behind `offset`, once looked for.
    private var newline = -1

    /// Starts at `start` within `bytes`, which must outlive this.
    public init(_ bytes: UnsafeRawBufferPointer, from start: Int = 0) {
        self.bytes = bytes
        offset = start
    }

    public mutating func next() -> Line? {
        guard offset < bytes.count, let base = bytes.baseAddress else { return nil }
        // Kept, for a text whose lines all end in \r has none for as long as it is.
        if newline < offset { newline = Self.first(UInt8(ascii: "\n"), base, offset..<bytes.count) }
        let end = Self.first(UInt8(ascii: "\r"), base, offset..<newline)
        let range = offset..<end
        offset = end + (end + 1 == newline ? 2 : 1)
        number += 1
        return Line(range: range, number: number)
    }

    private static func first(_ byte: UInt8, _ base: UnsafeRawPointer, _ range: Range<Int>) -> Int {
        memchr(base + range.lowerBound, Int32(byte), range.count).map { UnsafeRawPointer($0) - base }
            ?? range.upperBound
    }

    /// The number of line ends in `bytes`.
    public static func countEnds(_ bytes: some Sequence<UInt8>) -> Int {
        var count = 0
        var isAfterReturn = false
        for byte in bytes {
            let isReturn = byte == UInt8(ascii: "\r")
            if isReturn || byte == UInt8(ascii: "\n") && !isAfterReturn { count += 1 }
            isAfterReturn = isReturn
        }
        return count
    }
}
