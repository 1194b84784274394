/// What SentencePiece does to a text before it is cut: characters are replaced, spaces become visible, one stands in front.
struct SentencePieceNormalizer: Sendable {
    var rules: SentencePieceFile.Normalization
    /// Symbols that stay as they are; nil where there are none.
    var symbols: PieceTrie?

    private static let visibleSpace: [UInt8] = [0xE2, 0x96, 0x81]
    private static let space = UInt8(ascii: " ")

    /// - Parameters:
    ///   - place: What goes on from other text keeps the spaces in front, and gets none there.
    ///   - isEnd: What other text stands behind keeps the spaces at its end.
    func apply(to text: [UInt8], _ place: TextPlace, isEnd: Bool) -> [UInt8] {
        text.withUnsafeBufferPointer { text in
            guard let start = text.baseAddress else { return [] }
            return normalized(start, text.count, isStart: place == .start, isEnd: isEnd)
        }
    }

    private func normalized(_ text: UnsafePointer<UInt8>, _ count: Int, isStart: Bool, isEnd: Bool) -> [UInt8] {
        var index = 0
        if rules.removesExtraSpaces, isStart {
            while index < count {
                let (length, replacement) = prefix(text, index, count)
                if replacement.map({ $0.elementsEqual([Self.space]) }) ?? (length == 1 && text[index] == Self.space) {
                    index += length
                } else {
                    break
                }
            }
        }
        if index == count { return [] }
        let space = rules.escapesSpaces ? Self.visibleSpace : [Self.space]
        var output: [UInt8] = []
        output.reserveCapacity((count - index) * 3 / 2 + 8)
        if rules.addsDummyPrefix, isStart { output += space }
        var isBehindSpace = rules.removesExtraSpaces && isStart
        while index < count {
            let (length, replacement) = prefix(text, index, count)
            if let replacement {
                append(replacement, space, &isBehindSpace, &output)
            } else if length == 1 {
                let isSpace = text[index] == Self.space
                if !isSpace { output.append(text[index]) } else if !isBehindSpace { output += space }
                // What is left of a run of spaces is none, and changes nothing.
                isBehindSpace = isSpace
            } else {
                append(UnsafeBufferPointer(start: text + index, count: length), space, &isBehindSpace, &output)
            }
            if !rules.removesExtraSpaces { isBehindSpace = false }
            index += length
        }
        if rules.removesExtraSpaces, isEnd {
            while output.count >= space.count, output.suffix(space.count).elementsEqual(space) {
                output.removeLast(space.count)
            }
        }
        return output
    }

    /// Appends what may hold spaces at its beginning, which go where one stands in front, and elsewhere.
    private func append(
        _ part: some Collection<UInt8>, _ space: [UInt8], _ isBehindSpace: inout Bool, _ output: inout [UInt8]
    ) {
        var last: UInt8?
        for byte in part {
            if byte == Self.space, isBehindSpace, last == nil { continue }
            if byte == Self.space { output += space } else { output.append(byte) }
            last = byte
        }
        if let last { isBehindSpace = last == Self.space }
    }

    /// The length of the next symbol, sequence or character, and what replaces it.
    @inline(__always)
    private func prefix(
        _ text: UnsafePointer<UInt8>, _ index: Int, _ end: Int
    ) -> (length: Int, replacement: ArraySlice<UInt8>?) {
        if let found = symbols?.longest(text, index, end) { return (found.end - index, nil) }
        if let map = rules.characterMap, let found = map.match(text, index, end, .longest) {
            return (found.length, map.bytes(found.replacement))
        }
        return (UnicodeClasses.decode(text, index).length, nil)
    }
}
