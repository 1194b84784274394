import Diagnostics

extension JSONReader {
    enum Number {
        case integer(Int)
        case number(Double)
    }

    /// Reads a number that is an integer which fits `Int`.
    public mutating func readInteger() throws -> Int {
        try expect(.number, "an integer")
        let start = position
        let first = offset
        guard case .integer(let value) = try scanNumber() else {
            let text = String(decoding: UnsafeBufferPointer(start: base + first, count: offset - first), as: UTF8.self)
            throw problem("expected an integer, got \(text)", at: start)
        }
        return value
    }

    /// Reads a number.
    public mutating func readNumber() throws -> Double {
        try expect(.number, "a number")
        switch try scanNumber() {
        case .integer(let value): return Double(value)
        case .number(let value): return value
        }
    }

    /// Reads a number as the file spells it.
    public mutating func readNumberBytes() throws -> UnsafeRawBufferPointer {
        try expect(.number, "a number")
        let start = offset
        _ = try scanNumber()
        return UnsafeRawBufferPointer(start: base + start, count: offset - start)
    }

    private func digit(at index: Int) -> UInt8? {
        guard index < count else { return nil }
        let digit = base[index] &- UInt8(ascii: "0")
        return digit < 10 ? digit : nil
    }

    /// Reads the number whose first byte is the current one.
    mutating func scanNumber() throws -> Number {
        let start = offset
        var index = start
        let isNegative = base[index] == UInt8(ascii: "-")
        if isNegative { index += 1 }
        guard let first = digit(at: index) else {
            offset = index
            throw problem("expected a digit after '-', found \(found())")
        }
        var mantissa = UInt64(first)
        var isExact = true
        index += 1
        if first == 0 {
            if digit(at: index) != nil { throw problem("a number must not start with a zero") }
        } else {
            accumulate(&mantissa, &index, &isExact)
        }
        var isInteger = true
        var exponent = 0
        if index < count, base[index] == UInt8(ascii: ".") {
            isInteger = false
            index += 1
            let fraction = index
            accumulate(&mantissa, &index, &isExact)
            if index == fraction {
                offset = index
                throw problem("expected a digit after the decimal point, found \(found())")
            }
            exponent = fraction - index
        }
        if index < count, base[index] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            exponent += try scanExponent(&index)
        }
        let end = index
        if isInteger, isExact {
            if isNegative, mantissa <= UInt64(Int.max) + 1 {
                offset = end
                return .integer(Int(truncatingIfNeeded: 0 &- mantissa))
            }
            if !isNegative, mantissa <= UInt64(Int.max) {
                offset = end
                return .integer(Int(mantissa))
            }
        }
        // Both are exact in a Double, and so their product or quotient is rounded once (Clinger, 1990).
        if isExact, mantissa <= 1 << 53, (-22...22).contains(exponent) {
            offset = end
            let magnitude = Double(mantissa)
            let value = exponent < 0 ? magnitude / powersOfTen[-exponent] : magnitude * powersOfTen[exponent]
            return .number(isNegative ? -value : value)
        }
        let text = String(decoding: UnsafeBufferPointer(start: base + start, count: end - start), as: UTF8.self)
        guard let value = Double(text), value.isFinite else {
            throw problem("the number \(text) is out of range")
        }
        offset = end
        return .number(value)
    }

    /// Appends the digits at `index` to `mantissa`; `isExact` becomes false where they don't fit.
    private func accumulate(_ mantissa: inout UInt64, _ index: inout Int, _ isExact: inout Bool) {
        while let digit = digit(at: index) {
            index += 1
            let (product, overflows) = mantissa.multipliedReportingOverflow(by: 10)
            let (sum, carries) = product.addingReportingOverflow(UInt64(digit))
            if overflows || carries { isExact = false }
            mantissa = sum
        }
    }

    private mutating func scanExponent(_ index: inout Int) throws -> Int {
        index += 1
        var isNegative = false
        if index < count, base[index] == UInt8(ascii: "-") || base[index] == UInt8(ascii: "+") {
            isNegative = base[index] == UInt8(ascii: "-")
            index += 1
        }
        let start = index
        var exponent = 0
        while let digit = digit(at: index) {
            exponent = min(exponent * 10 + Int(digit), 100_000)
            index += 1
        }
        if index == start {
            offset = index
            throw problem("expected a digit in the exponent, found \(found())")
        }
        return isNegative ? -exponent : exponent
    }
}

private let powersOfTen: [Double] = [
    1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
]
