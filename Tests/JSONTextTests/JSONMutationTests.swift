import JSONText
import Testing

@Suite("A broken JSON text") struct JSONMutationTests {
    static let text = """
        {"a": [1, -2.5e-7, true, null, "é\\u00e9\\ud83d\\ude00\\n"], "b": {"c": {}, "d": []},
         "tensor": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "e": 12345678901234567890}
        """

    @Test("is refused or read, alike whether it is skipped or made a tree of, and what is read can be written")
    func mutations() throws {
        var generator = SystemRandomNumberGenerator()
        let inserts = ["\\u", "\\ud83d", "\"", "{", "]", ",", ":", "0", "-", ".", "e9", "NaN", "\n", "\0", "\"a\": 1,"]
        var accepted = 0
        for _ in 0..<5_000 {
            var bytes = Array(Self.text.utf8)
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(contentsOf: inserts[place % inserts.count].utf8, at: place)
                default: bytes.swapAt(place, bytes.count - 1 - place)
                }
            }
            let tree = bytes.withUnsafeBytes { try? JSONNode.parse($0) }
            let isSkipped = bytes.withUnsafeBytes { bytes in
                var reader = JSONReader(bytes)
                do {
                    try reader.skipValue()
                    try reader.finish()
                    return true
                } catch { return false }
            }
            #expect(isSkipped == (tree != nil), "\(bytes)")
            guard let tree else { continue }
            accepted += 1
            #expect(try JSONNode.parse(tree.plain.text(.compact)).plain == tree.plain, "\(bytes)")
        }
        #expect(accepted > 100)
    }
}
