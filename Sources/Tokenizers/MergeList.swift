import Diagnostics
import JSONText

/// The merges of a file, gathered before they are looked up, for tokenizer.json may name them before the vocabulary.
struct MergeList {
    /// Two spellings, in the memory of the file they were read from.
    private struct Pair {
        var left: UnsafeRawBufferPointer
        var right: UnsafeRawBufferPointer
        var position: TextPosition
    }

    private let file: String
    private var pairs: [Pair] = []

    init(file: String) { self.file = file }

    mutating func append(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer, at position: TextPosition) {
        pairs.append(Pair(left: left, right: right, position: position))
    }

    /// Adds the merge written as two tokens with a space between them.
    mutating func append(_ text: UnsafeRawBufferPointer, at position: TextPosition) throws {
        let space = text.firstIndex(of: UInt8(ascii: " "))
        guard let space, space > 0, space + 1 < text.count,
            !text[(space + 1)...].contains(UInt8(ascii: " "))
        else {
            throw problem("a merge is two tokens with a space between them, got \(quoted(text))", at: position)
        }
        append(
            UnsafeRawBufferPointer(rebasing: text[..<space]), UnsafeRawBufferPointer(rebasing: text[(space + 1)...]),
            at: position)
    }

    private func problem(_ message: String, at position: TextPosition) -> Problem {
        Problem(message, file: file, position: position)
    }

    /// The merges by the ids of `vocabulary`, which must hold both tokens of each and what they make.
    func table(_ vocabulary: Vocabulary) throws -> MergeTable {
        guard vocabulary.idLimit <= MergeTable.idLimit, pairs.count <= MergeTable.rankLimit else {
            throw Problem(
                "ids above \(MergeTable.idLimit - 1) or more than \(MergeTable.rankLimit) merges aren't supported",
                file: file)
        }
        let table = MergeTable(mergeCount: pairs.count)
        var byteOfID = [Int16](repeating: -1, count: vocabulary.idLimit)
        for (byte, id) in SubwordTokenizer.byteIDs(vocabulary).enumerated() where id >= 0 {
            byteOfID[Int(id)] = Int16(byte)
        }
        var joined: [UInt8] = []
        // A merge mostly makes the token behind the one that the merge before it made.
        var guess = 0
        for pair in pairs {
            joined.removeAll(keepingCapacity: true)
            joined.append(contentsOf: pair.left)
            joined.append(contentsOf: pair.right)
            guard let left = vocabulary.id(of: pair.left), let right = vocabulary.id(of: pair.right),
                let entry = joined.withUnsafeBytes({ vocabulary.entry(of: $0, guess: guess) })
            else { throw missingToken(pair, joined, vocabulary) }
            guess = entry + 1
            let bytes = (byteOfID[Int(left)], byteOfID[Int(right)])
            table.append(
                UInt32(bitPattern: left), UInt32(bitPattern: right),
                makes: UInt32(bitPattern: vocabulary.id(ofEntry: entry)),
                bytes: bytes.0 >= 0 && bytes.1 >= 0
                    ? (UInt8(truncatingIfNeeded: bytes.0), UInt8(truncatingIfNeeded: bytes.1)) : nil)
        }
        return table
    }

    private func missingToken(_ pair: Pair, _ joined: [UInt8], _ vocabulary: Vocabulary) -> Problem {
        let spellings = [Array(pair.left), Array(pair.right), joined]
        let missing = spellings.first { spelling in spelling.withUnsafeBytes { vocabulary.id(of: $0) == nil } }
        let shown = quoted(String(decoding: missing ?? [], as: UTF8.self))
        return problem(
            "the merge of '\(String(decoding: pair.left, as: UTF8.self))' and "
                + "'\(String(decoding: pair.right, as: UTF8.self))' needs the token \(shown), "
                + "which the vocabulary lacks: the merges belong to another vocabulary",
            at: pair.position)
    }
}
