import Diagnostics
import Files

extension JSONReader {
    mutating func skipSpace() {
        while offset < count {
            let byte = base[offset]
            if byte == UInt8(ascii: "\n") {
                line += 1
                lineStart = offset + 1
            } else if byte != UInt8(ascii: " ") && byte != UInt8(ascii: "\r") && byte != UInt8(ascii: "\t") {
                return
            }
            offset += 1
        }
    }

    /// Whether `byte` is the next one that is not white space.
    mutating func next(is byte: UInt8) -> Bool {
        skipSpace()
        return offset < count && base[offset] == byte
    }

    mutating func enter() throws {
        depth += 1
        if depth > Self.depthLimit { throw problem("nested deeper than \(Self.depthLimit) levels") }
        offset += 1
    }

    mutating func leave() {
        depth -= 1
        offset += 1
    }

    mutating func expect(_ kind: JSONKind, _ description: String) throws {
        if try peek() != kind { throw try mismatch(description) }
    }

    /// The problem that the next value is not what was asked for.
    mutating func mismatch(_ description: String) throws -> Problem {
        let start = position
        return problem("expected \(description), got \(try readNode().summary)", at: start)
    }

    func starts(with literal: StaticString) -> Bool {
        guard count - offset >= literal.utf8CodeUnitCount else { return false }
        for index in 0..<literal.utf8CodeUnitCount where base[offset + index] != literal.utf8Start[index] {
            return false
        }
        return true
    }

    mutating func readLiteral(_ literal: StaticString) throws {
        guard starts(with: literal) else { throw problem("expected \(literal), found \(found())") }
        offset += literal.utf8CodeUnitCount
    }

    func notANumber(_ name: String) -> Problem {
        problem("\(name) is not a JSON number (Python writes it where a value is not finite)")
    }

    func keyExpected() -> Problem {
        encodingProblem ?? problem("expected a key in double quotes, found \(found())")
    }

    /// What is wrong with the whole text where its first bytes aren't those of UTF-8.
    var encodingProblem: Problem? {
        do {
            _ = try textStart(of: UnsafeRawBufferPointer(start: base, count: count), file: file)
            return nil
        } catch { return error }
    }

    /// What stands at the current byte, for messages.
    func found() -> String {
        guard offset < count else { return "the end of the text" }
        let byte = base[offset]
        if byte > 0x20 && byte < 0x7F { return "'\(UnicodeScalar(byte))'" }
        if byte >= 0x80 {
            let length = sequenceLength(at: offset)
            if length > 0 {
                let bytes = UnsafeBufferPointer(start: base + offset, count: length)
                return "'\(String(decoding: bytes, as: UTF8.self))'"
            }
        }
        return "the byte 0x\(hexadecimal(UInt32(byte), digits: 2))"
    }

    func quoted(_ bytes: UnsafeRawBufferPointer) -> String {
        JSONValue.string(String(decoding: bytes, as: UTF8.self)).text(.compact)
    }

    /// Reads the string whose opening quotation mark is the current byte.
    mutating func scanString() throws -> UnsafeRawBufferPointer {
        let start = offset + 1
        var index = start
        while true {
            index = endOfPlainBytes(from: index)
            guard index < count else {
                throw problem("the text ends inside a string")
            }
            let byte = base[index]
            if byte == UInt8(ascii: "\"") {
                offset = index + 1
                return UnsafeRawBufferPointer(start: base + start, count: index - start)
            }
            if byte == UInt8(ascii: "\\") { return try scanEscapedString(start, upTo: index) }
            index += try lengthOfUnusualByte(at: index)
        }
    }

