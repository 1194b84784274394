import Diagnostics

/// The ranks of the merges, looked up by the ids of the two tokens that merge.
///
/// Open addressing over words of 64 bits, left id (20 bits), right id (20), rank (24): one cache line a look-up.
final class MergeTable: @unchecked Sendable {
    /// The rank of a pair that doesn't merge.
    static let none = UInt32.max
    /// The ids and ranks that fit a slot.
    static let idLimit = 1 << 20 - 1
    static let rankLimit = 1 << 24

    private static let free = UInt64.max
    private let slots: UnsafeMutablePointer<UInt64>
    private let mask: Int
    private let shift: UInt64
    /// The id that each rank's merge makes.
    private let merged: UnsafeMutablePointer<UInt32>
    private var count = 0
    private let capacity: Int
    /// Ranks of the pairs of single bytes, `left * 256 + right`: the first look-ups of every word.
    private let bytePairs: UnsafeMutablePointer<UInt32>

    /// A table for at most `mergeCount` merges.
    init(mergeCount: Int) {
        require(mergeCount <= Self.rankLimit, "MergeTable: \(mergeCount) merges")
        var slotCount = 16
        while slotCount < mergeCount * 2 { slotCount *= 2 }
        mask = slotCount - 1
        shift = UInt64(64 - slotCount.trailingZeroBitCount)
        slots = .allocate(capacity: slotCount)
        slots.initialize(repeating: Self.free, count: slotCount)
        capacity = mergeCount
        merged = .allocate(capacity: max(mergeCount, 1))
        bytePairs = .allocate(capacity: 65536)
        bytePairs.initialize(repeating: Self.none, count: 65536)
    }

    deinit {
        slots.deallocate()
        merged.deallocate()
        bytePairs.deallocate()
    }

    /// Adds the next merge; of a repeated one the last rank counts. `bytes` are those that the two tokens stand for
    /// where each is a single one.
    func append(_ left: UInt32, _ right: UInt32, makes id: UInt32, bytes: (left: UInt8, right: UInt8)?) {
        require(count < capacity, "MergeTable.append: more than \(capacity) merges")
        let rank = UInt32(count)
        merged[count] = id
        count += 1
        if let bytes { bytePairs[Int(bytes.left) << 8 | Int(bytes.right)] = rank }
        let pair = UInt64(left) << 20 | UInt64(right)
        var slot = index(of: pair)
        while slots[slot] != Self.free, slots[slot] >> 24 != pair { slot = (slot + 1) & mask }
        slots[slot] = pair << 24 | UInt64(rank)
    }

    /// Calls `body` with both ids, rank and result of each merge, in no order.
    func forEach(_ body: (_ left: UInt32, _ right: UInt32, _ rank: UInt32, _ merged: UInt32) -> Void) {
        for slot in 0...mask where slots[slot] != Self.free {
            let (pair, rank) = (slots[slot] >> 24, UInt32(truncatingIfNeeded: slots[slot] & 0xFF_FFFF))
            let ids = (UInt32(truncatingIfNeeded: pair >> 20), UInt32(truncatingIfNeeded: pair & 0xF_FFFF))
            body(ids.0, ids.1, rank, merged(rank))
        }
    }

    @inline(__always)
    private func index(of pair: UInt64) -> Int { Int(truncatingIfNeeded: (pair &* ByteHash.multiplier) >> shift) }

    /// The rank of the merge of two tokens, or `none`.
    @inline(__always)
    func rank(_ left: UInt32, _ right: UInt32) -> UInt32 {
        let pair = UInt64(left) << 20 | UInt64(right)
        var slot = index(of: pair)
        while true {
            let word = slots[slot]
            if word >> 24 == pair { return UInt32(truncatingIfNeeded: word & 0xFF_FFFF) }
            if word == Self.free { return Self.none }
            slot = (slot + 1) & mask
        }
    }

    /// The rank of the merge of two single bytes, or `none`.
    @inline(__always)
    func rank(bytes left: UInt8, _ right: UInt8) -> UInt32 { bytePairs[Int(left) << 8 | Int(right)] }

    /// The id that the merge of rank `rank` makes.
    @inline(__always)
    func merged(_ rank: UInt32) -> UInt32 { merged[Int(rank)] }
}
