/// A way to cut a text, as the pre-tokenizers of the tokenizers library have it.
struct SplitRule: Sendable {
    enum Separator: Sendable {
        case expression(SplitExpression)
        /// Bytes that are found as they are.
        case text([UInt8])
        /// Single characters of a set.
        case characters(CodePointTable)
        /// GPT-2's words, which leave nothing between them.
        case words
    }

    enum Behavior: String, Sendable {
        case isolated = "Isolated"
        case removed = "Removed"
        case mergedWithPrevious = "MergedWithPrevious"
        case mergedWithNext = "MergedWithNext"
        case contiguous = "Contiguous"
    }

    var separator: Separator
    var behavior: Behavior
    var isInverted = false

    /// Calls `body` with the pieces of `text[range]`, in order, none of them empty.
    func split(_ text: UnsafePointer<UInt8>, _ range: Range<Int>, _ body: (Range<Int>) -> Void) {
        switch behavior {
        case .isolated: separator.forEach(text, range) { piece, _ in body(piece) }
        case .removed: separator.forEach(text, range) { piece, isMatch in if isMatch == isInverted { body(piece) } }
        case .mergedWithPrevious, .contiguous:
            var pending: Range<Int>?
            var isPreviousMatch = false
            separator.forEach(text, range) { piece, isMatch in
                let isMatch = isMatch != isInverted
                let joins = behavior == .contiguous ? isMatch == isPreviousMatch : isMatch && !isPreviousMatch
                isPreviousMatch = isMatch
                if joins, let last = pending {
                    pending = last.lowerBound..<piece.upperBound
                } else {
                    if let last = pending { body(last) }
                    pending = piece
                }
            }
            if let last = pending { body(last) }
        case .mergedWithNext:
            // A separator goes to what follows, unless that is one too.
            var pending: Range<Int>?
            separator.forEach(text, range) { piece, isMatch in
                if isMatch != isInverted {
                    if let last = pending { body(last) }
                    pending = piece
                } else {
                    body((pending?.lowerBound ?? piece.lowerBound)..<piece.upperBound)
                    pending = nil
                }
            }
            if let last = pending { body(last) }
        }
    }
}

extension SplitRule.Separator {
    /// Calls `body` with what is found in `text[range]` and what lies between, none of them empty.
    func forEach(
        _ text: UnsafePointer<UInt8>, _ range: Range<Int>, _ body: (_ piece: Range<Int>, _ isMatch: Bool) -> Void
    ) {
        var last = range.lowerBound
        func found(_ match: Range<Int>) {
            if last < match.lowerBound { body(last..<match.lowerBound, false) }
            body(match, true)
            last = match.upperBound
        }
        switch self {
        case .expression(let expression):
            var search = SplitExpression.Search(length: range.count)
            while let match = expression.firstMatch(text, range, from: last, &search) { found(match) }
        case .text(let bytes):
            var index = range.lowerBound
            while index + bytes.count <= range.upperBound {
                if UnsafeBufferPointer(start: text + index, count: bytes.count).elementsEqual(bytes) {
                    found(index..<index + bytes.count)
                    index += bytes.count
                } else {
                    index += 1
                }
            }
        case .characters(let set):
            var index = range.lowerBound
            while index < range.upperBound {
                let (code, length) = UnicodeClasses.decode(text, index)
                if set.contains(code) { found(index..<index + length) }
                index += length
            }
        case .words:
            let splitter = WordSplitter(text: text, end: range.upperBound)
            while last < range.upperBound { found(last..<splitter.endOfWord(from: last)) }
        }
        if last < range.upperBound { body(last..<range.upperBound, false) }
    }
}
