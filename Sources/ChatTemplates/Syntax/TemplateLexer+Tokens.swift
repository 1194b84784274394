import Diagnostics

extension TemplateLexer {
    private static let pairs = ["//", "**", "==", "!=", ">=", "<="].map { Array($0.utf8) }
    private static let single = Set("+-/*%~[](){}><=.:|,;".utf8)

    /// Reads one token within a tag.
    mutating func readToken(_ open: inout [UInt8]) throws {
        let byte = bytes[offset]
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): readNumber()
        case UInt8(ascii: "'"), UInt8(ascii: "\""): try readString(byte)
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), 0x80...:
            try readName()
        default: try readSymbol(&open)
        }
    }

    private mutating func readName() throws {
        let start = offset
        var isFirst = true
        while offset < bytes.count {
            let (scalar, length) = bytes.scalar(at: offset)
            let properties = scalar.properties
            if scalar != "_", !(isFirst ? properties.isXIDStart : properties.isXIDContinue) { break }
            isFirst = false
            offset += length
        }
        if isFirst { throw unexpected() }
        add(.name, text(start..<offset), at: start)
    }

    private mutating func unexpected() -> Failure {
        let scalar = String(bytes.scalar(at: offset).scalar)
        return Failure("'\(scalar)' has no meaning within a tag", at: position(of: offset))
    }

    private mutating func readSymbol(_ open: inout [UInt8]) throws {
        let start = offset
        if let pair = Self.pairs.first(where: { bytes[start...].starts(with: $0) }) {
            offset += pair.count
            return add(.symbol, text(start..<offset), at: start)
        }
        let byte = bytes[start]
        guard Self.single.contains(byte) else { throw unexpected() }
        switch byte {
        case UInt8(ascii: "("): open.append(UInt8(ascii: ")"))
        case UInt8(ascii: "["): open.append(UInt8(ascii: "]"))
        case UInt8(ascii: "{"): open.append(UInt8(ascii: "}"))
        case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"):
            guard let expected = open.popLast() else {
                throw Failure("'\(text(start..<start + 1))' closes nothing", at: position(of: start))
            }
            if expected != byte {
                let (found, wanted) = (text(start..<start + 1), String(UnicodeScalar(expected)))
                throw Failure("found '\(found)' where '\(wanted)' has to close first", at: position(of: start))
            }
        default: break
        }
        offset += 1
        add(.symbol, text(start..<offset), at: start)
    }

    /// Behind digits that single underscores may part; `start` where there are none.
    private func digits(from start: Int, _ isDigit: (UInt8) -> Bool = { $0 &- UInt8(ascii: "0") < 10 }) -> Int {
        var index = start
        while index < bytes.count, isDigit(bytes[index]) {
            index += 1
            if index + 1 < bytes.count, bytes[index] == UInt8(ascii: "_"), isDigit(bytes[index + 1]) { index += 1 }
        }
        return index
    }

    /// Behind the exponent at `index`; nil where there is none.
    private func exponent(at index: Int) -> Int? {
        guard index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "e") else { return nil }
        var start = index + 1
        if start < bytes.count, [UInt8(ascii: "+"), UInt8(ascii: "-")].contains(bytes[start]) { start += 1 }
        let end = digits(from: start)
        return end > start ? end : nil
    }

    private mutating func readNumber() {
        let start = offset
        let whole = digits(from: start)
        // A number behind a point is an index: a.1.5 is a.1 and then .5.
        if start == 0 || bytes[start - 1] != UInt8(ascii: ".") {
            var end = whole
            if end < bytes.count, bytes[end] == UInt8(ascii: ".") {
                let fraction = digits(from: end + 1)
                if fraction > end + 1 { end = fraction }
            }
            if let exponent = exponent(at: end) ?? (end > whole ? end : nil) {
                offset = exponent
                return add(.number, plain(start..<exponent), at: start)
            }
        }
        offset = endOfInteger(start, whole)
        add(.integer, plain(start..<offset), at: start)
    }

    private func endOfInteger(_ start: Int, _ whole: Int) -> Int {
        guard bytes[start] == UInt8(ascii: "0") else { return whole }
        if start + 1 < bytes.count {
            let isDigit: ((UInt8) -> Bool)? =
                switch bytes[start + 1] | 0x20 {
                case UInt8(ascii: "b"): { $0 == UInt8(ascii: "0") || $0 == UInt8(ascii: "1") }
                case UInt8(ascii: "o"): { $0 &- UInt8(ascii: "0") < 8 }
                case UInt8(ascii: "x"): { UnicodeScalar($0).properties.isASCIIHexDigit }
                default: nil
                }
            if let isDigit {
                let first = start + 2 < bytes.count && bytes[start + 2] == UInt8(ascii: "_") ? start + 3 : start + 2
                let end = digits(from: first, isDigit)
                if end > first { return end }
            }
        }
        // Zeros in front of other digits are a number by themselves.
        return digits(from: start) { $0 == UInt8(ascii: "0") }
    }

    private func plain(_ range: Range<Int>) -> String {
        String(decoding: bytes[range].filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
    }

    private mutating func readString(_ quote: UInt8) throws {
        let start = offset
        var index = start + 1
        while index < bytes.count, bytes[index] != quote {
            index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard index < bytes.count else {
            throw Failure(
                "the string has no end; write \(String(UnicodeScalar(quote))) behind it", at: position(of: start))
        }
        offset = index + 1
        let place = position(of: start)
        do {
            add(.string, try unescaped(start + 1..<index), at: start)
        } catch let failure as Failure {
            throw Failure(failure.message, at: place)
        }
    }

    /// What a string's content stands for.
    private func unescaped(_ range: Range<Int>) throws -> String {
        guard bytes[range].contains(UInt8(ascii: "\\")) else { return text(range) }
        var result: [UInt8] = []
        var index = range.lowerBound
        while index < range.upperBound {
            let byte = bytes[index]
            index += 1
            if byte != UInt8(ascii: "\\") {
                result.append(byte)
                continue
            }
            try unescape(&index, &result)
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static let simple: [UInt8: UInt8] = [
        UInt8(ascii: "\\"): 0x5C, UInt8(ascii: "'"): 0x27, UInt8(ascii: "\""): 0x22, UInt8(ascii: "a"): 7,
        UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 12, UInt8(ascii: "n"): 10, UInt8(ascii: "r"): 13,
        UInt8(ascii: "t"): 9, UInt8(ascii: "v"): 11,
    ]

    private func unescape(_ index: inout Int, _ result: inout [UInt8]) throws {
        let kind = bytes[index]
        if let meant = Self.simple[kind] {
            index += 1
            return result.append(meant)
        }
        switch kind {
        case UInt8(ascii: "\n"): index += 1
        case UInt8(ascii: "0")...UInt8(ascii: "7"):
            var value: UInt32 = 0
            let end = min(index + 3, bytes.count)
            while index < end, bytes[index] &- UInt8(ascii: "0") < 8 {
                value = value * 8 + UInt32(bytes[index] - UInt8(ascii: "0"))
                index += 1
            }
            result.append(contentsOf: String(UnicodeScalar(value) ?? " ").utf8)
        case UInt8(ascii: "x"): try appendScalar(&index, 2, &result)
        case UInt8(ascii: "u"): try appendScalar(&index, 4, &result)
        case UInt8(ascii: "U"): try appendScalar(&index, 8, &result)
        case UInt8(ascii: "N"): throw Failure("the escape \\N isn't supported; write the character itself")
        case 0x80...:
            // Python turns the character into an escape, of which the backslash in front of it then takes the first part.
            let (scalar, length) = bytes.scalar(at: index)
            index += length
            let digits = String(scalar.value, radix: 16)
            let (mark, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
            result.append(contentsOf: ("\\" + mark + String(repeating: "0", count: width - digits.count) + digits).utf8)
        default: result.append(UInt8(ascii: "\\"))
        }
    }

    private func appendScalar(_ index: inout Int, _ count: Int, _ result: inout [UInt8]) throws {
        let digits = bytes[(index + 1)...].prefix(count).prefix { UnicodeScalar($0).properties.isASCIIHexDigit }
        let name = "\\" + String(UnicodeScalar(bytes[index]))
        guard digits.count == count, let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16) else {
            throw Failure("the escape \(name) needs \(count) hexadecimal digits")
        }
        guard let scalar = UnicodeScalar(value) else {
            throw Failure("the escape \(name)\(String(decoding: digits, as: UTF8.self)) is no character")
        }
        index += 1 + count
        result.append(contentsOf: String(scalar).utf8)
    }
}
