extension String {
    /// The text with escapes as `\u001b` in place of what a terminal would act on instead of showing it: control characters
    /// but for line breaks and tabs, and marks that turn the direction of writing. What comes from files and from models may
    /// hold any.
    public var harmless: String {
        guard unicodeScalars.contains(where: Self.isHarmful) else { return self }
        var result = ""
        for scalar in unicodeScalars {
            guard Self.isHarmful(scalar) else {
                result.unicodeScalars.append(scalar)
                continue
            }
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
        return result
    }

    private static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A: false
        case 0..<0x20, 0x7F..<0xA0, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
