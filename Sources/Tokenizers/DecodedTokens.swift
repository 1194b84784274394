/// The bytes that each id stands for.
struct DecodedTokens: Sendable {
    private var bytes: [UInt8] = []
    /// By id: `bytes[starts[id]..<ends[id]]`; empty for ids that don't exist.
    private var starts: [UInt32]
    private var ends: [UInt32]
    private var isSpecial: [Bool]
    private let rules: DecodingRules
    private let isByteLevel: Bool
    /// The bytes of tokens that are others in front of a text.
    private var firstBytes: [Int32: [UInt8]] = [:]

    /// Whether spaces are left out until there is something else.
    let hidesLeadingSpaces: Bool
    /// What stands in a text for the token of what is unknown.
    private var unknown: (id: Int32, bytes: [UInt8]) = (-1, [])

    init(_ content: SubwordTokenizer.Content, _ addedTokens: [AddedToken], count: Int) {
        rules = content.decoding
        hidesLeadingSpaces = content.hidesLeadingSpaces
        isByteLevel = if rules.steps.count == 1, case .byteLevel = rules.steps[0] { true } else { false }
        starts = [UInt32](repeating: 0, count: count)
        ends = starts
        isSpecial = [Bool](repeating: false, count: count)
        content.vocabulary.forEach { spelling, id in append(spelling, id) }
        for id in content.controlIDs { isSpecial[Int(id)] = true }
        if let (id, surface) = content.unknown { unknown = (id, Array(surface.utf8)) }
        for token in addedTokens {
            var content = token.content
            content.withUTF8 { append(UnsafeRawBufferPointer($0), token.id) }
            isSpecial[Int(token.id)] = token.isSpecial
        }
    }

    private mutating func append(_ spelling: UnsafeRawBufferPointer, _ id: Int32) {
        starts[Int(id)] = UInt32(bytes.count)
        if isByteLevel {
            ByteAlphabet.appendDecoded(spelling, to: &bytes)
        } else {
            let inside = rules.bytes(of: spelling, isFirst: false)
            bytes += inside
            if rules.changesFirst {
                let first = rules.bytes(of: spelling, isFirst: true)
                firstBytes[id] = first == inside ? nil : first
            }
        }
        ends[Int(id)] = UInt32(bytes.count)
    }

    func bytes(of ids: some Sequence<Int32>, skippingSpecialTokens: Bool, isContinuation: Bool) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(ids.underestimatedCount * 5)
        var isFirst = !isContinuation
        for id in ids where id >= 0 && Int(id) < starts.count {
            if skippingSpecialTokens, isSpecial[Int(id)] { continue }
            if id == unknown.id, skippingSpecialTokens {
                output += unknown.bytes
            } else if isFirst, let first = firstBytes[id] {
                output.append(contentsOf: first)
            } else {
                output.append(contentsOf: bytes[Int(starts[Int(id)])..<Int(ends[Int(id)])])
            }
            isFirst = isFirst && hidesLeadingSpaces && output.isEmpty
        }
        if let leading = rules.leading, !isContinuation {
            output.removeFirst(output.prefix(leading.count).prefix { $0 == leading.byte }.count)
        }
        return output
    }
}
