/// XXH64 (Collet 2012) with the seed 0: a number by which an accidental change of content shows, in a fraction of the time
/// that reading it takes. Nobody is kept from making two contents of one number on purpose.
public struct ContentHash: Sendable {
    private static let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
    private static let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
    private static let prime3: UInt64 = 0x1656_67B1_9E37_79F9
    private static let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
    private static let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

    private var lanes: SIMD4<UInt64> = [prime1 &+ prime2, prime2, 0, 0 &- prime1]
    private var count: UInt64 = 0
    /// What doesn't fill a block of 32 bytes yet.
    private var rest: [UInt8] = []

    public init() { rest.reserveCapacity(32) }

    /// The hash of one piece of content.
    public static func value(of bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash = ContentHash()
        hash.add(bytes)
        return hash.value
    }

    public mutating func add(_ bytes: UnsafeRawBufferPointer) {
        count &+= UInt64(bytes.count)
        var bytes = bytes[...]
        if !rest.isEmpty {
            let part = bytes.prefix(32 - rest.count)
            rest += part
            bytes = bytes[part.endIndex...]
            if rest.count < 32 { return }
            rest.withUnsafeBytes { addBlocks($0) }
            rest.removeAll(keepingCapacity: true)
        }
        let whole = bytes.count / 32 * 32
        addBlocks(UnsafeRawBufferPointer(rebasing: bytes.prefix(whole)))
        rest += bytes.dropFirst(whole)
    }

    /// A text with its length, so that what follows can't be taken for its end.
    public mutating func add(_ text: String) {
        var text = text
        text.withUTF8 { add(UnsafeRawBufferPointer($0)) }
        add(UInt64(text.utf8.count))
    }

    public mutating func add(_ number: UInt64) { withUnsafeBytes(of: number.littleEndian) { add($0) } }

    private mutating func addBlocks(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        var lanes = lanes
        for offset in stride(from: 0, to: bytes.count, by: 32) {
            let words = (base + offset).loadUnaligned(as: SIMD4<UInt64>.self)
            lanes = Self.rotated(lanes &+ words &* Self.prime2, 31) &* Self.prime1
        }
        self.lanes = lanes
    }

    public var value: UInt64 {
        var hash: UInt64
        if count >= 32 {
            hash = Self.rotated(lanes[0], 1) &+ Self.rotated(lanes[1], 7)
            hash = hash &+ Self.rotated(lanes[2], 12) &+ Self.rotated(lanes[3], 18)
            for lane in 0..<4 {
                hash ^= Self.rotated(lanes[lane] &* Self.prime2, 31) &* Self.prime1
                hash = hash &* Self.prime1 &+ Self.prime4
            }
        } else {
            hash = Self.prime5
        }
        hash = hash &+ count
        rest.withUnsafeBytes { rest in
            var offset = 0
            while offset + 8 <= rest.count {
                let word = UInt64(littleEndian: rest.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                hash ^= Self.rotated(word &* Self.prime2, 31) &* Self.prime1
                hash = Self.rotated(hash, 27) &* Self.prime1 &+ Self.prime4
                offset += 8
            }
            if offset + 4 <= rest.count {
                let word = UInt32(littleEndian: rest.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
                hash ^= UInt64(word) &* Self.prime1
                hash = Self.rotated(hash, 23) &* Self.prime2 &+ Self.prime3
                offset += 4
            }
            for byte in rest[offset...] {
                hash ^= UInt64(byte) &* Self.prime5
                hash = Self.rotated(hash, 11) &* Self.prime1
            }
        }
        hash = (hash ^ hash >> 33) &* Self.prime2
        hash = (hash ^ hash >> 29) &* Self.prime3
        return hash ^ hash >> 32
    }

    /// The value as 16 hexadecimal digits.
    public var text: String { Self.text(value) }

    public static func text(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private static func rotated(_ word: UInt64, _ bits: UInt64) -> UInt64 { word << bits | word >> (64 - bits) }

    private static func rotated(_ words: SIMD4<UInt64>, _ bits: UInt64) -> SIMD4<UInt64> {
        words &<< SIMD4(repeating: bits) | words &>> SIMD4(repeating: 64 - bits)
    }
}
