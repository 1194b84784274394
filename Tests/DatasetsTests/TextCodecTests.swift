import Batches
import Datasets
import FoundationEssentials
import TestSupport
import Testing
import Tokenizers

@Suite("Ids of texts and texts of ids") struct TextCodecTests {
    /// Characters as ids, a space in front of every text as the tokenizers of Llama put it there, and a beginning.
    private struct Spaced: Tokenizer {
        let vocabularySize = 0x3002
        let endOfTextID: Int32? = 2
        let prefixIDs: [Int32] = [1]
        let addedTokens: [AddedToken] = []
        let contentHashes: (vocabulary: UInt64, addedTokens: UInt64) = (0, 0)

        func encode(_ text: String) -> [Int32] { text.isEmpty ? [] : encode(" " + text, isContinuation: true) }
        func encode(_ text: String, isContinuation: Bool) -> [Int32] {
            isContinuation ? text.utf8.map { Int32($0) + 3 } : encode(text)
        }

        func decode(_ ids: some Sequence<Int32>, skippingSpecialTokens: Bool) -> [UInt8] {
            decode(ids, skippingSpecialTokens: skippingSpecialTokens, isContinuation: false)
        }
        func decode(_ ids: some Sequence<Int32>, skippingSpecialTokens: Bool, isContinuation: Bool) -> [UInt8] {
            let bytes = ids.filter { $0 >= 3 }.map { UInt8($0 - 3) }
            return !isContinuation && bytes.first == UInt8(ascii: " ") ? Array(bytes.dropFirst()) : bytes
        }
        func id(of content: String) -> Int32? { nil }
    }

    /// A tokenizer of every kind.
    enum Kind: CaseIterable {
        case byteLevel, spaceInFront

        var tokenizer: any Tokenizer {
            get throws {
                switch self {
                case .byteLevel: try loadTokenizer(folder: fixture("datasets/tokenizer").path())
                case .spaceInFront: Spaced()
                }
            }
        }
    }

    private func codec(_ kind: Kind) throws -> TextCodec {
        let tokenizer = try kind.tokenizer
        return TextCodec(tokenizer, end: EndOfText(tokenizer, others: []))
    }

    private static let texts = [
        ("The soup is", " good."), ("name[The Eagle]\n", "The Eagle"), ("a ", " b "), ("", "one"), ("", " one"),
        ("日", "本 😀"), ("x", ""), ("two\n\n", "\n"),
    ]

    @Test("decode to a prompt and the completion that goes on from it", arguments: Kind.allCases)
    func joined(kind: Kind) throws {
        let codec = try codec(kind)
        let folder = try TemporaryFolder()
        let templates = ExampleTemplates.completion(prompt: try Template("{p}"), completion: try Template("{c}"))
        let encoder = ExampleEncoder(templates: templates, codec: codec, maximumLength: nil, policy: .error)
        for (prompt, completion) in Self.texts {
            let ids = codec.opening(prompt)
            let path = try folder.write("a.csv", "p,c\n\"\(prompt)\",\"\(completion)\"\n")
            let example = try Dataset(paths: [path], encoder: encoder).example(0)
            #expect(codec.text(of: example.tokens, after: []) == prompt + completion)
            // What is learned is what generation gives behind the same ids.
            #expect(example.tokens.starts(with: ids))
            let learned = Array(example.tokens.dropFirst(ids.count))
            #expect(learned.last == codec.end.appended)
            #expect(codec.text(of: learned, after: ids) == completion)
        }
    }

    @Test("come one by one to the same text", arguments: Kind.allCases)
    func streamed(kind: Kind) throws {
        let codec = try codec(kind)
        for (prompt, completion) in Self.texts {
            let ids = codec.opening(prompt)
            for tokens in [codec.ids(of: completion, isContinuation: true), codec.opening(completion)] {
                var stream = codec.stream(after: ids)
                let text = tokens.map { stream.append($0) }.joined() + stream.finish()
                #expect(text == codec.text(of: tokens, after: ids))
            }
        }
    }

    @Test("begin with what the tokenizer puts in front of a text, once") func beginning() throws {
        var codec = try codec(.spaceInFront)
        #expect(codec.opening("a") == [1, 35, 100])
        #expect(codec.ids(of: "a", isContinuation: true) == [100])
        codec.virtualTokens = .filled(1)
        #expect(codec.opening(PlacedText("[P1]a[P1]b")) == [1, -1, 35, 100, -2, 101])
        codec.suffix = [2]
        #expect(codec.whole("a") == [1, 35, 100, 2])
    }

    @Test("keep what stands in front of a text that is cut, and behind one that has a label") func cut() throws {
        var codec = try codec(.spaceInFront)
        codec.suffix = [2]
        let folder = try TemporaryFolder()
        let path = try folder.write("a.jsonl", #"{"t": "abcdef", "l": "x"}"#)
        func tokens(_ templates: ExampleTemplates, _ policy: LengthPolicy) throws -> [Int32] {
            var encoder = ExampleEncoder(templates: templates, codec: codec, maximumLength: 5, policy: policy)
            encoder.labels = LabelSet(names: ["x", "y"])
            return try Dataset(paths: [path], encoder: encoder).example(0).tokens
        }
        let text = try Template("{t}")
        let labelled = ExampleTemplates.labelled(text: text, label: try LabelTemplate(Template("{l}"), pattern: nil))
        #expect(try tokens(labelled, .keepPromptStart) == [1, 35, 100, 101, 2])
        #expect(try tokens(labelled, .keepPromptEnd) == [1, 103, 104, 105, 2])
        #expect(try tokens(.text(text), .keepPromptStart) == [1, 35, 100, 101, 102])
    }
}
