import Batches
import Datasets
import FoundationEssentials
import JSONText
import Layers
import Models
import Tensors
import TestSupport
import Testing
import Tokenizers
import Training

/// Small trained models of Llama's family with a tokenizer.model alone, beside what transformers computes from them.
@Suite("The models that tell stories") struct StoriesTests {
    /// Of grouped heads and a tied head with byte fallback, and of characters without.
    static let models = ["models/llama-stories260K", "models/llama-tok105"].filter { sharedData($0) != nil }

    private func cases(_ model: String) throws -> (base: BaseModel, rows: [JSONNode]) {
        let folder = try #require(sharedData(model)).path()
        let rows = try JSONNode.load(path: folder + "/reference.json").array("cases")
        try #require(rows.count == 3)
        return (try BaseModel.load(folder, randomSeed: nil, warn: { _ in }), rows)
    }

    private func ids(_ row: JSONNode, _ key: String) throws -> [Int32] {
        try row.array(key).map { Int32(try $0.asInteger()) }
    }

    @Test("have the reference's ids, last logits and mean loss", .enabled(if: !models.isEmpty), arguments: models)
    func logits(_ model: String) throws {
        let (base, rows) = try cases(model)
        let codec = try base.codec()
        for row in rows {
            let input = try ids(row, "input_ids")
            #expect(try codec.opening(row.string("prompt")) == input)
            let expected = try row.array("last_logits").map { try $0.asNumber() }
            #expect(relativeDifference(Array(base.logits(input).suffix(expected.count)), expected) <= 1e-5)
            var batch = TokenBatch(sequences: [Array(input.dropLast())])
            batch.labels = Array(input.dropFirst())
            let loss = base.model.loss(batch, scale: 1, .inference())
            let mean = loss.sum / Double(loss.count)
            #expect(abs(mean - (try row.number("mean_nll"))) <= 1e-5 * mean)
        }
    }

    @Test("tell what the reference tells", .enabled(if: !models.isEmpty), arguments: models)
    func greedy(_ model: String) throws {
        let (base, rows) = try cases(model)
        let codec = try base.codec()
        let generator = Generator(base, settings: GenerationSettings(maximumNewTokens: 48, sampling: nil))
        let prompts = try rows.map { try ids($0, "input_ids") }
        let found = try generator.generate(prompts, firstIndex: 0)
        for (row, (prompt, generation)) in zip(rows, zip(prompts, found)) {
            #expect(try generation.tokens == ids(row, "greedy_ids"))
            let text = try row.string("prompt") + codec.text(of: generation.tokens, after: prompt)
            #expect(try text == row.string("greedy_text"))
        }
    }
}
