extension Array where Element == UInt8 {
    /// The character at `index`, which begins one, and how many bytes it has.
    func scalar(at index: Int) -> (scalar: UnicodeScalar, length: Int) {
        let first = self[index]
        if first < 0x80 { return (UnicodeScalar(first), 1) }
        let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
        var value = UInt32(first) & (0x7F >> UInt32(length))
        for byte in self[(index + 1)..<Swift.min(index + length, count)] { value = value << 6 | UInt32(byte & 0x3F) }
        return (UnicodeScalar(value) ?? "\u{FFFD}", length)
    }

    /// How many bytes the white space at `index` has, as Python sees it; nil where there is none.
    func lengthOfSpace(at index: Int) -> Int? {
        guard index < count else { return nil }
        if self[index] < 0x80 { return UnicodeScalar(self[index]).isPythonSpace ? 1 : nil }
        let (scalar, length) = self.scalar(at: index)
        return scalar.isPythonSpace ? length : nil
    }

    /// The same for the character that ends at `end`.
    func lengthOfSpace(before end: Int) -> Int? {
        guard end > 0 else { return nil }
        var start = end - 1
        while start > 0, self[start] & 0xC0 == 0x80 { start -= 1 }
        return lengthOfSpace(at: start)
    }
}

extension UnicodeScalar {
    /// Whether `str.isspace` holds.
    package var isPythonSpace: Bool {
        switch value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    /// Whether `str.splitlines` splits here.
    var isPythonLineBreak: Bool {
        switch value {
        case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }
}
