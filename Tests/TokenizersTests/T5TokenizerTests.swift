import FoundationEssentials
import JSONText
import TestSupport
import Testing
import Tokenizers

/// spiece.model alone in a folder, as transformers' T5Tokenizer reads it.
@Suite("T5's tokenizer") struct T5TokenizerTests {
    private func load(_ file: Data, _ files: [String: String] = [:]) throws -> any Tokenizer {
        try withFolder(files) { folder in
            try file.write(to: URL(filePath: folder + "/spiece.model"))
            return try loadTokenizer(folder: folder)
        }
    }

    private func small() throws -> (node: JSONNode, file: Data) {
        let node = try tokenizerFixture("sentencepiece.json").required("t5")
        return (node, try #require(Data(base64Encoded: node.string("file"))))
    }

    @Test(
        "gives transformers' ids and texts, whether or not files name its special tokens",
        arguments: [
            [:], ["tokenizer_config.json": #"{"tokenizer_class": "T5Tokenizer", "extra_ids": 100}"#],
            [
                "special_tokens_map.json":
                    ##"{"eos_token": "</s>", "pad_token": {"content": "<pad>"}, "unk_token": "<unk>"}"##,
                "tokenizer_config.json": "{}",
            ],
        ])
    func texts(_ files: [String: String]) throws {
        let (node, file) = try small()
        let tokenizer = try load(file, files)
        #expect(tokenizer.prefixIDs.isEmpty && tokenizer.suffixIDs == [1] && tokenizer.endOfTextIDs == [1])
        let (ids, decoded) = (
            try node.string("ids").split(separator: " "), try node.string("decoded").split(separator: " ")
        )
        let texts = try node.array("texts").map { try $0.asString() }
        try #require(texts.count > 50 && ids.count == texts.count && decoded.count == texts.count)
        for (index, text) in texts.enumerated() {
            let found = tokenizer.encode(text)
            #expect(Digest(found).hash.prefix(8) == ids[index], "\(text.debugDescription): \(found)")
            let bytes = tokenizer.decode(found + [1], skippingSpecialTokens: true)
            #expect(fnv(bytes).prefix(8) == decoded[index], "\(text.debugDescription)")
        }
    }

    @Test("makes of what a model writes what transformers makes of it, at once and token by token")
    func sequences() throws {
        let (node, file) = try small()
        let tokenizer = try load(file)
        for row in try node.array("sequences") {
            let ids = try row.array("ids").map { Int32(try $0.asInteger()) }
            let (decoded, whole) = (try row.string("decoded"), try row.string("whole"))
            #expect(tokenizer.decodedString(ids, skippingSpecialTokens: true) == decoded, "\(ids)")
            #expect(tokenizer.decodedString(ids, skippingSpecialTokens: false) == whole, "\(ids)")
            var stream = StreamedTokens(tokenizer, isContinuation: false)
            #expect(ids.map { stream.append($0) }.joined() + stream.finish() == decoded, "\(ids)")
        }
    }

    @Test(
        "gives real texts the ids of both libraries",
        .enabled(if: sharedData("tokenizers/sentencepiece/t5-spiece.model") != nil))
    func files() throws {
        let model = try #require(sharedData("tokenizers/sentencepiece/t5-spiece.model"))
        let tokenizer = try load(Data(contentsOf: model))
        #expect(tokenizer.vocabularySize == 32100)
        #expect(tokenizer.id(of: "<extra_id_0>") == 32099 && tokenizer.id(of: "<extra_id_99>") == 32000)
        for row in try tokenizerFixture("t5-files.json").asArray() {
            guard let file = try sharedData(row.string("path")) else { continue }
            // Bytes, because a carriage return before a line break is a character of its own here.
            let lines = try Data(contentsOf: file).split(separator: 0x0A, omittingEmptySubsequences: false).prefix(400)
            let ids = lines.flatMap { line in
                let scalars = String(decoding: line, as: UTF8.self).unicodeScalars.prefix(1000)
                return tokenizer.encode(String(scalars)) + tokenizer.suffixIDs
            }
            let (name, expected) = (try row.string("path"), try Digest(row))
            #expect(Digest(ids) == expected, "\(name)")
        }
    }
}
