import Diagnostics
import TestSupport
import Testing
import Tokenizers

@Suite("A tokenizer's folder")
struct TokenizerFolderTests {
    private static let vocabulary = #"{"a": 0, "b": 1, "\u0120": 2, "ab": 3, "the": 4, "<|endoftext|>": 5}"#
    private static let merges = "#version: 0.2\na b\r\n\n"

    private func load(_ files: [String: String]) throws -> any Tokenizer {
        var files = files
        files["vocab.json"] = Self.vocabulary
        files["merges.txt"] = Self.merges
        return try withFolder(files) { try loadTokenizer(folder: $0) }
    }

    @Test("may hold vocab.json and merges.txt alone")
    func originalFiles() throws {
        let tokenizer = try load([:])
        #expect(tokenizer.encode("ab a<|endoftext|>b") == [3, 2, 0, 5, 1])
        #expect(tokenizer.endOfTextID == 5)
        #expect(tokenizer.vocabularySize == 6)
        #expect(tokenizer.decode([3, 5, 2, 1], skippingSpecialTokens: true) == Array("ab b".utf8))
    }

    @Test(
        "names the end of text in tokenizer_config.json or special_tokens_map.json, as a string or an object",
        arguments: [
            (["tokenizer_config.json": #"{"eos_token": "the"}"#], 4),
            (["tokenizer_config.json": #"{"eos_token": {"content": "the", "__type": "AddedToken"}}"#], 4),
            (["special_tokens_map.json": #"{"eos_token": {"content": "the"}}"#], 4),
            (["tokenizer_config.json": #"{"eos_token": null}"#], nil),
            (["tokenizer_config.json": #"{"eos_token": "<x>"}"#], 6),
            (
                ["tokenizer_config.json": #"{"eos_token": "a"}"#, "special_tokens_map.json": #"{"eos_token": "the"}"#],
                4
            ),
            (
                [
                    "tokenizer_config.json": #"{"eos_token": "a", "added_tokens_decoder": {}}"#,
                    "special_tokens_map.json": #"{"eos_token": "the"}"#,
                ], 0
            ),
            (["tokenizer_config.json": #"{"eos_token": "<x>"}"#, "added_tokens.json": #"{"<x>": 6}"#], 6),
        ] as [([String: String], Int32?)])
    func endOfText(_ files: [String: String], _ id: Int32?) throws {
        #expect(try load(files).endOfTextID == id)
    }

    @Test("may name several tokens that end a text, the first of which is put behind one")
    func severalEnds() throws {
        let tokenizer = try load([
            "tokenizer_config.json": #"{"eos_token": ["the", {"content": "<x>", "__type": "AddedToken"}]}"#
        ])
        #expect(tokenizer.endOfTextIDs == [4, 6] && tokenizer.endOfTextID == 4)
        let end = EndOfText(tokenizer, others: [9])
        #expect(end.stops == [4, 6, 9] && end.appended == 4)
    }

    @Test("may add tokens and a prefix space, as transformers applies them")
    func settings() throws {
        let added = try load(["added_tokens.json": #"{"<y>": 7, "<x>": 6}"#])
        #expect(added.encode("a<y><x>") == [0, 7, 6])
        #expect(added.decode([0, 7], skippingSpecialTokens: true) == Array("a<y>".utf8))
        let listed = try load([
            "tokenizer_config.json":
                #"{"added_tokens_decoder": {"6": {"content": "<x>", "lstrip": true, "special": true}}}"#
        ])
        #expect(listed.encode("a <x>") == [0, 6])
        #expect(listed.decode([0, 6], skippingSpecialTokens: true) == Array("a".utf8))
        let prefixed = try load([
            "tokenizer_config.json": #"{"add_prefix_space": true, "tokenizer_class": "GPT2Tokenizer"}"#
        ])
        #expect(prefixed.encode("a") == [2, 0])
    }

    @Test("that holds no tokenizer is a missing input")
    func missing() throws {
        let message =
            "FOLDER: error: no tokenizer in this folder: looked for tokenizer.json, or vocab.json and merges.txt, "
            + "or tokenizer.model, or spiece.model"
        #expect(try loadingError([:]) == message)
        #expect(try loadingError(["vocab.json": "{}"]) == message + " (only vocab.json is there)")
        let problem = try withFolder([:]) { folder in
            #expect(throws: Problem.self) { try loadTokenizer(folder: folder) }
        }
        #expect(problem?.exitStatus == .missingInput)
        let absent = #expect(throws: Problem.self) { try loadTokenizer(folder: "no/such") }
        #expect(absent == Problem("no such folder", file: "no/such", exitStatus: .missingInput))
    }

    @Test(
        "with wrong files is an error that says where",
        arguments: [
            (
                ["tokenizer_config.json": #"{"tokenizer_class": "Qwen2Tokenizer"}"#],
                """
                tokenizer_config.json:1:21: error: tokenizer_class: "Qwen2Tokenizer" isn't supported without \
                tokenizer.json: only GPT2Tokenizer is
                """
            ),
            (
                ["tokenizer_config.json": #"{"add_bos_token": true}"#],
                """
                tokenizer_config.json:1:19: error: add_bos_token: a token in front of every text isn't supported: \
                only false is
                """
            ),
            (
                ["merges.txt": "a b\nab\n"],
                #"merges.txt:2:1: error: a merge is two tokens with a space between them, got "ab""#
            ),
            (["vocab.json": "[]"], "vocab.json:1:1: error: expected an object, got an array"),
        ])
    func wrong(_ files: [String: String], _ message: String) throws {
        let complete = ["vocab.json": Self.vocabulary, "merges.txt": Self.merges].merging(files) { $1 }
        #expect(try loadingError(complete) == "FOLDER/" + message)
    }
}
