import JSONText

/// Replacements of characters and of sequences of them, as SentencePiece compiles them (`precompiled_charsmap`): a double
/// array (Aoe, 1989) of what is replaced, and the replacements behind one another.
struct CharacterMap: Sendable {
    struct Broken: Error { var message: String }

    private let units: [UInt32]
    private let replacements: [UInt8]
    /// Whether a sequence can begin with a byte.
    private let canBegin: [Bool]

    init(_ bytes: [UInt8]) throws(Broken) {
        guard bytes.count >= 8 else { throw Broken(message: "it is too short") }
        func word(_ index: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(bytes[4 * index + $1]) << UInt32(8 * $1) }
        }
        let size = Int(word(0))
        guard size < bytes.count - 3, size >= 4 else { throw Broken(message: "its sizes don't fit") }
        units = (1...size / 4).map(word)
        replacements = Array(bytes[(4 + size)...])
        guard String(validating: replacements, as: UTF8.self) != nil else {
            throw Broken(message: "its replacements are not UTF-8")
        }
        let units = units
        canBegin = (UInt32(0)..<256).map { byte in
            byte != 0 && Self.child(0, byte, units).map { units[$0] & 0x8000_00FF == byte } ?? false
        }
    }

    /// The unit of a byte behind that of its beginning.
    private static func child(_ node: Int, _ byte: UInt32, _ units: [UInt32]) -> Int? {
        let next = node ^ offset(units[node]) ^ Int(byte)
        return next < units.count ? next : nil
    }

    private static func offset(_ unit: UInt32) -> Int { Int(unit >> 10) << (unit >> 9 & 1 != 0 ? 8 : 0) }

    enum Choice { case longest, shortest }

    /// The length of a sequence that stands at `start` in valid UTF-8, whole characters in `text[start..<end]`, and the
    /// place of what replaces it; nil where none does.
    func match(
        _ text: UnsafePointer<UInt8>, _ start: Int, _ end: Int, _ choice: Choice
    ) -> (length: Int, replacement: Range<Int>)? {
        if start == end || !canBegin[Int(text[start])] { return nil }
        return units.withUnsafeBufferPointer { units in
            var found: (length: Int, value: Int)?
            // Where children of the present node lie.
            var base = Self.offset(units[0])
            var index = start
            while index < end, text[index] != 0 {
                let node = base ^ Int(text[index])
                guard node < units.count, units[node] & 0x8000_00FF == UInt32(text[index]) else { break }
                index += 1
                base = node ^ Self.offset(units[node])
                if units[node] >> 8 & 1 != 0, base < units.count, index == end || text[index] & 0xC0 != 0x80 {
                    let value = Int(units[base] & 0x7FFF_FFFF)
                    if value < replacements.count, replacements[value] & 0xC0 != 0x80 {
                        found = (index - start, value)
                        if choice == .shortest { break }
                    }
                }
            }
            guard let found else { return nil }
            let last = replacements[found.value...].firstIndex(of: 0) ?? replacements.count
            return (found.length, found.value..<last)
        }
    }

    func add(to hash: inout ContentHash) {
        units.withUnsafeBytes { hash.add($0) }
        replacements.withUnsafeBytes { hash.add($0) }
    }

    /// The bytes of a replacement.
    func bytes(_ replacement: Range<Int>) -> ArraySlice<UInt8> { replacements[replacement] }
}

extension CharacterMap {
    /// As the tokenizers library replaces: what people see as one character, of up to five bytes, by the shortest sequence
    /// with which it begins, otherwise each code point by itself.
    func applied(to text: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count + text.count / 8)
        text.withUnsafeBufferPointer { bytes in
            guard let start = bytes.baseAddress else { return }
            func append(_ range: Range<Int>) -> Bool {
                guard let found = match(start, range.lowerBound, range.upperBound, .shortest) else { return false }
                output += self.bytes(found.replacement)
                return true
            }
            var index = 0
            func appendWhole(_ end: Int) {
                if end - index < 6, append(index..<end) {
                    index = end
                    return
                }
                while index < end {
                    let next = index + UnicodeClasses.decode(start, index).length
                    if !append(index..<next) { output += bytes[index..<next] }
                    index = next
                }
            }
            for character in String(decoding: bytes, as: UTF8.self) { appendWhole(index + character.utf8.count) }
        }
        return output
    }
}