    /// The first byte from `index` on that is a quotation mark, a backslash, a control character or not ASCII.
    private func endOfPlainBytes(from index: Int) -> Int {
        var index = index
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops: UInt64 = 0x8080_8080_8080_8080
        while index + 8 <= count {
            let word = UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self)
            // Each term has the top bit of a byte set where that byte (or one below it, by borrow) is of the kind;
            // the lowest bit set is always right.
            let quotation = word ^ (ones &* 0x22)
            let backslash = word ^ (ones &* 0x5C)
            let special =
                ((quotation &- ones) & ~quotation) | ((backslash &- ones) & ~backslash)
                | ((word &- (ones &* 0x20)) & ~word) | word
            let hit = special & tops
            if hit != 0 { return index + hit.littleEndian.trailingZeroBitCount / 8 }
            index += 8
        }
        while index < count {
            let byte = base[index]
            if byte < 0x20 || byte >= 0x80 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { break }
            index += 1
        }
        return index
    }

    /// The length of the UTF-8 sequence at `index`; a control character or invalid UTF-8 is thrown.
    private mutating func lengthOfUnusualByte(at index: Int) throws -> Int {
        let byte = base[index]
        guard byte >= 0x80 else {
            offset = index
            throw problem(
                "a control character (0x\(hexadecimal(UInt32(byte), digits: 2))) in a string must be escaped")
        }
        let length = sequenceLength(at: index)
        if length == 0 {
            offset = index
            throw problem("invalid UTF-8 (byte 0x\(hexadecimal(UInt32(byte), digits: 2)))")
        }
        return length
    }

    /// The length of the well-formed UTF-8 sequence of several bytes at `index`, or 0 (Unicode, table 3-7).
    func sequenceLength(at index: Int) -> Int {
        func continues(_ distance: Int, _ range: ClosedRange<UInt8> = 0x80...0xBF) -> Bool {
            index + distance < count && range.contains(base[index + distance])
        }
        switch base[index] {
        case 0xC2...0xDF: return continues(1) ? 2 : 0
        case 0xE0: return continues(1, 0xA0...0xBF) && continues(2) ? 3 : 0
        case 0xED: return continues(1, 0x80...0x9F) && continues(2) ? 3 : 0
        case 0xE1...0xEF: return continues(1) && continues(2) ? 3 : 0
        case 0xF0: return continues(1, 0x90...0xBF) && continues(2) && continues(3) ? 4 : 0
        case 0xF1...0xF3: return continues(1) && continues(2) && continues(3) ? 4 : 0
        case 0xF4: return continues(1, 0x80...0x8F) && continues(2) && continues(3) ? 4 : 0
        default: return 0
        }
    }

    /// Reads on a string that has its first backslash at `escape`, into memory of its own.
    private mutating func scanEscapedString(_ start: Int, upTo escape: Int) throws -> UnsafeRawBufferPointer {
        // The result is never longer than the text up to the closing quotation mark, which is found first.
        var end = escape
        while end < count && base[end] != UInt8(ascii: "\"") { end += base[end] == UInt8(ascii: "\\") ? 2 : 1 }
        guard end < count else { throw problem("the text ends inside a string") }
        let target = unescaped.reserve(end - start)
        var length = 0
        var index = start
        while index < end {
            let plain = endOfPlainBytes(from: index)
            if plain > index {
                (target + length).copyMemory(from: base + index, byteCount: plain - index)
                length += plain - index
                index = plain
                continue
            }
            if base[index] == UInt8(ascii: "\\") {
                offset = index
                let scalar = try readEscape()
                index = offset
                for byte in UTF8.encode(scalar).unsafelyUnwrapped {
                    target.storeBytes(of: byte, toByteOffset: length, as: UInt8.self)
                    length += 1
                }
            } else {
                let width = try lengthOfUnusualByte(at: index)
                (target + length).copyMemory(from: base + index, byteCount: width)
                length += width
                index += width
            }
        }
        offset = end + 1
        unescaped.commit(length)
        return UnsafeRawBufferPointer(start: target, count: length)
    }

    /// Reads the escape at the current byte.
    private mutating func readEscape() throws -> UnicodeScalar {
        let byte = offset + 1 < count ? base[offset + 1] : 0
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"):
            offset += 2
            return UnicodeScalar(byte)
        case UInt8(ascii: "b"): return simpleEscape(0x08)
        case UInt8(ascii: "f"): return simpleEscape(0x0C)
        case UInt8(ascii: "n"): return simpleEscape(0x0A)
        case UInt8(ascii: "r"): return simpleEscape(0x0D)
        case UInt8(ascii: "t"): return simpleEscape(0x09)
        case UInt8(ascii: "u"): break
        default:
            throw problem("an unknown escape in a string: only \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX exist")
        }
        let start = offset
        let first = try readCodeUnit()
        if let scalar = UnicodeScalar(first) { return scalar }
        if first < 0xDC00, offset + 1 < count, base[offset] == UInt8(ascii: "\\"), base[offset + 1] == UInt8(ascii: "u")
        {
            let second = try readCodeUnit()
            if (0xDC00...0xDFFF).contains(second),
                let scalar = UnicodeScalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
            {
                return scalar
            }
        }
        offset = start
        throw problem("\\u\(hexadecimal(first, digits: 4)) is half of a surrogate pair without the other half")
    }

    private mutating func simpleEscape(_ byte: UInt8) -> UnicodeScalar {
        offset += 2
        return UnicodeScalar(byte)
    }

    /// Reads `\uXXXX`.
    private mutating func readCodeUnit() throws -> UInt32 {
        var unit: UInt32 = 0
        for index in 2..<6 {
            guard offset + index < count, let digit = hexadecimalDigit(base[offset + index]) else {
                throw problem("\\u must be followed by four hexadecimal digits")
            }
            unit = unit << 4 | digit
        }
        offset += 6
        return unit
    }
}

private func hexadecimalDigit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a")) + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A")) + 10
    default: nil
    }
}

/// `value` in upper-case hexadecimal, with leading zeros.
func hexadecimal(_ value: UInt32, digits: Int) -> String {
    let text = String(value, radix: 16, uppercase: true)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
}
