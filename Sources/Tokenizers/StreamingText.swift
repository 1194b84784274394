/// Gives out text piece by piece from bytes that may be cut inside a character, as tokens are.
public struct StreamingText: Sendable {
    private var pending: [UInt8] = []

    public init() {}

    /// The text that is complete with `bytes`; the start of a character is kept until the rest comes, what can't
    /// become a character is U+FFFD at once.
    public mutating func append(_ bytes: [UInt8]) -> String {
        pending += bytes
        let kept = Self.incompleteLength(pending)
        let text = String(decoding: pending.dropLast(kept), as: UTF8.self)
        pending.removeFirst(pending.count - kept)
        return text
    }

    /// What is left at the end: U+FFFD for a character that was never completed, or nothing.
    public mutating func finish() -> String {
        defer { pending = [] }
        return String(decoding: pending, as: UTF8.self)
    }

    /// How many bytes at the end are the start of a UTF-8 sequence that further bytes could complete.
    private static func incompleteLength(_ bytes: [UInt8]) -> Int {
        for length in 1...3 where length <= bytes.count {
            let first = bytes[bytes.count - length]
            if first & 0xC0 == 0x80 { continue }
            let second = length > 1 ? bytes[bytes.count - length + 1] : nil
            return isStart(first, second, length) ? length : 0
        }
        return 0
    }

    /// Whether a sequence of `length` bytes that begins with these can be continued (Unicode, table 3-7).
    private static func isStart(_ first: UInt8, _ second: UInt8?, _ length: Int) -> Bool {
        let second = second ?? (first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80)
        switch first {
        case 0xC2...0xDF: return length < 2
        case 0xE0: return length < 3 && second >= 0xA0
        case 0xED: return length < 3 && second < 0xA0
        case 0xE1...0xEF: return length < 3
        case 0xF0: return second >= 0x90
        case 0xF1...0xF3: return true
        case 0xF4: return second < 0x90
        default: return false
        }
    }
}
