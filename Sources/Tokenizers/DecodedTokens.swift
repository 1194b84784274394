/// The bytes that each id stands for.
struct DecodedTokens: Sendable {
    private var bytes: [UInt8] = []
    /// By id: `bytes[starts[id]..<ends[id]]`; empty for ids that don't exist.
    private var starts: [UInt32]
    private var ends: [UInt32]
    private var isSpecial: [Bool]

    init(_ vocabulary: Vocabulary, _ addedTokens: [AddedToken], count: Int) {
        starts = [UInt32](repeating: 0, count: count)
        ends = starts
        isSpecial = [Bool](repeating: false, count: count)
        vocabulary.forEach { spelling, id in append(spelling, id) }
        for token in addedTokens {
            var content = token.content
            content.withUTF8 { append(UnsafeRawBufferPointer($0), token.id) }
            isSpecial[Int(token.id)] = token.isSpecial
        }
    }

    private mutating func append(_ spelling: UnsafeRawBufferPointer, _ id: Int32) {
        starts[Int(id)] = UInt32(bytes.count)
        ByteAlphabet.appendDecoded(spelling, to: &bytes)
        ends[Int(id)] = UInt32(bytes.count)
    }

    func bytes(of ids: some Sequence<Int32>, skippingSpecialTokens: Bool) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(ids.underestimatedCount * 5)
        for id in ids where id >= 0 && Int(id) < starts.count {
            if skippingSpecialTokens, isSpecial[Int(id)] { continue }
            output.append(contentsOf: bytes[Int(starts[Int(id)])..<Int(ends[Int(id)])])
        }
        return output
    }
}
