import Diagnostics
import FoundationEssentials
import JSONText
import TestSupport
import Testing
import Tokenizers

@Suite("A model of SentencePiece")
struct SentencePieceTests {
    static let names = ["llama", "merges", "unigram", "spaces", "characters"]

    private func model(_ name: String) throws -> (fixture: JSONNode, node: JSONNode, file: Data) {
        let fixture = try tokenizerFixture("sentencepiece.json")
        let node = try fixture.required("models").required(name)
        return (fixture, node, try #require(Data(base64Encoded: node.string("file"))))
    }

    private func load(_ name: String, _ files: [String: String] = [:], as file: String = "tokenizer.model") throws
        -> any Tokenizer
    {
        let data = try model(name).file
        return try withFolder(files) { folder in
            try data.write(to: URL(filePath: folder + "/" + file))
            return try loadTokenizer(folder: folder)
        }
    }

    private func compare(_ tokenizer: any Tokenizer, _ fixture: JSONNode, _ node: JSONNode) throws {
        let texts = try fixture.array("texts").map { try $0.asString() }
        let (ids, decoded) = (
            try node.string("ids").split(separator: " "), try node.string("decoded").split(separator: " ")
        )
        #expect(texts.count == ids.count && texts.count == decoded.count)
        for (index, text) in texts.enumerated() {
            let found = tokenizer.encode(text)
            #expect(Digest(found).hash.prefix(8) == ids[index], "\(text.debugDescription): \(found)")
            let bytes = tokenizer.decode(found, skippingSpecialTokens: true)
            #expect(fnv(bytes).prefix(8) == decoded[index], "\(text.debugDescription)")
            var stream = StreamedTokens(tokenizer, isContinuation: false)
            let streamed = found.map { stream.append($0) }.joined() + stream.finish()
            #expect(fnv(streamed.utf8).prefix(8) == decoded[index], "\(text.debugDescription)")
        }
    }

    @Test("gives the library's ids and texts", arguments: names)
    func texts(_ name: String) throws {
        let (fixture, node, _) = try model(name)
        try compare(load(name), fixture, node)
    }

    @Test("is a Unigram of the tokenizers library too, which may cut otherwise")
    func json() throws {
        let fixture = try tokenizerFixture("sentencepiece.json")
        let node = try fixture.required("json")
        let files = ["tokenizer.json": try node.required("file").plain.text(.compact)]
        let tokenizer = try withFolder(files) { try loadTokenizer(folder: $0) }
        try compare(tokenizer, fixture, node)
        #expect(tokenizer.prefixIDs.isEmpty && tokenizer.suffixIDs == [1])
    }

    @Test("puts in front or behind what it was trained with, or what tokenizer_config.json says")
    func ends() throws {
        let plain = try load("llama")
        #expect(plain.prefixIDs == [1] && plain.suffixIDs.isEmpty && plain.endOfTextID == 2)
        #expect(plain.addedTokens.isEmpty)
        let without = try load("llama", ["tokenizer_config.json": #"{"add_bos_token": false, "add_eos_token": true}"#])
        #expect(without.prefixIDs.isEmpty && without.suffixIDs == [2])
        let half = try load(
            "llama",
            [
                "tokenizer_config.json":
                    #"{"add_eos_token": false, "bos_token": "<s>", "eos_token": {"content": "▁the"}}"#
            ])
        #expect(half.prefixIDs == [1] && half.suffixIDs.isEmpty)
        #expect(half.endOfTextID == half.id(of: "▁the"))
        // What the settings name is found in texts.
        #expect(half.encode("a<s>b").contains(1) && !plain.encode("a<s>b").contains(1))
        let unigram = try load("unigram")
        #expect(unigram.prefixIDs.isEmpty && unigram.suffixIDs == [1] && unigram.endOfTextID == 1)
    }

    @Test("of T5 has tokens for what is left out, the first of which is the last")
    func sentinels() throws {
        let tokenizer = try load("unigram", as: "spiece.model")
        let count = Int32(tokenizer.vocabularySize - 100)
        #expect(tokenizer.id(of: "<extra_id_0>") == count + 99)
        #expect(tokenizer.encode("<extra_id_99>") == [count])
        let fewer = try load("unigram", ["tokenizer_config.json": #"{"extra_ids": 2}"#], as: "spiece.model")
        #expect(fewer.vocabularySize == Int(count) + 2)
    }

    @Test("gives what goes on from a text no space in front", arguments: ["llama", "spaces"])
    func continuation(_ name: String) throws {
        let tokenizer = try load(name)
        for (prompt, completion) in [("Hello", " the"), ("Hello", "the"), ("a  b ", "  c"), ("", "near")] {
            let ids = tokenizer.encode(prompt) + tokenizer.encode(completion, isContinuation: true)
            let isContinuation = prompt.isEmpty
            let bytes = tokenizer.decode(ids, skippingSpecialTokens: true, isContinuation: isContinuation)
            #expect(String(decoding: bytes, as: UTF8.self) == prompt + completion)
        }
        #expect(tokenizer.decodedString([0], skippingSpecialTokens: true) == " \u{2047} ")
        #expect(tokenizer.decodedString([0], skippingSpecialTokens: false) == "<unk>")
    }

    @Test("that is cut off or changed anywhere is an error or another model, never a crash", arguments: names)
    func broken(_ name: String) throws {
        let file = Array(try model(name).file)
        let texts = ["Hello  world é 日本", "a</s>\u{0}ﬁ①", "ABC e\u{301}\u{301}"]
        try withFolder([:]) { folder in
            func load(_ bytes: [UInt8]) throws -> Bool {
                try Data(bytes).write(to: URL(filePath: folder + "/tokenizer.model"))
                do {
                    let tokenizer = try loadTokenizer(folder: folder)
                    for text in texts {
                        let ids = tokenizer.encode(text) + tokenizer.encode(text, isContinuation: true)
                        _ = tokenizer.decode(ids, skippingSpecialTokens: true)
                    }
                    return true
                } catch is Problem {
                    return false
                }
            }
            var state: UInt64 = 7
            func random(_ limit: Int) -> Int {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Int(state >> 33) % limit
            }
            var loaded = 0
            for round in 0..<75 {
                var bytes = file
                if round % 3 == 0 {
                    bytes.removeLast(1 + random(bytes.count - 1))
                } else {
                    for _ in 0...random(3) { bytes[random(bytes.count)] = UInt8(random(256)) }
                }
                if round % 3 == 2 { bytes.remove(at: random(bytes.count)) }
                if try load(bytes) { loaded += 1 }
            }
            // Both happen.
            #expect(loaded > 0 && loaded < 75)
        }
    }

    @Test(
        "with what can't be used is an error that names it",
        arguments: [
            ([], "it holds no pieces: it isn't a model of SentencePiece"),
            (
                Array("IQ== 0\nIg== 1\n".utf8),
                "it is a file of tiktoken, which isn't supported: the model's tokenizer.json is"
            ),
            ([0x0A, 0x05, 0x0A], "byte 0: a field is longer than what is left of the file or message"),
            ([0x0A, 0x03, 0x0A, 0x01, 0x61], "no piece stands for what is unknown"),
            ([0x0A, 0x80], "byte 1: a number is cut off"),
            ([0x0B], "byte 0: no field of a message begins here"),
            ([0x0A, 0x03, 0x0A, 0x01, 0xFF], "byte 2: expected a text in UTF-8 in field 1"),
            (
                [0x0A, 0x05, 0x0A, 0x01, 0x61, 0x18, 0x02, 0x0A, 0x05, 0x0A, 0x01, 0x62, 0x18, 0x02],
                "the pieces 0 and 1 both stand for what is unknown"
            ),
            (
                [0x0A, 0x05, 0x0A, 0x01, 0x61, 0x18, 0x02, 0x12, 0x03, 0xC0, 0x01, 0x01],
                "spaces behind words (treat_whitespace_as_suffix) aren't supported"
            ),
            (
                [0x0A, 0x05, 0x0A, 0x01, 0x61, 0x18, 0x02, 0x12, 0x02, 0x18, 0x03],
                "a model of whole words isn't supported: only BPE, Unigram and characters are"
            ),
            (
                [0x0A, 0x05, 0x0A, 0x01, 0x61, 0x18, 0x02, 0x1A, 0x04, 0x12, 0x02, 0x61, 0x62],
                "byte 9: the map of characters (precompiled_charsmap) is broken: it is too short"
            ),
            (
                [0x0A, 0x05, 0x0A, 0x01, 0x61, 0x18, 0x02, 0x2A, 0x03, 0x12, 0x01, 0x61],
                "changes to what is decoded (denormalizer_spec) aren't supported"
            ),
        ] as [([UInt8], String)])
    func unsupported(_ bytes: [UInt8], _ message: String) throws {
        let error = try withFolder([:]) { folder in
            try Data(bytes).write(to: URL(filePath: folder + "/tokenizer.model"))
            let problem = #expect(throws: Problem.self) { try loadTokenizer(folder: folder) }
            return problem?.description.replacing(folder, with: "FOLDER").replacing("FOLDER/FOLDER", with: "FOLDER")
        }
        #expect(error?.replacing("//", with: "/") == "FOLDER/tokenizer.model: error: " + message)
    }

    @Test("of a class with ids of its own is an error")
    func otherClass() throws {
        let data = try model("unigram").file
        try withFolder(["tokenizer_config.json": #"{"tokenizer_class": "XLMRobertaTokenizer"}"#]) { folder in
            try data.write(to: URL(filePath: folder + "/tokenizer.model"))
            let problem = #expect(throws: Problem.self) { try loadTokenizer(folder: folder) }
            let expected =
                "\"XLMRobertaTokenizer\" isn't supported without tokenizer.json: its ids may be others than those in "
                + "tokenizer.model"
            #expect(problem?.message == expected)
        }
    }
}
