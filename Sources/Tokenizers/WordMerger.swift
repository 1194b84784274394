/// Makes the ids of a word.
protocol WordMerging {
    /// Writes the ids of the word of `count` bytes to `output`, which has room for as many; returns how many they are.
    func merge(_ word: UnsafePointer<UInt8>, _ count: Int, into output: UnsafeMutablePointer<Int32>) -> Int
}

/// Applies the merges to one word: the pair of lowest rank first, the leftmost of equals, until none merges
/// (Sennrich, Haddow and Birch, 2016).
struct WordMerger: WordMerging {
    let merges: MergeTable
    /// The id of each single byte, or -1 where the vocabulary lacks it; such bytes vanish, as in the library.
    let byteIDs: UnsafePointer<Int32>
    /// The tokens by their bytes where a word that is one is that one, whatever the merges make.
    var wholeWords: Vocabulary?

    /// The longest word that goes by scanning all pairs for each merge; longer ones go by a heap.
    static let scanLimit = 96

    @inline(__always)
    func merge(_ word: UnsafePointer<UInt8>, _ count: Int, into output: UnsafeMutablePointer<Int32>) -> Int {
        if let wholeWords, let id = wholeWords.id(of: UnsafeRawBufferPointer(start: word, count: count)) {
            output[0] = id
            return 1
        }
        return count <= Self.scanLimit ? mergeByScanning(word, count, output) : mergeByHeap(word, count, output)
    }

    private func mergeByScanning(
        _ word: UnsafePointer<UInt8>, _ byteCount: Int, _ output: UnsafeMutablePointer<Int32>
    ) -> Int {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 2 * Self.scanLimit) { memory -> Int in
            guard let symbols = memory.baseAddress else { return 0 }
            // ranks[i] is the rank of symbols[i] and symbols[i + 1].
            let ranks = symbols + Self.scanLimit
            let count = merges.scan(symbols, ranks, start(word, byteCount, symbols, ranks))
            for index in 0..<count { output[index] = Int32(bitPattern: symbols[index]) }
            return count
        }
    }

    /// Writes the ids of the word's bytes and the ranks of neighbours; returns how many ids there are.
    @inline(__always)
    private func start(
        _ word: UnsafePointer<UInt8>, _ byteCount: Int, _ symbols: UnsafeMutablePointer<UInt32>,
        _ ranks: UnsafeMutablePointer<UInt32>
    ) -> Int {
        var count = 0
        var previous: UInt8 = 0
        for index in 0..<byteCount {
            let byte = word[index]
            let id = byteIDs[Int(byte)]
            if id < 0 { continue }
            symbols[count] = UInt32(bitPattern: id)
            if count > 0 { ranks[count - 1] = merges.rank(bytes: previous, byte) }
            previous = byte
            count += 1
        }
        return count
    }

    /// The same in n log n for a word of any length: a heap of pairs by rank and position over a linked list.
    private func mergeByHeap(
        _ word: UnsafePointer<UInt8>, _ byteCount: Int, _ output: UnsafeMutablePointer<Int32>
    ) -> Int {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 4 * byteCount) { memory -> Int in
            guard let symbols = memory.baseAddress else { return 0 }
            let ranks = symbols + byteCount
            return merges.mergeByHeap(symbols, ranks, start(word, byteCount, symbols, ranks), output, room: byteCount)
        }
    }
}
