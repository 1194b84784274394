import Diagnostics
import FoundationEssentials
import JSONText
import TestSupport
import Testing
import Tokenizers
import Training

private let greedy = fixture("generate/greedy.json").path(percentEncoded: false)
private let model = repositoryRoot.appending(path: "embedded/base").path(percentEncoded: false)

@Suite("The embedded model") struct EmbeddedModelTests {
    @Test(
        "continues 50 prompts as transformers does, but for near ties",
        .enabled(
            if: FileManager.default.fileExists(atPath: greedy), "Tests/Fixtures/generate/greedy.json isn't there yet"))
    func greedyTexts() throws {
        let base = try BaseModel.load(model, randomSeed: nil, warn: { _ in })
        let tokenizer = try #require(base.tokenizer)
        let rows = try JSONNode.load(path: greedy).asArray()
        #expect(rows.count == 50)
        let prompts = try rows.map { tokenizer.encode(try $0.string("prompt")) }
        let settings = GenerationSettings(maximumNewTokens: 40, sampling: nil)
        let found = try Generator(model: base.model, endIDs: base.endOfText.stops, settings: settings)
            .generate(prompts, firstIndex: 0)
        for (index, row) in rows.enumerated() {
            #expect(try prompts[index] == row.array("prompt_ids").map { Int32(try $0.asInteger()) }, "prompt \(index)")
            let expected = try row.array("completion_ids").map { Int32(try $0.asInteger()) }
            let margins = try row.array("margins").map { try $0.asNumber() }
            let ours = found[index].tokens + (found[index].stop == .endOfText ? [base.endOfTextID ?? -1] : [])
            guard ours != expected else { continue }
            let place =
                zip(ours, expected).enumerated().first { $1.0 != $1.1 }?.offset ?? min(ours.count, expected.count)
            #expect(place < margins.count && margins[place] <= 1e-4, "prompt \(index) differs at token \(place)")
        }
    }
}
