/// CRC-32C: the remainder of a division by Castagnoli's polynomial (1993), bit by bit as RFC 3720, appendix B.4, has it.
package enum CastagnoliChecksum {
    /// What each byte adds to the remainder; the polynomial 0x1EDC6F41 with its bits the other way round.
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { remainder, _ in
            remainder & 1 == 1 ? remainder >> 1 ^ 0x82F6_3B78 : remainder >> 1
        }
    }

    package static func of(_ bytes: some Sequence<UInt8>) -> UInt32 {
        ~bytes.reduce(~UInt32(0)) { remainder, byte in
            remainder >> 8 ^ table[Int(UInt8(truncatingIfNeeded: remainder) ^ byte)]
        }
    }

    /// As TensorFlow's records have it, in which checksums of checksums would otherwise come together.
    package static func masked(_ bytes: some Sequence<UInt8>) -> UInt32 {
        let sum = of(bytes)
        return (sum >> 15 | sum << 17) &+ 0xA282_EAD8
    }
}
