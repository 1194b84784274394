import Batches
import FoundationEssentials
import JSONText
import Layers
import Models
import Tensors
import TestSupport
import Testing
import Training

/// A trained model with an untied head, beside what transformers computes from it.
@Suite("The model that sorts") struct NanoSortTests {
    private func cases() throws -> (base: BaseModel, rows: [JSONNode]) {
        let folder = fixture("gpt2-nano-sort").path()
        return (try BaseModel.quietly(folder), try JSONNode.load(path: folder + "/reference.json").array("cases"))
    }

    private func ids(_ row: JSONNode, _ key: String) throws -> [Int32] {
        try row.array(key).map { Int32(try $0.asInteger()) }
    }

    @Test("has the reference's last logits and mean loss") func logits() throws {
        let (base, rows) = try cases()
        #expect(rows.count == 2)
        for row in rows {
            let input = try ids(row, "input_ids")
            let expected = try row.array("last_logits").map { try $0.asNumber() }
            #expect(relativeDifference(Array(base.logits(input).suffix(3)), expected) <= 1e-5)
            var batch = TokenBatch(sequences: [Array(input.dropLast())])
            batch.labels = Array(input.dropFirst())
            let loss = base.model.loss(batch, scale: 1, .inference())
            let mean = loss.sum / Double(loss.count)
            #expect(abs(mean - (try row.number("mean_nll"))) <= 1e-5 * mean)
        }
    }

    @Test("sorts as the reference does") func greedy() throws {
        let (base, rows) = try cases()
        let generator = Generator(
            base, settings: GenerationSettings(maximumNewTokens: 5, sampling: nil))
        let found = try generator.generate(rows.map { try ids($0, "input_ids") }, firstIndex: 0)
        #expect(try found.map(\.tokens) == rows.map { try ids($0, "greedy_ids") })
    }
}
