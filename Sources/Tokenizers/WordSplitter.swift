/// GPT-2's pre-tokenization, over valid UTF-8:
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
struct WordSplitter {
    let text: UnsafePointer<UInt8>
    let end: Int
    private let classes = UnicodeClasses.table
    private let firstByte = UnicodeClasses.table.firstByte

    /// The pattern as tokenizer.json files spell it.
    static let pattern = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    /// Splits the bytes of `text` before `end`.
    init(text: UnsafePointer<UInt8>, end: Int) {
        self.text = text
        self.end = end
    }

    /// Where the word that starts at `start`, which is before the end, ends.
    @inline(__always)
    func endOfWord(from start: Int) -> Int {
        var index = start
        let byte = text[start]
        if byte == UInt8(ascii: "'") {
            let length = contractionLength(at: start)
            if length > 0 { return start + length }
        } else if byte == UInt8(ascii: " ") {
            index += 1
            if index == end { return end }
        }
        var kind = firstByte[Int(text[index])]
        var length = 1
        if kind == UnicodeClasses.multibyte { (kind, length) = classes.multibyteClass(text, index) }
        if kind == UnicodeClasses.space { return endOfSpace(from: start) }
        return endOfRun(kind, from: index + length)
    }

    /// The end of the run of characters of class `kind` that `index` is in or behind.
    @inline(__always)
    private func endOfRun(_ kind: UInt8, from index: Int) -> Int {
        var index = index
        while index < end {
            let next = firstByte[Int(text[index])]
            if next == kind {
                index += 1
            } else if next == UnicodeClasses.multibyte {
                let (kindOfNext, length) = classes.multibyteClass(text, index)
                if kindOfNext != kind { return index }
                index += length
            } else {
                return index
            }
        }
        return index
    }

    /// The end of the white space at `start`: without its last character where something follows, for that one
    /// belongs to (or stands before) the word behind, and a run of one has no other.
    private func endOfSpace(from start: Int) -> Int {
        var index = start
        var last = start
        while index < end {
            var kind = firstByte[Int(text[index])]
            var length = 1
            if kind == UnicodeClasses.multibyte { (kind, length) = classes.multibyteClass(text, index) }
            if kind != UnicodeClasses.space { return last > start ? last : index }
            last = index
            index += length
        }
        return end
    }

    /// The length of the contraction that the apostrophe at `start` begins, or 0.
    private func contractionLength(at start: Int) -> Int {
        guard start + 1 < end else { return 0 }
        let second = start + 2 < end ? text[start + 2] : 0
        switch text[start + 1] {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return 2
        case UInt8(ascii: "r"), UInt8(ascii: "v"): return second == UInt8(ascii: "e") ? 3 : 0
        case UInt8(ascii: "l"): return second == UInt8(ascii: "l") ? 3 : 0
        default: return 0
        }
    }
}
