import Glibc

/// The keys of one object, compared by their bytes: `String` would take NFC and NFD spellings for the same.
struct SeenKeys {
    private struct Key {
        var start: UnsafeRawPointer?
        var count: UInt32
        var hash: UInt32
    }

    private var keys: [Key] = []
    /// An open-addressing table of one more than indices into `keys`, 0 where free; empty while the object is small.
    private var table: [UInt32] = []

    private static let linearLimit = 12
    /// Another one in every process, so that no file can be made whose keys all collide.
    private static let seed = UInt64.random(in: 0 ... .max)

    /// Whether `key` is new.
    mutating func insert(_ key: UnsafeRawBufferPointer) -> Bool {
        let seed = Self.seed
        let new = Key(start: key.baseAddress, count: UInt32(truncatingIfNeeded: key.count), hash: Self.hash(key, seed))
        if table.isEmpty {
            for other in keys where Self.same(other, new) { return false }
            keys.append(new)
            if keys.count > Self.linearLimit { rebuild(64) }
            return true
        }
        let mask = table.count - 1
        var slot = Int(new.hash) & mask
        while table[slot] != 0 {
            if Self.same(keys[Int(table[slot]) - 1], new) { return false }
            slot = (slot + 1) & mask
        }
        keys.append(new)
        table[slot] = UInt32(truncatingIfNeeded: keys.count)
        if keys.count * 2 > table.count { rebuild(table.count * 4) }
        return true
    }

    private mutating func rebuild(_ size: Int) {
        table = Array(repeating: 0, count: size)
        for (index, key) in keys.enumerated() {
            var slot = Int(key.hash) & (size - 1)
            while table[slot] != 0 { slot = (slot + 1) & (size - 1) }
            table[slot] = UInt32(truncatingIfNeeded: index + 1)
        }
    }

    /// Eight bytes at a time, each multiplied to 128 bits whose halves are mixed.
    private static func hash(_ key: UnsafeRawBufferPointer, _ seed: UInt64) -> UInt32 {
        var state = seed ^ UInt64(truncatingIfNeeded: key.count)
        func mix(_ word: UInt64) {
            let product = (state ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
            state = product.high ^ product.low
        }
        var offset = 0
        while offset + 8 <= key.count {
            mix(key.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset += 8
        }
        var rest: UInt64 = 0
        while offset < key.count {
            rest = rest << 8 | UInt64(key[offset])
            offset += 1
        }
        mix(rest)
        return UInt32(truncatingIfNeeded: state ^ state >> 32)
    }

    private static func same(_ a: Key, _ b: Key) -> Bool {
        guard a.hash == b.hash, a.count == b.count else { return false }
        guard let first = a.start, let second = b.start else { return true }
        return memcmp(first, second, Int(a.count)) == 0
    }
}
