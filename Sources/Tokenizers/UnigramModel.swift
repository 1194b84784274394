/// A language model of pieces that stand alone (Kudo, 2018): a text is cut where the sum of its pieces' scores is largest
/// (Viterbi, 1967); a character without a piece has a score below all.
struct UnigramModel: Sendable {
    let trie: PieceTrie
    let scores: [Double]
    let unknownScore: Double
    /// Whether sums are single precision, as SentencePiece's are.
    let isSinglePrecision: Bool
    let unknown: UnknownPieces
    /// Where unknown characters side by side are looked up as a whole first; nil elsewhere.
    var vocabulary: Vocabulary?

    private static let unknownPenalty = 10.0
    /// Where SentencePiece begins sums anew.
    private static let lowestScore = -100_000.0

    /// As the tokenizers library has it.
    init(_ vocabulary: Vocabulary, scores: [Double], unknown: UnknownPieces) {
        var pieces: [(bytes: [UInt8], id: Int32)] = []
        vocabulary.forEach { pieces.append((Array($0), $1)) }
        trie = PieceTrie(pieces)
        self.scores = scores
        unknownScore = (scores.min() ?? 0) - Self.unknownPenalty
        isSinglePrecision = false
        self.unknown = unknown
        self.vocabulary = vocabulary
    }

    init(_ file: SentencePieceFile) {
        trie = PieceTrie(
            file.pieces.enumerated().filter { $1.isOrdinary && $1.type != .unused }
                .map { (Array($1.text.utf8), Int32(truncatingIfNeeded: $0)) })
        let normal = file.pieces.filter { $0.type == .normal }.map(\.score)
        let least = min(normal.min() ?? .greatestFiniteMagnitude, .greatestFiniteMagnitude)
        let largest = max(normal.max() ?? 0, .leastNormalMagnitude)
        scores = file.pieces.map { piece in
            // Such a symbol is always taken.
            piece.type == .userDefined
                ? Double(Float(piece.text.utf8.count) * largest) - 0.1 : Double(piece.score)
        }
        unknownScore = Double(least - Float(Self.unknownPenalty))
        isSinglePrecision = true
        unknown = UnknownPieces(file)
    }
}

extension UnigramModel: WordMerging {
    /// The best way to a place in the word: its score, and the last piece.
    private struct Way {
        var score = 0.0
        var start: Int32 = -1
        var id: Int32 = -1
    }

    func merge(_ word: UnsafePointer<UInt8>, _ count: Int, into output: UnsafeMutablePointer<Int32>) -> Int {
        withUnsafeTemporaryAllocation(of: Way.self, capacity: count + 1) { ways -> Int in
            ways.initialize(repeating: Way())
            findWays(word, count, ways)
            // The way back, from the end of the memory.
            var place = count
            var first = count + 1
            while place > 0 {
                let way = ways[place]
                place = Int(way.start)
                first -= 1
                // What lies at or behind this place isn't needed any more.
                ways[first].id = way.id
                ways[first].start = way.start
            }
            return write(word, count, ways[first...], output)
        }
    }

    @inline(__always)
    private func findWays(_ word: UnsafePointer<UInt8>, _ count: Int, _ ways: UnsafeMutableBufferPointer<Way>) {
        var start = 0
        scores.withUnsafeBufferPointer { scores in
            while start < count {
                var scoreHere = ways[start].score
                if isSinglePrecision, scoreHere < Self.lowestScore {
                    // Sums stay small enough to be told apart.
                    for place in start...min(start + trie.depth, count) where ways[place].start >= 0 {
                        ways[place].score = Double(Float(ways[place].score - scoreHere))
                    }
                    scoreHere = 0
                }
                let next = min(start + UnicodeClasses.decode(word, start).length, count)
                var hasCharacter = false
                trie.forEach(word, start, count) { end, id in
                    hasCharacter = hasCharacter || end == next
                    offer(scores[Int(id)] + scoreHere, start, end, id, ways)
                }
                if !hasCharacter { offer(unknownScore + scoreHere, start, next, unknown.id, ways) }
                start = next
            }
        }
    }

    @inline(__always)
    private func offer(
        _ score: Double, _ start: Int, _ end: Int, _ id: Int32, _ ways: UnsafeMutableBufferPointer<Way>
    ) {
        let score = isSinglePrecision ? Double(Float(score)) : score
        if ways[end].start >= 0, score <= ways[end].score { return }
        ways[end] = Way(score: score, start: Int32(truncatingIfNeeded: start), id: id)
    }

    private func write(
        _ word: UnsafePointer<UInt8>, _ count: Int, _ ways: Slice<UnsafeMutableBufferPointer<Way>>,
        _ output: UnsafeMutablePointer<Int32>
    ) -> Int {
        var writer = PieceWriter(output: output)
        var unknownStart: Int?
        func writeUnknown(before end: Int) {
            guard let start = unknownStart else { return }
            unknownStart = nil
            let bytes = UnsafeRawBufferPointer(start: word + start, count: end - start)
            if let id = vocabulary?.id(of: bytes) { return writer.write(id) }
            writer.writeUnknown(bytes, unknown)
        }
        for way in ways {
            if way.id == unknown.id {
                unknownStart = unknownStart ?? Int(way.start)
            } else {
                writeUnknown(before: Int(way.start))
                writer.write(way.id)
            }
        }
        writeUnknown(before: count)
        return writer.count
    }
}
