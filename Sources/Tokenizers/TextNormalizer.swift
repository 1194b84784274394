@_spi(_Unicode) import Swift

/// A change that is made to a text before it is split.
enum TextNormalizer: Sendable {
    case composition
    case decomposition
    case prepend([UInt8])
    case replace(SplitRule.Separator, with: [UInt8])
    case lowercase
    case strip(left: Bool, right: Bool)
    /// A map of SentencePiece as the tokenizers library applies it.
    case characterMap(CharacterMap)
    case sentencePiece(SentencePieceNormalizer)

    /// - Parameter place: Where the text stands; what is stripped at its start moves it.
    func apply(to text: [UInt8], _ place: inout TextPlace, isEnd: Bool) -> [UInt8] {
        switch self {
        case .characterMap(let map): return map.applied(to: text)
        case .sentencePiece(let normalizer): return normalizer.apply(to: text, place, isEnd: isEnd)
        case .composition: return Self.normalized(text) { Array(String($0)._nfc) }
        case .decomposition: return Self.normalized(text) { Array(String($0)._nfd) }
        case .prepend(let prefix): return text.isEmpty || place == .continuation ? text : prefix + text
        case .replace(let separator, let content):
            var output: [UInt8] = []
            output.reserveCapacity(text.count + text.count / 4)
            text.withUnsafeBufferPointer { text in
                guard let start = text.baseAddress else { return }
                separator.forEach(start, 0..<text.count) { piece, isMatch in
                    output.append(contentsOf: isMatch ? content[...] : ArraySlice(text[piece]))
                }
            }
            return output
        case .lowercase:
            var output: [UInt8] = []
            for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
                output += Array(scalar.properties.lowercaseMapping.utf8)
            }
            return output
        case .strip(let left, let right):
            var scalars = String(decoding: text, as: UTF8.self).unicodeScalars[...]
            let count = scalars.count
            if left { scalars = scalars.drop { $0.properties.isWhitespace } }
            if scalars.count < count, place == .start { place = .inside }
            while right, let last = scalars.last, last.properties.isWhitespace { scalars.removeLast() }
            return Array(String(scalars).utf8)
        }
    }

    /// The Unicode version whose characters the library composes and reorders; later ones it leaves where they are.
    private static let knownVersion = 10

    private static func normalized(
        _ text: [UInt8], _ normalize: (Substring.UnicodeScalarView) -> [Unicode.Scalar]
    ) -> [UInt8] {
        if text.allSatisfy({ $0 < 0x80 }) { return text }
        var scalars = String.UnicodeScalarView()
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
            // Swift orders the marks in these three only within each of them.
            switch scalar.value {
            case 0xF73: scalars.append(contentsOf: "\u{F71}\u{F72}".unicodeScalars)
            case 0xF75: scalars.append(contentsOf: "\u{F71}\u{F74}".unicodeScalars)
            case 0xF81: scalars.append(contentsOf: "\u{F71}\u{F80}".unicodeScalars)
            default: scalars.append(scalar)
            }
        }
        var output = String.UnicodeScalarView()
        var start = scalars.startIndex
        func flush(_ end: String.Index) {
            if start < end { output.append(contentsOf: normalize(scalars[start..<end])) }
        }
        for index in scalars.indices {
            let scalar = scalars[index]
            if scalar.value < 0x700 { continue }
            if let age = scalar.properties.age, age.major <= knownVersion { continue }
            flush(index)
            output.append(scalar)
            start = scalars.index(after: index)
        }
        flush(scalars.endIndex)
        return Array(String(output).utf8)
    }
}

/// Where a piece of text stands, which decides about a space in front of it.
enum TextPlace: Sendable {
    /// At the very start of a text of its own, or of one that goes on from another.
    case start, continuation
    case inside
}
