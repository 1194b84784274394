import Files
import Testing

@Suite("The lines of a text") struct TextLinesTests {
    @Test(
        "end in any way",
        arguments: [
            ("", []), ("a", ["1 a"]), ("a\n", ["1 a"]), ("a\r\nb", ["1 a", "2 b"]), ("a\rb\r", ["1 a", "2 b"]),
            ("\n\r\r\n\na", ["1 ", "2 ", "3 ", "4 ", "5 a"]), ("a\n\rb", ["1 a", "2 ", "3 b"]),
        ])
    func ends(text: String, expected: [String]) {
        let bytes = Array(text.utf8)
        let found = bytes.withUnsafeBytes { bytes in
            TextLines(bytes).map { "\($0.number) \(String(decoding: bytes[$0.range], as: UTF8.self))" }
        }
        #expect(found == expected)
        let isOpen = bytes.last.map { $0 != 10 && $0 != 13 } ?? false
        #expect(TextLines.countEnds(bytes) == expected.count - (isOpen ? 1 : 0))
    }

    @Test("are found in time that grows with the text") func manyReturns() {
        let bytes = [UInt8](repeating: 13, count: 1 << 20)
        #expect(bytes.withUnsafeBytes { TextLines($0).reduce(0) { count, _ in count + 1 } } == 1 << 20)
    }
}
