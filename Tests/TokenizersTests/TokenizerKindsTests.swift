import JSONText
import TestSupport
import Testing
import Tokenizers

@Suite("Kinds of tokenizers")
struct TokenizerKindsTests {
    static let kinds = ["llama3", "qwen2", "o200k", "gpt_neox", "smollm2", "llama2", "mistral", "metaspace", "unknown"]

    private func load(_ name: String) throws -> (fixture: JSONNode, kind: JSONNode, tokenizer: any Tokenizer) {
        let fixture = try tokenizerFixture("kinds.json")
        let kind = try fixture.required("kinds").required(name)
        let file = try kind.required("file").plain.text(.compact)
        return (fixture, kind, try withFolder(["tokenizer.json": file]) { try loadTokenizer(folder: $0) })
    }

    @Test("give the library's ids and texts", arguments: kinds)
    func texts(_ name: String) throws {
        let (fixture, kind, tokenizer) = try load(name)
        let (ids, decoded) = (try kind.array("ids"), try kind.array("decoded"))
        for (index, text) in try fixture.array("texts").enumerated() {
            let text = try text.asString()
            let found = tokenizer.encode(text)
            let expected = try Digest(ids[index])
            #expect(Digest(found) == expected, "\(text.debugDescription)")
            let expectedText = try decoded[index].asString()
            if expectedText.isEmpty { continue }
            let plain = tokenizer.decodedString(found, skippingSpecialTokens: true)
            #expect(fnv(plain.utf8) == expectedText, "\(text.debugDescription)")
        }
        #expect(tokenizer.prefixIDs.map(String.init).joined(separator: " ") == (try kind.string("front")))
        #expect(tokenizer.suffixIDs.map(String.init).joined(separator: " ") == (try kind.string("behind")))
    }

    @Test("decode a prompt and what goes on from it to both", arguments: ["llama3", "smollm2", "llama2", "mistral"])
    func continuation(_ name: String) throws {
        let tokenizer = try load(name).tokenizer
        for (prompt, completion) in [("Hello", " world"), ("Hello", "world"), (" a b", "日本 😀"), ("x ", "  y")] {
            let ids = tokenizer.encode(prompt) + tokenizer.encode(completion, isContinuation: true)
            #expect(tokenizer.decodedString(ids, skippingSpecialTokens: true) == prompt + completion)
            var stream = StreamingText()
            var text = ""
            for (index, id) in ids.enumerated() {
                text += stream.append(
                    tokenizer.decode([id], skippingSpecialTokens: true, isContinuation: index > 0))
            }
            #expect(text + stream.finish() == prompt + completion)
        }
    }
}
