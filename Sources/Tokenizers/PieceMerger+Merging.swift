/// A word in symbols.
private struct SymbolRun {
    let word: UnsafePointer<UInt8>
    /// Where symbols start, the word's end behind them; the upper bit is set for a symbol that merges with nothing.
    let starts: UnsafeMutablePointer<UInt32>
    /// Of each symbol and its neighbour.
    let ranks: UnsafeMutablePointer<UInt32>

    static let frozen: UInt32 = 1 << 31

    @inline(__always)
    func bytes(_ start: UInt32, _ end: UInt32) -> UnsafeRawBufferPointer {
        let (start, end) = (Int(start & ~Self.frozen), Int(end & ~Self.frozen))
        return UnsafeRawBufferPointer(start: word + start, count: end - start)
    }
}

/// What a piece was made of when it was last thought of.
struct PieceHalves { var (start, middle, end): (UInt32, UInt32, UInt32) }

extension PieceMerger: WordMerging {
    func merge(_ word: UnsafePointer<UInt8>, _ count: Int, into output: UnsafeMutablePointer<Int32>) -> Int {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 4 * count + 1) { memory -> Int in
            guard let starts = memory.baseAddress else { return 0 }
            let run = SymbolRun(word: word, starts: starts, ranks: starts + count + 1)
            var symbolCount = cut(run, count)
            var halves: [Int32: PieceHalves] = [:]
            if merges {
                if symbolCount > WordMerger.scanLimit || hasUnused {
                    symbolCount = mergeByHeap(run, symbolCount, count, &halves)
                } else {
                    symbolCount = scan(run, symbolCount)
                }
            }
            return write(run, symbolCount, halves, output)
        }
    }

    /// Writes where symbols start and the ranks of neighbours; returns how many symbols there are.
    private func cut(_ run: SymbolRun, _ count: Int) -> Int {
        var symbolCount = 0
        var index = 0
        while index < count {
            let symbol = symbols?.longest(run.word, index, count)
            run.starts[symbolCount] = UInt32(index) | (symbol == nil ? 0 : SymbolRun.frozen)
            index = symbol?.end ?? min(index + UnicodeClasses.decode(run.word, index).length, count)
            if symbolCount > 0 { run.ranks[symbolCount - 1] = rank(run, symbolCount - 1, symbolCount, UInt32(index)) }
            symbolCount += 1
        }
        run.starts[symbolCount] = UInt32(count)
        return symbolCount
    }

    /// The rank of two symbols side by side, the second of which ends at `end`.
    @inline(__always)
    private func rank(_ run: SymbolRun, _ left: Int, _ right: Int, _ end: UInt32) -> UInt32 {
        if !merges || (run.starts[left] | run.starts[right]) & SymbolRun.frozen != 0 { return MergeTable.none }
        return id(run.bytes(run.starts[left], end)).map(rank) ?? MergeTable.none
    }

    /// Merges by looking at all ranks for each merge; returns how many symbols are left.
    private func scan(_ run: SymbolRun, _ symbolCount: Int) -> Int {
        let (starts, ranks) = (run.starts, run.ranks)
        var count = symbolCount
        while count > 1 {
            var best = MergeTable.none
            var position = 0
            for index in 0..<count - 1 where ranks[index] < best {
                best = ranks[index]
                position = index
            }
            if best == MergeTable.none { break }
            count -= 1
            for index in position + 1..<count + 1 { starts[index] = starts[index + 1] }
            if position + 1 < count {
                for index in position + 1..<count { ranks[index - 1] = ranks[index] }
                ranks[position] = rank(run, position, position + 1, starts[position + 2])
            }
            if position > 0 { ranks[position - 1] = rank(run, position - 1, position, starts[position + 1]) }
        }
        return count
    }

    /// The same by a heap for a word of any length.
    private func mergeByHeap(
        _ run: SymbolRun, _ symbolCount: Int, _ wordLength: Int, _ halves: inout [Int32: PieceHalves]
    ) -> Int {
        let (starts, ranks) = (run.starts, run.ranks)
        let next = ranks + wordLength
        let previous = next + wordLength
        var heap = RankHeap(capacity: symbolCount)
        func note(_ index: Int) {
            guard hasUnused, ranks[index] != MergeTable.none else { return }
            let right = Int(next[index])
            let end = starts[Int(next[right])]
            guard let id = id(run.bytes(starts[index], end)), isUnused(id) else { return }
            halves[id] = PieceHalves(start: starts[index], middle: starts[right], end: end)
        }
        for index in 0..<symbolCount {
            next[index] = UInt32(index + 1)
            previous[index] = UInt32(bitPattern: Int32(index) - 1)
        }
        ranks[symbolCount - 1] = MergeTable.none
        for index in 0..<symbolCount where ranks[index] != MergeTable.none {
            heap.append(rank: ranks[index], position: UInt32(index))
            note(index)
        }
        heap.order()
        while let (lowest, position) = heap.popFirst() {
            let left = Int(position)
            // Stale: a neighbour merged since.
            if ranks[left] != lowest { continue }
            let right = Int(next[left])
            ranks[right] = MergeTable.none
            next[left] = next[right]
            ranks[left] = MergeTable.none
            let before = Int(Int32(bitPattern: previous[left]))
            if before >= 0 {
                ranks[before] = rank(run, before, left, starts[Int(next[left])])
                if ranks[before] != MergeTable.none { heap.push(rank: ranks[before], position: UInt32(before)) }
                note(before)
            }
            let behind = Int(next[left])
            if behind < symbolCount {
                previous[behind] = position
                ranks[left] = rank(run, left, behind, starts[Int(next[behind])])
                if ranks[left] != MergeTable.none { heap.push(rank: ranks[left], position: position) }
                note(left)
            }
        }
        var count = 0
        var index = 0
        while index < symbolCount {
            let following = Int(next[index])
            starts[count] = starts[index]
            count += 1
            index = following
        }
        starts[count] = UInt32(wordLength)
        return count
    }

    /// Writes the ids of symbols; returns how many there are.
    private func write(
        _ run: SymbolRun, _ symbolCount: Int, _ halves: [Int32: PieceHalves], _ output: UnsafeMutablePointer<Int32>
    ) -> Int {
        var writer = PieceWriter(output: output)
        func write(_ start: UInt32, _ end: UInt32) {
            let bytes = run.bytes(start, end)
            guard let id = finalID(bytes) else { return writer.writeUnknown(bytes, unknown) }
            if hasUnused, isUnused(id), let parts = halves[id] {
                write(parts.start, parts.middle)
                return write(parts.middle, parts.end)
            }
            writer.write(id)
        }
        for index in 0..<symbolCount { write(run.starts[index], run.starts[index + 1]) }
        return writer.count
    }
}
