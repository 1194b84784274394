/// GPT-2's spelling of bytes as characters: printable Latin-1 bytes are themselves, the others follow from U+0100.
package enum ByteAlphabet {
    /// The code point that spells each byte.
    package static let codePoints: [UInt32] = {
        var next: UInt32 = 0x100
        return (0..<256).map { byte in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return UInt32(byte)
            default:
                next += 1
                return next - 1
            }
        }
    }()

    /// The byte that each code point below 0x180 spells, or -1.
    private static let bytes: [Int16] = {
        var table = [Int16](repeating: -1, count: 0x180)
        for (byte, code) in codePoints.enumerated() { table[Int(code)] = Int16(byte) }
        return table
    }()

    /// The UTF-8 bytes of the character that spells `byte`.
    static func spelling(of byte: UInt8) -> [UInt8] {
        let code = codePoints[Int(byte)]
        return code < 0x80 ? [UInt8(code)] : [UInt8(0xC0 | code >> 6), UInt8(0x80 | code & 0x3F)]
    }

    /// Appends the bytes that a token stands for to `output`: those that its characters spell or, where one of them
    /// spells no byte, the token's own UTF-8, as the library decodes it.
    static func appendDecoded(_ token: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        let start = output.count
        bytes.withUnsafeBufferPointer { table in
            var index = 0
            while index < token.count {
                let first = token[index]
                var code = Int(first)
                var length = 1
                if first >= 0x80 {
                    // The alphabet ends below U+0180, in two bytes of UTF-8.
                    code =
                        first < 0xE0 && index + 1 < token.count
                        ? (code & 0x1F) << 6 | Int(token[index + 1] & 0x3F) : 0x7FF
                    length = 2
                }
                guard code < table.count, table[code] >= 0 else {
                    output.removeSubrange(start...)
                    output.append(contentsOf: token)
                    return
                }
                output.append(UInt8(truncatingIfNeeded: table[code]))
                index += length
            }
        }
    }

    /// The bytes that a token's characters spell; nil where one of them spells none.
    static func bytes(spelledBy token: UnsafeRawBufferPointer) -> [UInt8]? {
        var output: [UInt8] = []
        for scalar in String(decoding: token, as: UTF8.self).unicodeScalars {
            guard scalar.value < bytes.count, bytes[Int(scalar.value)] >= 0 else { return nil }
            output.append(UInt8(truncatingIfNeeded: bytes[Int(scalar.value)]))
        }
        return output
    }
}
