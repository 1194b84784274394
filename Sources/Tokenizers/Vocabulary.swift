import Glibc

/// Tokens and their ids, looked up by the token's bytes as the file spells them: Swift's strings compare by canonical
/// equivalence, which would let two tokens collapse into one.
final class Vocabulary: @unchecked Sendable {
    /// All spellings behind one another; `offsets[entry]..<offsets[entry + 1]` is one.
    private let arena: UnsafeMutableRawBufferPointer
    private let offsets: [UInt32]
    private let ids: [Int32]
    /// Open addressing: the upper half of the hash above, the entry plus one below; 0 is free.
    private let slots: UnsafeMutablePointer<UInt64>
    private let mask: Int

    /// One more than the largest id.
    let idLimit: Int
    /// How many tokens there are; less than `idLimit` where ids are left out.
    var count: Int { ids.count }

    /// Gathers tokens, one call each, before a `Vocabulary` is made of them.
    struct Builder {
        fileprivate var arena: [UInt8] = []
        fileprivate var offsets: [UInt32] = [0]
        fileprivate var ids: [Int32] = []

        init(reservingBytes bytes: Int) {
            arena.reserveCapacity(bytes)
            offsets.reserveCapacity(bytes / 16)
            ids.reserveCapacity(bytes / 16)
        }

        mutating func append(_ token: UnsafeRawBufferPointer, id: Int32) {
            arena.append(contentsOf: token)
            offsets.append(UInt32(arena.count))
            ids.append(id)
        }
    }

    /// Makes the table; of equal tokens the last counts.
    init(_ builder: consuming Builder) {
        arena = .allocate(byteCount: max(builder.arena.count, 1), alignment: 8)
        arena.copyBytes(from: builder.arena)
        offsets = builder.offsets
        ids = builder.ids
        idLimit = Int(ids.max() ?? -1) + 1
        var capacity = 16
        while capacity < ids.count * 2 { capacity *= 2 }
        mask = capacity - 1
        slots = .allocate(capacity: capacity)
        slots.initialize(repeating: 0, count: capacity)
        for entry in 0..<ids.count {
            let spelling = spelling(ofEntry: entry)
            let hash = Self.hash(spelling)
            var slot = Int(truncatingIfNeeded: hash) & mask
            while slots[slot] != 0 {
                if slots[slot] >> 32 == hash >> 32,
                    Self.same(self.spelling(ofEntry: Int(slots[slot] & 0xFFFF_FFFF) - 1), spelling)
                {
                    break
                }
                slot = (slot + 1) & mask
            }
            slots[slot] = (hash >> 32) << 32 | UInt64(entry + 1)
        }
    }

    deinit {
        arena.deallocate()
        slots.deallocate()
    }

    /// The place in the file's order of the token spelled `bytes`, or nil; quickest where it is `guess`.
    @inline(__always)
    func entry(of bytes: UnsafeRawBufferPointer, guess: Int = -1) -> Int? {
        if guess >= 0, guess < ids.count, Self.same(spelling(ofEntry: guess), bytes) { return guess }
        let hash = Self.hash(bytes)
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 {
            let entry = Int(slots[slot] & 0xFFFF_FFFF) - 1
            if slots[slot] >> 32 == hash >> 32, Self.same(spelling(ofEntry: entry), bytes) { return entry }
            slot = (slot + 1) & mask
        }
        return nil
    }

    /// The id of the token at a place in the file's order.
    func id(ofEntry entry: Int) -> Int32 { ids[entry] }

    /// The id of the token spelled `bytes`, or nil.
    func id(of bytes: UnsafeRawBufferPointer) -> Int32? { entry(of: bytes).map { ids[$0] } }

    /// The id of the token spelled `text`, or nil.
    func id(of text: String) -> Int32? {
        var text = text
        return text.withUTF8 { id(of: UnsafeRawBufferPointer($0)) }
    }

    @inline(__always)
    private func spelling(ofEntry entry: Int) -> UnsafeRawBufferPointer {
        let start = Int(offsets[entry])
        return UnsafeRawBufferPointer(rebasing: arena[start..<Int(offsets[entry + 1])])
    }

    @inline(__always)
    private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        bytes.baseAddress.map { ByteHash.hash($0, bytes.count) } ?? 0
    }

    @inline(__always)
    private static func same(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        guard a.count == b.count else { return false }
        guard let first = a.baseAddress, let second = b.baseAddress else { return true }
        return memcmp(first, second, a.count) == 0
    }

    /// Calls `body` with each token's spelling and id, in the file's order.
    func forEach(_ body: (UnsafeRawBufferPointer, Int32) throws -> Void) rethrows {
        for entry in 0..<ids.count { try body(spelling(ofEntry: entry), ids[entry]) }
    }
}
