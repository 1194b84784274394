import ChatTemplates

/// Cuts texts into words and punctuation as sacrebleu's tokenizer 13a does, which is mteval-v13a's.
package struct Tokenizer13a {
    private var numbers: [ArraySlice<UInt8>: UInt32] = [:]

    /// The tokens of a text, equal ones by equal numbers.
    mutating func read(_ text: String) -> [UInt32] {
        Self.tokens(of: text).map { token in
            if let known = numbers[token] { return known }
            let number = UInt32(numbers.count)
            numbers[token] = number
            return number
        }
    }

    package static func tokens(of text: String) -> [ArraySlice<UInt8>] {
        var bytes = spaced(text)
        bytes = replacing("<skipped>", "", in: bytes)
        bytes = replacing("-\n", "", in: bytes)
        for index in bytes.indices where bytes[index] == newline { bytes[index] = space }
        for (entity, character) in [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")] {
            bytes = replacing(entity, character, in: bytes)
        }
        bytes = [space] + bytes + [space]
        bytes = separatingPunctuation(bytes)
        bytes = separatingStopsBehindOthers(bytes)
        bytes = separatingStopsBeforeOthers(bytes)
        bytes = separatingDashes(bytes)
        return bytes.split(separator: space)
    }

    private static let space = UInt8(ascii: " ")
    private static let newline = UInt8(ascii: "\n")

    /// The text as UTF-8 without white space at its end, all other white space but line breaks as blanks.
    private static func spaced(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count + 2)
        for scalar in text.unicodeScalars {
            if scalar.isPythonSpace {
                bytes.append(scalar == "\n" ? newline : space)
            } else if scalar.value < 0x80 {
                bytes.append(UInt8(scalar.value))
            } else {
                bytes += Array(String(scalar).utf8)
            }
        }
        while let last = bytes.last, last == space || last == newline { bytes.removeLast() }
        return bytes
    }

    private static func replacing(_ old: String, _ new: String, in bytes: [UInt8]) -> [UInt8] {
        let pattern = Array(old.utf8)
        guard bytes.contains(pattern[0]) else { return bytes }
        let other = Array(new.utf8)
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            if bytes[index] == pattern[0], bytes[index...].starts(with: pattern) {
                result += other
                index += pattern.count
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return result
    }

    /// Blanks around all ASCII that is no letter, digit, apostrophe, comma, dash or full stop.
    private static func separatingPunctuation(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "{")...UInt8(ascii: "~"), UInt8(ascii: "[")...UInt8(ascii: "`"),
                UInt8(ascii: "!")...UInt8(ascii: "&"), UInt8(ascii: "(")...UInt8(ascii: "+"),
                UInt8(ascii: ":")...UInt8(ascii: "@"), UInt8(ascii: "/"):
                result.append(space)
                result.append(byte)
                result.append(space)
            default: result.append(byte)
            }
        }
        return result
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    private static func isStop(_ byte: UInt8) -> Bool { byte == UInt8(ascii: ".") || byte == UInt8(ascii: ",") }

    /// Replaces pairs of neighbours, found from the left without overlap.
    private static func replacingPairs(
        _ bytes: [UInt8], where isTaken: (UInt8, UInt8) -> Bool, by append: (UInt8, UInt8, inout [UInt8]) -> Void
    ) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + 16)
        var index = 0
        while index < bytes.count {
            if index + 1 < bytes.count, isTaken(bytes[index], bytes[index + 1]) {
                append(bytes[index], bytes[index + 1], &result)
                index += 2
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return result
    }

    private static func separatingStopsBehindOthers(_ bytes: [UInt8]) -> [UInt8] {
        replacingPairs(bytes, where: { !isDigit($0) && isStop($1) }, by: { $2 += [$0, space, $1, space] })
    }

    private static func separatingStopsBeforeOthers(_ bytes: [UInt8]) -> [UInt8] {
        replacingPairs(bytes, where: { isStop($0) && !isDigit($1) }, by: { $2 += [space, $0, space, $1] })
    }

    private static func separatingDashes(_ bytes: [UInt8]) -> [UInt8] {
        replacingPairs(bytes, where: { isDigit($0) && $1 == UInt8(ascii: "-") }, by: { $2 += [$0, space, $1, space] })
    }
}
