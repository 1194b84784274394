import JSONText

/// Byte-pair encoding as SentencePiece has it: of neighbours that together are a piece those with the best score merge
/// first, the leftmost of equals. Characters alone where nothing merges.
struct PieceMerger: Sendable {
    /// The pieces that texts are cut into.
    private let pieces: Vocabulary
    /// Pieces that are no texts', found before others where a character is spelled like one; nil mostly.
    private let reserved: Vocabulary?
    /// By id: 0 for the best score; equal ones have the same.
    private let ranks: [UInt32]
    /// By id: whether a piece is cut again into what it was made of; empty where none is.
    private let unused: [Bool]
    let merges: Bool
    /// Symbols that are taken whole and merge with nothing.
    let symbols: PieceTrie?
    let unknown: UnknownPieces
    /// Whether a text may be cut in front of a ▁ that follows another character, because no piece goes over such a place.
    let splitsAtSpaces: Bool

    init(_ file: SentencePieceFile, symbols: PieceTrie?) {
        var builder = Vocabulary.Builder(reservingBytes: file.pieces.count * 16)
        var others = Vocabulary.Builder(reservingBytes: 0)
        for (id, piece) in file.pieces.enumerated() {
            var text = piece.text
            text.withUTF8 {
                let bytes = UnsafeRawBufferPointer($0)
                if piece.isOrdinary {
                    builder.append(bytes, id: Int32(truncatingIfNeeded: id))
                } else {
                    others.append(bytes, id: Int32(truncatingIfNeeded: id))
                }
            }
        }
        let pieces = Vocabulary(builder)
        let isSpelledAlike = file.pieces.contains { piece in
            !piece.isOrdinary && (piece.text.unicodeScalars.count == 1 || pieces.id(of: piece.text) != nil)
        }
        let hasUnused = file.pieces.contains { $0.type == .unused }
        reserved = isSpelledAlike ? Vocabulary(others) : nil
        unused = hasUnused ? file.pieces.map { $0.type == .unused } : []
        merges = file.kind == .bpe
        ranks = Self.ranks(file.pieces)
        unknown = UnknownPieces(file)
        let hasSpace = file.pieces.contains { $0.type == .normal && sameBytes($0.text, "▁") }
        splitsAtSpaces =
            hasSpace && !hasUnused && !isSpelledAlike
            && !file.pieces.contains { $0.isOrdinary && Self.hasSpaceBehindOther($0.text) }
        self.symbols = symbols
        self.pieces = pieces
    }

    var hasUnused: Bool { !unused.isEmpty }
    func isUnused(_ id: Int32) -> Bool { unused[Int(id)] }
    @inline(__always)
    func id(_ bytes: UnsafeRawBufferPointer) -> Int32? { pieces.id(of: bytes) }
    @inline(__always)
    func rank(_ id: Int32) -> UInt32 { ranks[Int(id)] }
    @inline(__always)
    func finalID(_ bytes: UnsafeRawBufferPointer) -> Int32? { reserved?.id(of: bytes) ?? pieces.id(of: bytes) }

    private static func ranks(_ pieces: [SentencePieceFile.Piece]) -> [UInt32] {
        let order = pieces.indices.filter { pieces[$0].isOrdinary }.sorted { pieces[$0].score > pieces[$1].score }
        var ranks = [UInt32](repeating: 0, count: pieces.count)
        var rank: UInt32 = 0
        for (place, id) in order.enumerated() {
            if place > 0, pieces[order[place - 1]].score != pieces[id].score { rank += 1 }
            ranks[id] = rank
        }
        return ranks
    }

    private static func hasSpaceBehindOther(_ text: String) -> Bool {
        let scalars = text.unicodeScalars
        return zip(scalars, scalars.dropFirst()).contains { $0 != "▁" && $1 == "▁" }
    }
}
