import JSONText

/// How tokens become text again.
struct DecodingRules: Sendable {
    enum Step: Sendable {
        /// Characters of GPT-2's alphabet are the bytes that they spell.
        case byteLevel
        case replace([UInt8], with: [UInt8])
        /// `<0x0A>` is the byte.
        case byteFallback
        case strip(UInt8, start: Int, stop: Int)
        /// A visible space is one, but in the first token nothing.
        case metaspace(replacement: [UInt8], dropsFirst: Bool)
        /// ▁ is a space, but one at the beginning of the first token nothing.
        case visibleSpace(hidesFirst: Bool)
    }

    /// What is done to each token.
    var steps: [Step] = [.byteLevel]
    /// How many of a byte are taken away in front of the whole.
    var leading: (byte: UInt8, count: Int)?

    /// Whether the first token is another one than it is elsewhere.
    var changesFirst: Bool {
        steps.contains { step in
            switch step {
            case .metaspace(_, dropsFirst: true), .visibleSpace(hidesFirst: true): true
            default: false
            }
        }
    }

    /// The bytes of a token.
    func bytes(of token: UnsafeRawBufferPointer, isFirst: Bool) -> [UInt8] {
        var bytes = Array(token)
        for step in steps {
            switch step {
            case .byteLevel:
                var output: [UInt8] = []
                bytes.withUnsafeBytes { ByteAlphabet.appendDecoded($0, to: &output) }
                bytes = output
            case .replace(let pattern, let content): bytes = Self.replace(bytes, pattern, content)
            case .metaspace(let replacement, let dropsFirst):
                bytes = Self.replace(bytes, replacement, isFirst && dropsFirst ? [] : [UInt8(ascii: " ")])
            case .visibleSpace(let hidesFirst):
                if isFirst, hidesFirst, bytes.starts(with: "▁".utf8) { bytes.removeFirst(3) }
                bytes = Self.replace(bytes, Array("▁".utf8), [UInt8(ascii: " ")])
            case .byteFallback:
                if bytes.count == 6, bytes.starts(with: "<0x".utf8), bytes[5] == UInt8(ascii: ">"),
                    let byte = UInt8(String(decoding: bytes[3..<5], as: UTF8.self), radix: 16)
                {
                    bytes = [byte]
                }
            case .strip(let byte, let start, let stop):
                let front = bytes.prefix(start).prefix { $0 == byte }.count
                bytes.removeFirst(front)
                let back = bytes.suffix(stop).reversed().prefix { $0 == byte }.count
                bytes.removeLast(back)
            }
        }
        return bytes
    }

    private static func replace(_ bytes: [UInt8], _ pattern: [UInt8], _ content: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        bytes.withUnsafeBufferPointer { text in
            guard let start = text.baseAddress else { return }
            SplitRule.Separator.text(pattern).forEach(start, 0..<text.count) { piece, isMatch in
                output.append(contentsOf: isMatch ? content[...] : ArraySlice(text[piece]))
            }
        }
        return output
    }
}
