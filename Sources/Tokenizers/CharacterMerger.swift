/// Merges words whose tokens are spelled in characters, not in bytes that stand for themselves; a character without a
/// token becomes those of its bytes (`byte_fallback`) or the unknown token.
struct CharacterMerger: Sendable {
    let vocabulary: Vocabulary
    let merges: MergeTable
    /// The ids of `<0x00>` to `<0xFF>`, or -1; empty without byte fallback.
    var fallbackIDs: [Int32] = []
    var unknownID: Int32?
    /// Whether unknown characters side by side are one token.
    var fusesUnknown = false
    /// Whether a word that is a token is that one, whatever the merges make.
    var ignoresMerges = false
    /// The ids of ASCII characters, or -1.
    private let asciiIDs: [Int32]

    init(vocabulary: Vocabulary, merges: MergeTable) {
        self.vocabulary = vocabulary
        self.merges = merges
        asciiIDs = (UInt8(0)..<128).map { byte in
            withUnsafeBytes(of: byte) { vocabulary.id(of: $0) ?? -1 }
        }
    }

    /// Whether a text may be cut in front of a ▁ that follows another character, because no merge goes over such a place.
    var splitsAtSpaces: Bool {
        if ignoresMerges || fusesUnknown && unknownID != nil && (fallbackIDs.isEmpty || fallbackIDs.contains(-1)) {
            return false
        }
        var splits = true
        var isMerged = [Bool](repeating: false, count: vocabulary.idLimit)
        merges.forEach { _, _, _, id in isMerged[Int(id)] = true }
        vocabulary.forEach { spelling, id in
            guard splits, isMerged[Int(id)] else { return }
            var isBehindOther = false
            var index = 0
            while index < spelling.count {
                let isSpace = spelling[index...].starts(with: Self.visibleSpace)
                if isSpace, isBehindOther { splits = false }
                isBehindOther = !isSpace
                index += isSpace ? 3 : 1
            }
        }
        return splits
    }

    private static let visibleSpace: [UInt8] = [0xE2, 0x96, 0x81]

    /// Calls `body` with the parts of a word that merge apart from one another.
    static func split(_ text: UnsafePointer<UInt8>, _ range: Range<Int>, _ body: (Range<Int>) -> Void) {
        var (start, index) = (range.lowerBound, range.lowerBound)
        var isBehindOther = false
        while index < range.upperBound {
            guard text[index] == 0xE2, index + 2 < range.upperBound, text[index + 1] == 0x96, text[index + 2] == 0x81
            else {
                isBehindOther = true
                index += 1
                continue
            }
            if isBehindOther {
                body(start..<index)
                start = index
            }
            isBehindOther = false
            index += 3
        }
        if start < range.upperBound { body(start..<range.upperBound) }
    }
}

extension CharacterMerger: WordMerging {
    @inline(__always)
    func merge(_ word: UnsafePointer<UInt8>, _ count: Int, into output: UnsafeMutablePointer<Int32>) -> Int {
        if ignoresMerges, let id = vocabulary.id(of: UnsafeRawBufferPointer(start: word, count: count)) {
            output[0] = id
            return 1
        }
        return merges.merge(output, start(word, count, output))
    }

    /// Writes the ids of the word's characters; returns how many there are.
    private func start(_ word: UnsafePointer<UInt8>, _ count: Int, _ output: UnsafeMutablePointer<Int32>) -> Int {
        var written = 0
        var isUnknownPending = false
        func write(_ id: Int32) {
            output[written] = id
            written += 1
        }
        var index = 0
        while index < count {
            let first = word[index]
            let length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
            let character = UnsafeRawBufferPointer(start: word + index, count: length)
            index += length
            let id = first < 0x80 ? asciiIDs[Int(first)] : vocabulary.id(of: character) ?? -1
            if id >= 0 {
                if isUnknownPending, let unknownID { write(unknownID) }
                isUnknownPending = false
                write(id)
                continue
            }
            if !fallbackIDs.isEmpty, character.allSatisfy({ fallbackIDs[Int($0)] >= 0 }) {
                // A pending unknown token stays pending, as in the library.
                for byte in character { write(fallbackIDs[Int(byte)]) }
                continue
            }
            guard let unknownID else { continue }
            if isUnknownPending, !fusesUnknown { write(unknownID) }
            isUnknownPending = true
        }
        if isUnknownPending, let unknownID { write(unknownID) }
        return written
    }
}
