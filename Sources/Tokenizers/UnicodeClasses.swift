/// What GPT-2's pattern and the rules of added tokens ask about a code point, as the tokenizers library answers it.
///
/// A table in two stages: a page number per 256 code points, then a byte per code point; one page serves all stretches
/// of one class. The answers are the library's own (see scripts/unicode_classes.py), for its Unicode version differs
/// from Swift's.
struct UnicodeClasses: @unchecked Sendable {
    static let other: UInt8 = 0
    static let letter: UInt8 = 1
    static let number: UInt8 = 2
    static let space: UInt8 = 3
    /// Set beside the class of a word character (`\w`).
    static let wordFlag: UInt8 = 4
    /// What `firstByte` holds for a byte that doesn't stand alone.
    static let multibyte: UInt8 = 255

    static let table = UnicodeClasses()

    /// The class for each byte that is an ASCII character, `multibyte` for the others.
    let firstByte: UnsafePointer<UInt8>
    private let pages: UnsafePointer<UInt16>
    private let classes: UnsafePointer<UInt8>

    private init() {
        let codePoints = 0x110000
        let pageCount = codePoints / 256
        let pages = UnsafeMutablePointer<UInt16>.allocate(capacity: pageCount)
        // The first pages are those that hold one class throughout, by that class.
        var classes = (UInt8(0)..<8).flatMap { [UInt8](repeating: $0, count: 256) }
        let runs = Self.runs
        var run = 0
        for page in 0..<pageCount {
            let first = UInt32(page * 256)
            while run + 1 < runs.count, runs[run + 1] >> 3 <= first { run += 1 }
            if run + 1 == runs.count || runs[run + 1] >> 3 >= first + 256 {
                pages[page] = UInt16(runs[run] & 7)
                continue
            }
            pages[page] = UInt16(classes.count / 256)
            for code in first..<first + 256 {
                while run + 1 < runs.count, runs[run + 1] >> 3 <= code { run += 1 }
                classes.append(UInt8(runs[run] & 7))
            }
        }
        let table = UnsafeMutablePointer<UInt8>.allocate(capacity: classes.count)
        table.initialize(from: classes, count: classes.count)
        let firstByte = UnsafeMutablePointer<UInt8>.allocate(capacity: 256)
        for byte in 0..<256 { firstByte[byte] = byte < 128 ? table[Int(pages[0]) * 256 + byte] & 3 : Self.multibyte }
        self.pages = UnsafePointer(pages)
        self.classes = UnsafePointer(table)
        self.firstByte = UnsafePointer(firstByte)
    }

    /// The class of a code point with the word flag.
    @inline(__always)
    func flags(_ code: UInt32) -> UInt8 { classes[Int(pages[Int(code >> 8)]) << 8 | Int(code & 255)] }

    /// The class of the character of several bytes at `index` in valid UTF-8, and its length.
    @inline(__always)
    func multibyteClass(_ text: UnsafePointer<UInt8>, _ index: Int) -> (kind: UInt8, length: Int) {
        let (code, length) = Self.decode(text, index)
        return (flags(code) & 3, length)
    }

    /// The code point at `index` in valid UTF-8, and its length.
    @inline(__always)
    static func decode(_ text: UnsafePointer<UInt8>, _ index: Int) -> (code: UInt32, length: Int) {
        let first = UInt32(text[index])
        if first < 0x80 { return (first, 1) }
        let second = UInt32(text[index + 1] & 0x3F)
        if first < 0xE0 { return ((first & 0x1F) << 6 | second, 2) }
        let third = UInt32(text[index + 2] & 0x3F)
        if first < 0xF0 { return ((first & 0xF) << 12 | second << 6 | third, 3) }
        return ((first & 7) << 18 | second << 12 | third << 6 | UInt32(text[index + 3] & 0x3F), 4)
    }
}
