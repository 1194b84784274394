/// Tokens and their ids, looked up by the token's bytes as the file spells them: Swift's strings compare by canonical
/// equivalence, which would let two tokens collapse into one.
final class Vocabulary: @unchecked Sendable {
    /// All spellings behind one another; `offsets[entry]..<offsets[entry + 1]` is one.
    private let arena: [UInt8]
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

    /// Makes the table; tokens are distinct, as a JSON object's keys are.
    init(_ builder: consuming Builder) {
        arena = builder.arena
        offsets = builder.offsets
        ids = builder.ids
        idLimit = Int(ids.max() ?? -1) + 1
        var capacity = 16
        while capacity < ids.count * 2 { capacity *= 2 }
        mask = capacity - 1
        slots = .allocate(capacity: capacity)
        slots.initialize(repeating: 0, count: capacity)
        let (slots, mask) = (slots, mask)
        arena.withUnsafeBytes { arena in
            offsets.withUnsafeBufferPointer { offsets in
                guard let base = arena.baseAddress else { return }
                for entry in 0..<offsets.count - 1 {
                    let start = Int(offsets[entry])
                    let hash = ByteHash.hash(base + start, Int(offsets[entry + 1]) - start)
                    var slot = Int(truncatingIfNeeded: hash) & mask
                    while slots[slot] != 0 { slot = (slot + 1) & mask }
                    slots[slot] = (hash >> 32) << 32 | UInt64(entry + 1)
                }
            }
        }
    }

    deinit { slots.deallocate() }

    /// The id of the token spelled `bytes`, or nil.
    func id(of bytes: UnsafeRawBufferPointer) -> Int32? {
        guard let start = bytes.baseAddress else { return nil }
        let hash = ByteHash.hash(start, bytes.count)
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 {
            let entry = Int(slots[slot] & 0xFFFF_FFFF) - 1
            if slots[slot] >> 32 == hash >> 32, isSpelling(bytes, ofEntry: entry) { return ids[entry] }
            slot = (slot + 1) & mask
        }
        return nil
    }

    /// The id of the token spelled `text`, or nil.
    func id(of text: String) -> Int32? {
        var text = text
        return text.withUTF8 { id(of: UnsafeRawBufferPointer($0)) }
    }

    private func isSpelling(_ bytes: UnsafeRawBufferPointer, ofEntry entry: Int) -> Bool {
        let start = Int(offsets[entry])
        guard Int(offsets[entry + 1]) - start == bytes.count else { return false }
        return arena.withUnsafeBytes { arena in
            UnsafeRawBufferPointer(rebasing: arena[start..<start + bytes.count]).elementsEqual(bytes)
        }
    }

    /// Calls `body` with each token's spelling and id, in the file's order.
    func forEach(_ body: (UnsafeRawBufferPointer, Int32) throws -> Void) rethrows {
        try arena.withUnsafeBytes { arena in
            for entry in 0..<ids.count {
                let spelling = arena[Int(offsets[entry])..<Int(offsets[entry + 1])]
                try body(UnsafeRawBufferPointer(rebasing: spelling), ids[entry])
            }
        }
    }
}
