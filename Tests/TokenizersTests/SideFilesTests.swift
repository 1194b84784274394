import Diagnostics
import JSONText
import TestSupport
import Testing
import Tokenizers

/// What transformers makes of the same files, from `scripts/fixtures/tokenizer_files.py`.
@Suite("The files beside a tokenizer.json") struct SideFilesTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let files: [String: String]
        let ids: [Int32]
        let decoded: String
        let count: Int
        let end: Int32?
        var testDescription: String { files.filter { $0.key != "tokenizer.json" }.description }
    }

    private static let file = Result { try tokenizerFixture("side-files.json") }

    static let cases: [Case] = (try? load()) ?? []

    private static func load() throws -> [Case] {
        let whole = try file.get().required("tokenizer")
        return try file.get().array("cases").map { node in
            var files = try Dictionary(
                uniqueKeysWithValues: node.object("files").map { ($0.key, $0.value.plain.text(.compact)) })
            let tokens = try whole.array("added_tokens") + node.array("added_tokens")
            let members = try whole.asObject().map {
                JSONValue.Member($0.key, $0.key == "added_tokens" ? .array(tokens.map(\.plain)) : $0.value.plain)
            }
            files["tokenizer.json"] = JSONValue.object(members).text(.compact)
            return Case(
                files: files, ids: try node.array("ids").map { Int32(try $0.asInteger()) },
                decoded: try node.string("decoded"), count: try node.integer("count"),
                end: try node.optionalInteger("eos").map { Int32($0) })
        }
    }

    @Test("are all read, as transformers reads them", arguments: cases) func reference(_ expected: Case) throws {
        let tokenizer = try withFolder(expected.files) { try loadTokenizer(folder: $0) }
        let text = try Self.file.get().string("text")
        let ids = tokenizer.encode(text)
        #expect(ids == expected.ids)
        #expect(tokenizer.decodedString(ids, skippingSpecialTokens: true) == expected.decoded)
        #expect(tokenizer.vocabularySize == expected.count)
        // A token of that name is taken as the end where no file names one.
        #expect(tokenizer.endOfTextID == expected.end ?? 257)
    }

    @Test("are 54 cases") func count() { #expect(Self.cases.count == 54) }

    @Test("may list further special tokens with their properties, as older releases wrote them") func listed() throws {
        let cases = [
            ("special_tokens_map.json", #"{"additional_special_tokens": [{"content": "<s1>", "lstrip": true}]}"#),
            ("tokenizer_config.json", #"{"extra_special_tokens": [{"content": "<s1>", "lstrip": true}]}"#),
        ]
        for (name, content) in cases {
            var files = try #require(Self.cases.last).files
            files[name] = content
            let tokenizer = try withFolder(files) { try loadTokenizer(folder: $0) }
            #expect(tokenizer.encode("the <s1>") == [256, 259])
            #expect(tokenizer.decodedString([256, 259], skippingSpecialTokens: true) == "the")
        }
    }

    @Test(
        "that are wrong are an error that says where",
        arguments: [
            (
                ["tokenizer_config.json": #"{"additional_special_tokens": "<s1>"}"#],
                "tokenizer_config.json:1:31: error: additional_special_tokens: expected an array, got \"<s1>\""
            ),
            (
                ["special_tokens_map.json": #"{"additional_special_tokens": [{}]}"#],
                "special_tokens_map.json:1:32: error: additional_special_tokens[0].content: missing"
            ),
            (
                ["added_tokens.json": #"{"<x>": -1}"#],
                "added_tokens.json:1:9: error: <x>: the id -1 is out of range"
            ),
            (
                ["added_tokens.json": #"{"<x>": 99999999999999999999}"#],
                "added_tokens.json:1:9: error: <x>: expected an integer, got 1e+20"
            ),
            (
                ["tokenizer_config.json": #"{"added_tokens_decoder": {"4294967295": {"content": "<x>"}}}"#],
                "tokenizer_config.json:1:41: error: added_tokens_decoder.4294967295: the id 4294967295 is out of range: ids go "
                    + "from 0 to 1048574"
            ),
        ])
    func wrong(_ files: [String: String], _ message: String) throws {
        let whole = try #require(Self.cases.last).files
        #expect(try loadingError(whole.merging(files) { $1 }) == "FOLDER/" + message)
    }
}
