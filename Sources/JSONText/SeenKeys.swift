import Glibc

/// The keys of one object, compared by their bytes: `String` would take NFC and NFD spellings for the same.
struct SeenKeys {
    private var keys: [UnsafeRawBufferPointer] = []
    /// An open-addressing table of indices into `keys`, -1 where free; empty while the object is small.
    private var table: [Int32] = []

    private static let linearLimit = 12

    /// Whether `key` is new.
    mutating func insert(_ key: UnsafeRawBufferPointer) -> Bool {
        if table.isEmpty {
            for other in keys where Self.same(other, key) { return false }
            keys.append(key)
            if keys.count > Self.linearLimit { rebuild(64) }
            return true
        }
        let slot = freeSlot(for: key)
        guard slot >= 0 else { return false }
        table[slot] = Int32(truncatingIfNeeded: keys.count)
        keys.append(key)
        if keys.count * 2 > table.count { rebuild(table.count * 4) }
        return true
    }

    private mutating func rebuild(_ size: Int) {
        table = Array(repeating: -1, count: size)
        for (index, key) in keys.enumerated() { table[freeSlot(for: key)] = Int32(truncatingIfNeeded: index) }
    }

    /// The slot where `key` is to go, or -1 where it is already in.
    private func freeSlot(for key: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: key)
        let mask = table.count - 1
        var slot = hasher.finalize() & mask
        while table[slot] >= 0 {
            if Self.same(keys[Int(table[slot])], key) { return -1 }
            slot = (slot + 1) & mask
        }
        return slot
    }

    private static func same(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        guard a.count == b.count else { return false }
        guard let first = a.baseAddress, let second = b.baseAddress else { return true }
        return memcmp(first, second, a.count) == 0
    }
}
