/// Short byte strings as numbers, for the hash tables of vocabulary and word cache.
enum ByteHash {
    static let multiplier: UInt64 = 0x9E37_79B9_7F4A_7C15

    /// Up to 16 bytes as two words, which with the length tell any two strings apart.
    @inline(__always)
    static func words(_ bytes: UnsafeRawPointer, _ count: Int) -> (UInt64, UInt64) {
        if count >= 8 {
            return (
                bytes.loadUnaligned(as: UInt64.self), (bytes + (count - 8)).loadUnaligned(as: UInt64.self)
            )
        }
        if count >= 4 {
            let low = UInt64(bytes.loadUnaligned(as: UInt32.self))
            let high = UInt64((bytes + (count - 4)).loadUnaligned(as: UInt32.self))
            return (low | high << 32, 0)
        }
        if count == 0 { return (0, 0) }
        let first = UInt64(bytes.load(as: UInt8.self))
        let middle = UInt64((bytes + count / 2).load(as: UInt8.self))
        let last = UInt64((bytes + (count - 1)).load(as: UInt8.self))
        return (first | middle << 8 | last << 16, 0)
    }

    /// Mixes two words and a length; the high half of a product of 128 bits folded onto the low one.
    @inline(__always)
    static func mix(_ low: UInt64, _ high: UInt64, _ count: Int) -> UInt64 {
        let product = (low ^ 0xA076_1D64_78BD_642F).multipliedFullWidth(
            by: (high ^ 0xE703_7ED1_A0B4_28DB) &+ UInt64(truncatingIfNeeded: count) &* multiplier)
        return product.high ^ product.low
    }

    /// The hash of bytes of any number.
    @inline(__always)
    static func hash(_ bytes: UnsafeRawPointer, _ count: Int) -> UInt64 {
        var remaining = count
        var position = bytes
        var state: UInt64 = 0
        while remaining > 16 {
            state = mix(
                position.loadUnaligned(as: UInt64.self) ^ state,
                (position + 8).loadUnaligned(as: UInt64.self), 16)
            position += 16
            remaining -= 16
        }
        let (low, high) = words(position, remaining)
        return mix(low ^ state, high, count)
    }
}
