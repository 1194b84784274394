import JSONText
import TestSupport
import Testing
import Tokenizers

@Suite("Kinds of tokenizers")
struct TokenizerKindsTests {
    static let kinds = [
        "llama3", "qwen2", "o200k", "gpt_neox", "smollm2", "llama2", "mistral", "metaspace", "unknown", "whitespace",
    ]

    /// The file of a kind, which names its vocabulary and merges.
    private func file(_ fixture: JSONNode, _ kind: JSONNode) throws -> JSONValue {
        let vocabulary = try fixture.required("vocabularies").required(kind.string("vocabulary")).asObject()
        let members = try kind.required("file").asObject().map { member in
            guard member.key == "model" else { return JSONValue.Member(member.key, member.value.plain) }
            let parts = try member.value.asObject() + vocabulary
            return JSONValue.Member("model", .object(parts.map { JSONValue.Member($0.key, $0.value.plain) }))
        }
        return .object(members)
    }

    private func load(_ name: String) throws -> (fixture: JSONNode, kind: JSONNode, tokenizer: any Tokenizer) {
        let fixture = try tokenizerFixture("kinds.json")
        let kind = try fixture.required("kinds").required(name)
        let files = ["tokenizer.json": try file(fixture, kind).text(.compact)]
        return (fixture, kind, try withFolder(files) { try loadTokenizer(folder: $0) })
    }

    @Test("give the library's ids and texts", arguments: kinds)
    func texts(_ name: String) throws {
        let (fixture, kind, tokenizer) = try load(name)
        let (ids, decoded) = (
            try kind.string("ids").split(separator: " "), try kind.string("decoded").split(separator: " ")
        )
        let texts = try fixture.array("texts").map { try $0.asString() }
        #expect(texts.count == ids.count && texts.count == decoded.count)
        for (index, text) in texts.enumerated() {
            let found = tokenizer.encode(text)
            #expect(shortDigest(found) == ids[index], "\(text.debugDescription)")
            if decoded[index] == "-" { continue }
            let plain = tokenizer.decode(found, skippingSpecialTokens: true)
            #expect(fnv(plain).prefix(8) == decoded[index], "\(text.debugDescription)")
        }
        #expect(tokenizer.prefixIDs.map(String.init).joined(separator: " ") == (try kind.string("front")))
        #expect(tokenizer.suffixIDs.map(String.init).joined(separator: " ") == (try kind.string("behind")))
    }

    @Test(
        "know every code point as the library does",
        arguments: ["qwen2", "o200k", "smollm2", "mistral", "unknown", "whitespace"])
    func codePoints(_ name: String) throws {
        let (_, kind, tokenizer) = try load(name)
        let starts = Array(stride(from: UInt32(0), to: 0x30000, by: 0x1000)) + [0xE0000]
        let actual = starts.map { start in
            let scalars = (start..<start + 0x1000).compactMap { UnicodeScalar($0) }
            return shortDigest(tokenizer.encode(scalars.map { "a\($0)A1\($0)!\($0) \($0)\n" }.joined()))
        }
        let expected = try kind.string("code_points").split(separator: " ").map(String.init)
        #expect(actual == expected)
    }

    @Test("decode a prompt and what goes on from it to both", arguments: ["llama3", "smollm2", "llama2", "mistral"])
    func continuation(_ name: String) throws {
        let tokenizer = try load(name).tokenizer
        for (prompt, completion) in [
            ("Hello", " world"), ("Hello", "world"), ("a b", "日本 😀"), ("x ", "  y"), ("", "é"),
        ] {
            let ids = tokenizer.encode(prompt) + tokenizer.encode(completion, isContinuation: true)
            let isContinuation = prompt.isEmpty
            let bytes = tokenizer.decode(ids, skippingSpecialTokens: true, isContinuation: isContinuation)
            #expect(sameBytes(String(decoding: bytes, as: UTF8.self), prompt + completion))
            var stream = StreamedTokens(tokenizer, isContinuation: isContinuation)
            let text = ids.map { stream.append($0) }.joined() + stream.finish()
            #expect(sameBytes(text, prompt + completion))
        }
    }
}

/// The first half of the hash of ids, as scripts/fixtures/tokenizer_kinds.py writes it.
private func shortDigest(_ ids: [Int32]) -> String { String(Digest(ids).hash.prefix(8)) }
