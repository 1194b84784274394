import FoundationEssentials
import JSONText
import TestSupport
import Testing
import Tokenizers

@Suite("tokenizer.json")
struct TokenizerJSONTests {
    @Test(
        "gives the library's ids and texts for added tokens and every supported setting",
        arguments: ["plain", "added", "prefix", "whole", "split"])
    func variants(_ name: String) throws {
        let tokenizer = try loadTokenizer(folder: fixture("tokenizers/small/\(name)").path())
        let fixture = try tokenizerFixture("small/texts.json")
        let results = try fixture.required("results").required(name)
        let decoded = try results.array("decoded")
        for (index, text) in try fixture.array("texts").enumerated() {
            let text = try text.asString()
            let expected = try results.array("ids")[index].asString().split(separator: " ").map { Int32($0) }
            let ids = tokenizer.encode(text)
            #expect(ids == expected, "\(text.debugDescription)")
            let plain = fnv(tokenizer.decodedString(ids, skippingSpecialTokens: true).utf8)
            let expectedPlain = try decoded[index].asString()
            #expect(plain == expectedPlain, "\(text.debugDescription)")
        }
    }

    @Test("gives the library's ids for every code point beside a token that looks at its neighbours")
    func neighbours() throws {
        let tokenizer = try loadTokenizer(folder: fixture("tokenizers/small/added").path())
        let node = try tokenizerFixture("small/texts.json").required("code_points")
        let (actual, expected) = try digestsOfCodePoints(node, tokenizer) {
            "<pad>\($0)== ==\($0) x\($0)<both>\($0)x\n"
        }
        #expect(actual == expected)
    }

    @Test("lists its added tokens")
    func addedTokens() throws {
        let tokenizer = try loadTokenizer(folder: fixture("tokenizers/small/added").path())
        #expect(tokenizer.addedTokens.map(\.id) == Array(500...513))
        #expect(tokenizer.addedTokens.filter(\.isSpecial).map(\.content) == ["<|endoftext|>", "<pad>", "<both>"])
        #expect(tokenizer.vocabularySize == 514)
        #expect(tokenizer.endOfTextID == 500)
        #expect(tokenizer.id(of: "<left>") == 502)
    }

    /// A tokenizer.json with two tokens, in which `replacements` replace members.
    static func file(_ replacements: [String: String] = [:], model: [String: String] = [:]) -> String {
        var modelMembers = [
            "type": #""BPE""#, "vocab": #"{"a": 0, "b": 1, "ab": 2}"#, "merges": #"[["a", "b"]]"#,
        ]
        modelMembers.merge(model) { $1 }
        var members = [
            "normalizer": "null", "pre_tokenizer": #"{"type": "ByteLevel", "add_prefix_space": false}"#,
            "post_processor": "null", "decoder": #"{"type": "ByteLevel"}"#, "model": object(modelMembers),
        ]
        members.merge(replacements) { $1 }
        return object(members)
    }

    private static func object(_ members: [String: String]) -> String {
        let lines = members.sorted { $0.key < $1.key }.compactMap { $1.isEmpty ? nil : "\"\($0)\": \($1)" }
        return "{" + lines.joined(separator: ",\n") + "}"
    }

    @Test("loads where nothing is wrong")
    func small() throws {
        let ids = try withFolder(["tokenizer.json": Self.file()]) { try loadTokenizer(folder: $0).encode("abcab") }
        #expect(ids == [2, 2])
    }

    @Test(
        "that isn't supported is an error that says what isn't",
        arguments: [
            (
                file(model: ["type": #""WordPiece""#]),
                """
                3:9: error: model.type: the model "WordPiece" isn't supported: only BPE and Unigram are
                """
            ),
            (
                file(["normalizer": #"{"type": "NFKC"}"#]),
                """
                5:15: error: normalizer: the normalizer "NFKC" isn't supported
                """
            ),
            (
                file(["pre_tokenizer": #"{"type": "BertPreTokenizer"}"#]),
                """
                7:18: error: pre_tokenizer: the pre-tokenizer "BertPreTokenizer" isn't supported
                """
            ),
            (
                file(["decoder": #"{"type": "WordPiece"}"#]),
                #"1:13: error: decoder: the decoder "WordPiece" isn't supported"#
            ),
            (file(["decoder": ""]), " error: decoder: missing: it says how tokens become text again"),
            (
                file(model: ["dropout": "0.1"]),
                "2:22: error: model.dropout: dropout of merges isn't supported"
            ),
            (
                file(model: ["unk_token": #""a""#]),
                """
                4:14: error: model.unk_token: unk_token isn't supported where the vocabulary lacks some of the 256 \
                bytes of ByteLevel
                """
            ),
            (
                file(model: ["byte_fallback": "true", "continuing_subword_prefix": "\"##\""]),
                """
                3:30: error: model.continuing_subword_prefix: continuing_subword_prefix isn't supported
                FOLDER/tokenizer.json:2:28: error: model.byte_fallback: byte_fallback isn't supported where the \
                vocabulary lacks some of the 256 bytes of ByteLevel
                """
            ),
        ])
    func unsupported(_ text: String, _ message: String) throws {
        let error = try loadingError(["tokenizer.json": text])
        #expect(error == "FOLDER/tokenizer.json:" + message)
    }

    @Test(
        "whose content is wrong is an error that says where",
        arguments: [
            (
                file(model: ["merges": #"["a b c"]"#]),
                "2:22: error: a merge is two tokens with a space between them, got \"a b c\""
            ),
            (file(model: ["merges": #"[["a"]]"#]), "2:22: error: model.merges: a merge is two tokens, got 1"),
            (
                file(model: ["merges": #"[["b", "a"]]"#]),
                """
                2:22: error: the merge of 'b' and 'a' needs the token "ba", which the vocabulary lacks: the merges \
                belong to another vocabulary
                """
            ),
            (
                file(model: ["vocab": #"{"a": 0, "b": 0}"#]),
                "4:19: error: the id 0 of \"b\" is another token's too"
            ),
            (
                file(model: ["vocab": #"{"a": -1}"#]),
                "4:11: error: the id -1 of \"a\" is out of range: ids go from 0 to 1048574"
            ),
            (file(model: ["vocab": "{}"]), "4:10: error: the vocabulary is empty"),
            (
                file(["added_tokens": #"[{"id": 7, "content": "<x>"}]"#]),
                """
                1:19: error: added_tokens[0]: the added token "<x>" has the id 7, where it must be 3: added tokens keep the \
                vocabulary's id or follow it without a gap
                """
            ),
            (
                file(["added_tokens": #"[{"id": "7", "content": "<x>"}]"#]),
                #"1:26: error: added_tokens[0].id: expected an integer, got "7""#
            ),
            (
                file(["pre_tokenizer": #"{"add_prefix_space": false}"#]),
                "7:18: error: pre_tokenizer.type: missing"
            ),
            (
                file(model: ["byte_fallback": "1"]),
                "2:28: error: model.byte_fallback: expected true or false, got 1"
            ),
            (file(["model": ""]), " error: model: missing"),
            (
                file(["model": #"{"type": "BPE"}"#]),
                "2:1: error: model: expected a BPE with \"vocab\" and \"merges\""
            ),
        ])
    func wrong(_ text: String, _ message: String) throws {
        let error = try loadingError(["tokenizer.json": text])
        #expect(error == "FOLDER/tokenizer.json:" + message)
    }
}
