/// Bytes written as text (RFC 4648).
enum Base64 {
    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// nil for what isn't base64 with its padding.
    static func bytes(_ text: String) -> [UInt8]? {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, digit) in digits.enumerated() { values[Int(digit)] = UInt8(value) }
        let text = Array(text.utf8)
        guard text.count % 4 == 0 else { return nil }
        let padding = text.suffix(2).reversed().prefix { $0 == UInt8(ascii: "=") }.count
        var output: [UInt8] = []
        output.reserveCapacity(text.count / 4 * 3)
        var bits: UInt32 = 0
        for (index, digit) in text.dropLast(padding).enumerated() {
            let value = values[Int(digit)]
            if value == 255 { return nil }
            bits = bits << 6 | UInt32(value)
            if index & 3 == 3 {
                output += [UInt8(bits >> 16 & 255), UInt8(bits >> 8 & 255), UInt8(bits & 255)]
            }
        }
        if padding == 1 { output += [UInt8(bits >> 10 & 255), UInt8(bits >> 2 & 255)] }
        if padding == 2 { output.append(UInt8(bits >> 4 & 255)) }
        return output
    }
}
