import Batches
import Checkpoints
import Datasets
import Foundation
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Tokenizers
import Training

@Suite("Evaluation of the loss") struct LossEvaluationTests {
    /// Letters as ids, so that any model of 97 tokens can read them.
    private struct Letters: Tokenizer {
        let vocabularySize = 97
        let endOfTextID: Int32? = 96
        let addedTokens: [AddedToken] = []
        let contentHashes: (vocabulary: UInt64, addedTokens: UInt64) = (0, 0)

        func encode(_ text: String) -> [Int32] { text.utf8.map { Int32($0 % 96) } }
        func decode(_ ids: some Sequence<Int32>, skippingSpecialTokens: Bool) -> [UInt8] { ids.map { UInt8($0) } }
        func id(of content: String) -> Int32? { nil }
    }

    private func dataset(_ scratch: Scratch, _ records: [(String, String)]) throws -> Dataset {
        let lines = records.map { "{\"p\": \"\($0.0)\", \"c\": \"\($0.1)\"}\n" }.joined()
        try scratch.write(lines, to: "data.jsonl")
        let encoder = ExampleEncoder(
            templates: .completion(prompt: try Template("{p}"), completion: try Template("{c}")),
            codec: TextCodec(Letters(), end: EndOfText(Letters(), others: [])), maximumLength: 24, policy: .error)
        return try Dataset(paths: [scratch("data.jsonl")], encoder: encoder)
    }

    private static let records = (0..<23).map { index in
        (String(repeating: "ab c", count: index % 4) + "\(index)", String("a completion".prefix(1 + index % 9)))
    }

    private func model() throws -> any LanguageModel {
        try BaseModel.load(fixture("adapters/base").path(percentEncoded: false), randomSeed: nil, warn: { _ in }).model
    }

    @Test("weighs every target token alike, however the examples are put together")
    func batching() throws {
        let scratch = try Scratch()
        let dataset = try dataset(scratch, Self.records)
        let model = try model()
        let alone = try evaluateLoss(of: model, on: dataset, rowsPerPass: 1) { _ in }
        var seen: [Int] = []
        let together = try evaluateLoss(of: model, on: dataset, rowsPerPass: 100) { seen.append($0) }
        #expect(seen.count > 1 && seen.count < 23 && seen.last == 23)
        #expect(alone.examples == 23 && together.examples == 23)
        let targets = Self.records.reduce(0) { $0 + $1.1.utf8.count + 1 }
        #expect(alone.tokens == targets && together.tokens == targets)
        #expect((alone.sum - together.sum).magnitude <= 1e-6 * alone.sum)
        #expect((alone.loss - alone.sum / Double(targets)).magnitude < 1e-12)
        #expect((log(alone.perplexity) - alone.loss).magnitude < 1e-12)
    }

    @Test("goes on where it was interrupted, to the same bits and without the passes before")
    func interrupted() throws {
        struct Interruption: Error {}
        let scratch = try Scratch()
        let dataset = try dataset(scratch, Self.records)
        let model = try model()
        var passes = 0
        let whole = try evaluateLoss(of: model, on: dataset, rowsPerPass: 60, onSummary: { _ in passes += 1 }) { _ in }
        try #require(passes > 3)
        for stop in 1..<passes {
            var known = LossSummary()
            var count = 0
            #expect(throws: Interruption.self) {
                try evaluateLoss(
                    of: model, on: dataset, rowsPerPass: 60,
                    onSummary: { summary in
                        known = summary
                        count += 1
                        if count == stop { throw Interruption() }
                    }, onProgress: { _ in })
            }
            let resumed = try evaluateLoss(
                of: model, on: dataset, rowsPerPass: 60, goingOn: known, onSummary: { _ in count += 1 }
            ) { _ in }
            #expect(resumed == whole && count == passes)
        }
        #expect(
            try evaluateLoss(of: model, on: dataset, rowsPerPass: 60, goingOn: whole) { _ in Issue.record("a pass") }
                == whole)
    }

    @Test("is that of whole examples within 1e-6 where what they begin with is computed once")
    func shared() throws {
        let scratch = try Scratch()
        let records = Self.records.prefix(16).enumerated().map { index, record in
            ((index % 5 == 4 ? "" : "an instruction, ") + record.0.suffix(3), String(record.1.prefix(3)))
        }
        let dataset = try dataset(scratch, records)
        let base = try BaseModel.quietly(fixture("adapters/base").path(percentEncoded: false))
        for adapter in [nil, "adapters/all-linear", "adapters/head-dora"] {
            let installation = try adapter.map { try base.install(adapter: fixture($0).path()) }
            defer { installation?.remove() }
            let whole = try (0..<dataset.count).reduce(0.0) { sum, index in
                sum + base.model.loss(base.model.batch([try dataset.example(index)]), scale: 1, .inference()).sum
            }
            var seen: [Int] = []
            let found = try evaluateLoss(of: base.model, on: dataset, rowsPerPass: 200) { seen.append($0) }
            #expect((found.sum - whole).magnitude <= 1e-6 * whole, "\(adapter ?? "base")")
            #expect(found.examples == 16 && seen.count > 1 && seen.last == 16)
        }
    }
}
