import Glibc

/// Numbers in texts, as Python reads and writes them.
enum NumberText {
    /// What `int(text, base)` gives; nil where that is an error.
    ///
    /// - Throws: `Failure` for integers beyond 64 bits.
    static func integer(_ text: String, base: Int) throws -> Int? {
        if base != 0, base < 2 || base > 36 { return nil }
        var rest = text.unicodeScalars[...]
        while rest.first?.isPythonSpace == true { rest.removeFirst() }
        while rest.last?.isPythonSpace == true { rest.removeLast() }
        var isNegative = false
        if let sign = rest.first, sign == "-" || sign == "+" {
            isNegative = sign == "-"
            rest.removeFirst()
        }
        var base = base
        let prefix = String(rest.prefix(2)).lowercased()
        let marked = ["0b": 2, "0o": 8, "0x": 16][prefix]
        var allowsUnderscore = false
        if let marked, base == 0 || base == marked {
            base = marked
            rest = rest.dropFirst(2)
            allowsUnderscore = true
        } else if base == 0 {
            base = 10
            if rest.first == "0", rest.contains(where: { $0 != "0" && $0 != "_" }) { return nil }
        }
        var value: Int? = 0
        var hasDigit = false
        for scalar in rest {
            if scalar == "_" {
                if !allowsUnderscore { return nil }
                allowsUnderscore = false
                continue
            }
            guard let digit = digit(scalar), digit < base else { return nil }
            (hasDigit, allowsUnderscore) = (true, true)
            value = value.flatMap { value in
                let (product, overflows) = value.multipliedReportingOverflow(by: base)
                let (sum, spills) =
                    isNegative ? product.subtractingReportingOverflow(digit) : product.addingReportingOverflow(digit)
                return overflows || spills ? nil : sum
            }
        }
        if !hasDigit || rest.last == "_" { return nil }
        guard let value else { throw Failure("\(text.prefix(40)) is beyond the integers of 64 bits") }
        return value
    }

    private static func digit(_ scalar: UnicodeScalar) -> Int? {
        if let digit = scalar.decimalDigit { return digit }
        switch scalar.value | 0x20 {
        case 0x61...0x7A where scalar.value < 0x80: return Int(scalar.value | 0x20) - 0x61 + 10
        default: return nil
        }
    }

    /// What `float(text)` gives; nil where that is an error.
    static func double(_ text: String) -> Double? {
        var bytes: [UInt8] = []
        for scalar in text.stripped(nil, start: true, end: true).unicodeScalars {
            if let digit = scalar.decimalDigit {
                bytes.append(UInt8(ascii: "0") + UInt8(digit))
            } else if scalar.value < 0x80 {
                bytes.append(UInt8(scalar.value) | (scalar.properties.isUppercase ? 0x20 : 0))
            } else {
                return nil
            }
        }
        var plain = String(decoding: bytes, as: UTF8.self)
        let unsigned = plain.first == "-" || plain.first == "+" ? String(plain.dropFirst()) : plain
        if ["inf", "infinity"].contains(unsigned) { return plain.first == "-" ? -.infinity : .infinity }
        if unsigned == "nan" { return .nan }
        guard isDecimal(Array(unsigned.utf8)) else { return nil }
        plain.removeAll { $0 == "_" }
        return strtod(plain, nil)
    }

    /// Whether digits, with single underscores between, a point and an exponent are all that there is.
    private static func isDecimal(_ bytes: [UInt8]) -> Bool {
        var index = 0
        func isDigit(_ place: Int) -> Bool { place < bytes.count && bytes[place] &- UInt8(ascii: "0") < 10 }
        func digits() -> Bool {
            let start = index
            while isDigit(index) {
                index += 1
                if index < bytes.count, bytes[index] == UInt8(ascii: "_"), isDigit(index + 1) { index += 1 }
            }
            return index > start
        }
        var hasDigits = digits()
        if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
            index += 1
            hasDigits = digits() || hasDigits
        }
        if !hasDigits { return false }
        if index < bytes.count, bytes[index] == UInt8(ascii: "e") {
            index += 1
            if index < bytes.count, [UInt8(ascii: "+"), UInt8(ascii: "-")].contains(bytes[index]) { index += 1 }
            if !digits() { return false }
        }
        return index == bytes.count
    }

    /// A float as C's `printf` writes it by a format for one, such as `%.2f`.
    static func formatted(_ value: Double, precision: Int, kind: Character, isAlternate: Bool = false) -> String {
        let format = "%" + (isAlternate ? "#" : "") + ".*" + String(kind)
        return withVaList([Int32(clamping: precision), value]) { list in
            var buffer = [CChar](repeating: 0, count: 400 + max(0, precision))
            let length = vsnprintf(&buffer, buffer.count, format, list)
            return String(
                decoding: buffer[..<min(Int(length), buffer.count - 1)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    /// What Python's `round` of a float gives.
    static func rounded(_ value: Double, _ precision: Int) throws -> Double {
        if !value.isFinite || precision > 323 { return value }
        if precision < -308 { return value.sign == .minus ? -0.0 : 0.0 }
        if precision >= 0 { return strtod(formatted(value, precision: precision, kind: "f"), nil) }
        // The digits in front of the point decide, exactly.
        let scale = pow(10, Double(-precision))
        let rounded = (value / scale).rounded(.toNearestOrEven) * scale
        if rounded.isInfinite { throw Failure("the rounded value is too large for a float") }
        return rounded
    }
}
