import Batches
import Datasets
import FoundationEssentials
import TestSupport
import Testing
import Tokenizers

/// With the tokenizer of the small T5, whose texts end in `</s>` (1).
@Suite("An example for an encoder and a decoder") struct SourceExampleTests {
    private let folder: TemporaryFolder
    private let codec: TextCodec

    init() throws {
        folder = try TemporaryFolder()
        let tokenizer = try loadTokenizer(
            folder: repositoryRoot.appending(path: "embedded/t5").path(percentEncoded: false))
        var codec = TextCodec(tokenizer, end: EndOfText(tokenizer, others: []))
        codec.answerOpening = [0]
        self.codec = codec
    }

    private func example(
        _ given: String, _ wanted: String, policy: LengthPolicy = .error, source: Int? = nil, target: Int? = nil
    ) throws -> (example: Example, dataset: Dataset) {
        let path = try folder.write("data.jsonl", #"{"a": "\#(given)", "b": "\#(wanted)"}"# + "\n")
        var encoder = ExampleEncoder(
            templates: .completion(prompt: try Template("{a}"), completion: try Template("{b}")), codec: codec,
            maximumLength: source, policy: policy)
        encoder.maximumTargetLength = target
        let dataset = try Dataset(paths: [path], encoder: encoder)
        return (try dataset.example(0), dataset)
    }

    private func ids(_ text: String) -> [Int32] { codec.ids(of: text, isContinuation: false) }

    @Test("has two texts of their own, both with their end, and learns all of the second") func whole() throws {
        let (example, dataset) = try example("name[The Mill]", "The Mill is a pub.")
        #expect(example.source == ids("name[The Mill]") + [1])
        #expect(example.tokens == [0] + ids("The Mill is a pub.") + [1])
        #expect(example.targets == [1..<example.tokens.count])
        // The token that the decoder begins with is nobody's.
        #expect(dataset.counts.tokens == example.tokenCount - 1)
        #expect(dataset.counts.targetTokens == example.tokens.count - 1)
    }

    @Test("keeps both ends where it is cut, and loses the prompt's beginning or its end as it is told")
    func cut() throws {
        let (given, wanted) = (ids("name[The Mill], food[French]"), ids("The Mill is a French pub."))
        for (policy, part) in [
            (LengthPolicy.keepPromptStart, given.prefix(4)), (.keepPromptEnd, given.suffix(4)),
        ] {
            let (example, dataset) = try example(
                "name[The Mill], food[French]", "The Mill is a French pub.", policy: policy, source: 5, target: 4)
            #expect(example.source == part + [1])
            #expect(example.tokens == [0] + wanted.prefix(3) + [1])
            #expect(dataset.counts.truncated == 1)
        }
    }

    @Test("may have an empty prompt, which is its end alone, and an empty completion") func empty() throws {
        #expect(try example("", "x").example.source == [1])
        #expect(try example("x", "").example.tokens == [0, 1])
    }

    @Test("comes back as it was from the memory of a data set, beside others") func cache() {
        var cache = ExampleCache(count: 2, capacity: 100)
        let examples = [
            Example(source: [5, 6, 1], tokens: [0, 7, 1], targets: [1..<3]), Example(tokens: [3, 4], firstTarget: 1),
        ]
        for (index, example) in examples.enumerated() { cache.insert(example, at: index) }
        #expect(examples.indices.map { cache[$0] } == examples)
    }
}
