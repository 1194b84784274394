import JSONText
import TestSupport
import Testing
import Tokenizers

@Suite("Decoding")
struct DecodingTests {
    @Test("gives the text of the Hugging Face library for any ids, U+FFFD for what is not UTF-8")
    func randomIDs() throws {
        let tokenizer = try gpt2.get()
        for node in try tokenizerFixture("gpt2-decoded.json").asArray() {
            let ids = try node.array("ids").map { Int32(try $0.asInteger()) }
            let text = tokenizer.decodedString(ids, skippingSpecialTokens: false)
            let expected = (try node.string("text"), try node.string("plain"))
            #expect(sameBytes(text, expected.0), "\(ids)")
            let plain = tokenizer.decodedString(ids, skippingSpecialTokens: true)
            #expect(sameBytes(plain, expected.1), "\(ids)")
        }
    }

    @Test("drops ids that don't exist")
    func unknownIDs() throws {
        let bytes = try gpt2.get().decode([-1, 15496, .max, .min, 995], skippingSpecialTokens: true)
        #expect(bytes == Array("Hello world".utf8))
    }

    @Test("token by token gives the same text, never half a character")
    func streaming() throws {
        let tokenizer = try gpt2.get()
        for node in try tokenizerFixture("gpt2-decoded.json").asArray() {
            var stream = StreamingText()
            var text = ""
            for id in try node.array("ids") {
                text += stream.append(tokenizer.decode([Int32(try id.asInteger())], skippingSpecialTokens: false))
            }
            text += stream.finish()
            let expected = try node.string("text")
            #expect(sameBytes(text, expected))
        }
    }

    @Test("byte by byte holds back exactly the characters that are not complete")
    func heldBack() {
        var stream = StreamingText()
        let pieces = Array("aé日😀!".utf8).map { stream.append([$0]) }
        #expect(pieces == ["a", "", "é", "", "", "日", "", "", "", "😀", "!"])
        #expect(stream.finish() == "")
        // E0 80 and F4 90 begin no character.
        #expect(stream.append([0xE0]) == "")
        #expect(stream.append([0x80]) == "\u{FFFD}\u{FFFD}")
        #expect(stream.append([0xF4, 0x90]) == "\u{FFFD}\u{FFFD}")
        #expect(stream.append([0xF0, 0x9F, 0x98]) == "")
        #expect(stream.append([0x41]) == "\u{FFFD}A")
        #expect(stream.append([0xE6, 0x97]) == "")
        #expect(stream.finish() == "\u{FFFD}")
        #expect(stream.finish() == "")
    }
}
