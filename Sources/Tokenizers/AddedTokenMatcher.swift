/// Finds added tokens in a text: leftmost first, of those that start at one place the longest.
struct AddedTokenMatcher: Sendable {
    /// A piece of a text: an added token, or what lies between two.
    struct Piece {
        var range: Range<Int>
        /// The added token's id, nil for other text.
        var id: Int32?
    }

    private struct Node {
        var byte: UInt8
        var token: Int32 = -1
        var firstChild: Int32 = -1
        var nextSibling: Int32 = -1
    }

    private let tokens: [AddedToken]
    private var nodes = [Node(byte: 0)]
    private var isFirstByte = [Bool](repeating: false, count: 256)

    /// nil where there are no tokens; those without content are never found.
    init?(_ tokens: [AddedToken]) {
        self.tokens = tokens
        for (index, token) in tokens.enumerated() {
            var node = 0
            for byte in token.content.utf8 { node = child(of: node, byte) ?? addChild(to: node, byte) }
            // Of equal contents the first counts.
            if node != 0, nodes[node].token < 0 { nodes[node].token = Int32(index) }
            if let first = token.content.utf8.first { isFirstByte[Int(first)] = true }
        }
        if nodes.count == 1 { return nil }
    }

    private func child(of node: Int, _ byte: UInt8) -> Int? {
        var index = nodes[node].firstChild
        while index >= 0 {
            if nodes[Int(index)].byte == byte { return Int(index) }
            index = nodes[Int(index)].nextSibling
        }
        return nil
    }

    private mutating func addChild(to node: Int, _ byte: UInt8) -> Int {
        nodes.append(Node(byte: byte, nextSibling: nodes[node].firstChild))
        nodes[node].firstChild = Int32(nodes.count - 1)
        return nodes.count - 1
    }

    /// The start of the first token at or behind `index`, the token and its end; nil where there is none before `end`.
    private func firstMatch(
        _ text: UnsafePointer<UInt8>, from index: Int, end: Int
    ) -> (start: Int, end: Int, token: AddedToken)? {
        isFirstByte.withUnsafeBufferPointer { isFirstByte in
            for start in index..<max(index, end) where isFirstByte[Int(text[start])] {
                var node = 0
                var position = start
                var match: (end: Int, token: Int)?
                while position < end, let next = child(of: node, text[position]) {
                    node = next
                    position += 1
                    if nodes[node].token >= 0 { match = (position, Int(nodes[node].token)) }
                }
                if let match { return (start, match.end, tokens[match.token]) }
            }
            return nil
        }
    }

    /// The pieces of `text[range]`, in order. Boundaries of words and white space are looked for inside the range only.
    /// A token that takes white space may reach into the next token, which then counts too, as in the library.
    func pieces(_ text: UnsafePointer<UInt8>, _ range: Range<Int>) -> [Piece] {
        var pieces: [Piece] = []
        var pieceStart = range.lowerBound
        var searchStart = range.lowerBound
        while let match = firstMatch(text, from: searchStart, end: range.upperBound) {
            searchStart = match.end
            let token = match.token
            var (start, end) = (match.start, match.end)
            if token.isSingleWord {
                if start > range.lowerBound, isWord(text, Self.previous(text, start)) { continue }
                if end < range.upperBound, isWord(text, end) { continue }
            }
            if token.stripsLeft {
                while start > range.lowerBound, isSpace(text, Self.previous(text, start)) {
                    start = Self.previous(text, start)
                }
                start = max(start, pieceStart)
            }
            if token.stripsRight {
                while end < range.upperBound, isSpace(text, end) { end += UnicodeClasses.decode(text, end).length }
            }
            if pieceStart < start { pieces.append(Piece(range: pieceStart..<start)) }
            pieces.append(Piece(range: min(start, end)..<end, id: token.id))
            pieceStart = end
        }
        if pieceStart != range.upperBound { pieces.append(Piece(range: pieceStart..<range.upperBound)) }
        return pieces
    }

    private func isWord(_ text: UnsafePointer<UInt8>, _ index: Int) -> Bool {
        UnicodeClasses.table.flags(UnicodeClasses.decode(text, index).code) & UnicodeClasses.wordFlag != 0
    }

    private func isSpace(_ text: UnsafePointer<UInt8>, _ index: Int) -> Bool {
        UnicodeClasses.table.flags(UnicodeClasses.decode(text, index).code) & 3 == UnicodeClasses.space
    }

    /// The start of the character that ends in front of `index`.
    private static func previous(_ text: UnsafePointer<UInt8>, _ index: Int) -> Int {
        var index = index - 1
        while text[index] & 0xC0 == 0x80 { index -= 1 }
        return index
    }
}
