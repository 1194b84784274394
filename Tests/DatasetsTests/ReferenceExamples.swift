import Batches
import Datasets
import FoundationEssentials
import JSONText
import TestSupport
import Tokenizers

/// The fixtures of `scripts/fixtures/dataset_examples.py`.
struct ReferenceExamples {
    let expected: JSONNode
    let tokenizer: any Tokenizer
    let end: Int32
    let completion: ExampleTemplates
    let text: ExampleTemplates

    init() throws {
        expected = try JSONNode.load(path: fixture("datasets/expected.json").path())
        tokenizer = try loadTokenizer(folder: fixture("datasets/tokenizer").path())
        end = Int32(try expected.integer("end"))
        completion = .completion(prompt: try Template("{mr}\n"), completion: try Template("{ref}"))
        text = .text(try Template("{mr}: {ref}"))
    }

    var codec: TextCodec { TextCodec(tokenizer, end: EndOfText(stops: [end], appended: end)) }

    func path(_ name: String) -> String { fixture("datasets/\(name)").path() }

    func encoder(
        _ templates: ExampleTemplates, limit: Int? = nil, policy: LengthPolicy = .error, beginning: Int32? = nil
    ) -> ExampleEncoder {
        var codec = codec
        codec.prefix = beginning.map { [$0] } ?? []
        return ExampleEncoder(templates: templates, codec: codec, maximumLength: limit, policy: policy)
    }

    /// The examples of case `key`: tokens, and the first index that the reference labels, at least 1.
    func examples(_ key: String) throws -> [Example] {
        try expected.array(key).map { node in
            let labels = try node.array("labels").map { try $0.asInteger() }
            let first = labels.firstIndex { $0 >= 0 } ?? labels.count
            return Example(
                tokens: try node.array("tokens").map { Int32(try $0.asInteger()) }, firstTarget: max(1, first))
        }
    }
}

extension Dataset {
    func allExamples() throws -> [Example] { try (0..<count).map { try example($0) } }
}
