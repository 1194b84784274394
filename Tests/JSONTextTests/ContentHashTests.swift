import JSONText
import Testing

@Suite("A hash of content") struct ContentHashTests {
    @Test(
        "is XXH64, in one piece or several",
        arguments: [
            ([], 0xEF46_DB37_51D8_E999), (Array("a".utf8), 0xD24E_C4F1_A98C_6E5B),
            (Array("abc".utf8), 0x44BC_2CF5_AD77_0999),
            (Array("Nobody inspects the spammish repetition".utf8), 0xFBCE_A83C_8A37_8BF1),
            ((0..<768).map { UInt8(truncatingIfNeeded: $0) }, 0x8E03_C838_C596_036F),
        ] as [([UInt8], UInt64)])
    func known(bytes: [UInt8], expected: UInt64) {
        #expect(bytes.withUnsafeBytes { ContentHash.value(of: $0) } == expected)
        for size in [1, 5, 31, 33] {
            var hash = ContentHash()
            for start in stride(from: 0, to: bytes.count, by: size) {
                bytes[start..<min(start + size, bytes.count)].withUnsafeBytes { hash.add($0) }
            }
            #expect(hash.value == expected)
        }
    }

    @Test("has sixteen digits, and tells where one text ends and the next begins") func texts() {
        #expect(ContentHash.text(0xABC) == "0000000000000abc")
        var (first, second) = (ContentHash(), ContentHash())
        for text in ["ab", "c"] { first.add(text) }
        for text in ["a", "bc"] { second.add(text) }
        #expect(first.value != second.value)
    }
}
