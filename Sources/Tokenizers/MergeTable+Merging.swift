extension MergeTable {
    /// Merges symbols, whose neighbours' ranks are given, by scanning all pairs for each merge; returns how many are left.
    @inline(__always)
    func scan(
        _ symbols: UnsafeMutablePointer<UInt32>, _ ranks: UnsafeMutablePointer<UInt32>, _ symbolCount: Int
    ) -> Int {
        var count = symbolCount
        while count > 1 {
            var best = MergeTable.none
            var position = 0
            for index in 0..<count - 1 where ranks[index] < best {
                best = ranks[index]
                position = index
            }
            if best == MergeTable.none { break }
            symbols[position] = merged(best)
            count -= 1
            var index = position + 1
            while index < count {
                symbols[index] = symbols[index + 1]
                ranks[index] = ranks[index + 1]
                index += 1
            }
            if position > 0 { ranks[position - 1] = rank(symbols[position - 1], symbols[position]) }
            if position + 1 < count { ranks[position] = rank(symbols[position], symbols[position + 1]) }
        }
        return count
    }

    /// Merges the ids in `output` in place; returns how many are left.
    func merge(_ output: UnsafeMutablePointer<Int32>, _ count: Int) -> Int {
        if count < 2 { return count }
        return withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 4 * count) { memory -> Int in
            guard let symbols = memory.baseAddress else { return 0 }
            let ranks = symbols + count
            for index in 0..<count {
                symbols[index] = UInt32(bitPattern: output[index])
                if index > 0 { ranks[index - 1] = rank(symbols[index - 1], symbols[index]) }
            }
            if count > WordMerger.scanLimit { return mergeByHeap(symbols, ranks, count, output, room: count) }
            let left = scan(symbols, ranks, count)
            for index in 0..<left { output[index] = Int32(bitPattern: symbols[index]) }
            return left
        }
    }

    /// The same for any number of symbols by a heap, in memory of four times `room`, to `output`.
    func mergeByHeap(
        _ symbols: UnsafeMutablePointer<UInt32>, _ ranks: UnsafeMutablePointer<UInt32>, _ count: Int,
        _ output: UnsafeMutablePointer<Int32>, room: Int
    ) -> Int {
        if count == 0 { return 0 }
        let none = UInt32.max
        let next = ranks + room
        let previous = next + room
        var heap = RankHeap(capacity: count)
        for index in 0..<count {
            next[index] = index + 1 < count ? UInt32(index + 1) : none
            previous[index] = index > 0 ? UInt32(index - 1) : none
            if index + 1 == count { ranks[index] = MergeTable.none }
            if ranks[index] != MergeTable.none { heap.append(rank: ranks[index], position: UInt32(index)) }
        }
        heap.order()
        while let (lowest, position) = heap.popFirst() {
            let left = Int(position)
            // Stale: a neighbour merged since.
            if ranks[left] != lowest { continue }
            let right = Int(next[left])
            symbols[left] = merged(lowest)
            ranks[right] = MergeTable.none
            next[left] = next[right]
            ranks[left] = MergeTable.none
            if next[left] != none {
                previous[Int(next[left])] = position
                ranks[left] = rank(symbols[left], symbols[Int(next[left])])
                if ranks[left] != MergeTable.none { heap.push(rank: ranks[left], position: position) }
            }
            if previous[left] != none {
                let before = Int(previous[left])
                ranks[before] = rank(symbols[before], symbols[left])
                if ranks[before] != MergeTable.none { heap.push(rank: ranks[before], position: UInt32(before)) }
            }
        }
        var length = 0
        var index: UInt32 = 0
        while index != none {
            output[length] = Int32(bitPattern: symbols[Int(index)])
            length += 1
            index = next[Int(index)]
        }
        return length
    }
}

/// A binary heap of pairs, lowest rank first, then lowest position.
struct RankHeap {
    private var items: [UInt64] = []

    init(capacity: Int) { items.reserveCapacity(capacity) }

    mutating func append(rank: UInt32, position: UInt32) { items.append(UInt64(rank) << 32 | UInt64(position)) }

    /// Makes a heap of what was appended.
    mutating func order() {
        // A sorted array is a heap.
        items.sort()
    }

    mutating func push(rank: UInt32, position: UInt32) {
        let item = UInt64(rank) << 32 | UInt64(position)
        items.append(item)
        items.withUnsafeMutableBufferPointer { items in
            var index = items.count - 1
            while index > 0 {
                let parent = (index - 1) / 2
                if items[parent] <= item { break }
                items[index] = items[parent]
                index = parent
            }
            items[index] = item
        }
    }

    mutating func popFirst() -> (rank: UInt32, position: UInt32)? {
        guard let first = items.first, let item = items.popLast() else { return nil }
        items.withUnsafeMutableBufferPointer { items in
            if items.isEmpty { return }
            var index = 0
            while true {
                var child = 2 * index + 1
                if child >= items.count { break }
                if child + 1 < items.count, items[child + 1] < items[child] { child += 1 }
                if items[child] >= item { break }
                items[index] = items[child]
                index = child
            }
            items[index] = item
        }
        return (UInt32(truncatingIfNeeded: first >> 32), UInt32(truncatingIfNeeded: first))
    }
}
