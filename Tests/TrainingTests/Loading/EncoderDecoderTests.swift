import Batches
import Checkpoints
import FoundationEssentials
import JSONText
import Layers
import Models
import Tensors
import TestSupport
import Testing
import Training

/// T5's families, on the fixtures of `scripts/fixtures/t5.py`.
@Suite("A model folder with an encoder and a decoder") struct EncoderDecoderTests {
    static let folders = [
        "relu", "gated", "gated-5x", "duplicates", "embed-only", "mt5", "mt5-tied", "f16", "gated-silu",
        "gated-relu", "gelu", "three",
    ]

    struct Pair {
        let source: [Int32]
        let target: [Int32]
    }

    static func pairs(_ folder: String) throws -> [Pair] {
        try JSONNode.load(path: fixture("t5/\(folder)").path() + "/expected.json").array("pairs").map { pair in
            func ids(_ key: String) throws -> [Int32] {
                try pair.array(key).map { Int32(try $0.asInteger()) }
            }
            return Pair(source: try ids("source"), target: try ids("target"))
        }
    }

    static func example(_ pair: Pair, of model: any LanguageModel) -> Example {
        Example(
            source: pair.source, tokens: model.opening(pair.source) + pair.target,
            targets: [1..<pair.target.count + 1])
    }

    @Test("gives transformers' logits and mean loss within 1e-5, alone and beside others", arguments: folders)
    func logits(folder: String) throws {
        let path = fixture("t5/\(folder)").path()
        var warnings: [String] = []
        let base = try BaseModel.load(path, randomSeed: nil) { warnings.append("\($0)") }
        // A head of its own, and nothing that says so.
        #expect(warnings.count == (folder == "gated-relu" ? 1 : 0), "\(warnings)")
        let model = base.model
        let expected = try SafetensorsFile(path: path + "/expected.safetensors", warn: { _ in })
        let cases = try JSONNode.load(path: path + "/expected.json")
        let pairs = try Self.pairs(folder)
        let together = model.logits(
            model.batch(pairs.map { Self.example($0, of: model) }), rows: nil, .inference())
        var row = 0
        for (index, pair) in pairs.enumerated() {
            let reference = try expected.raw(named: "logits.\(index)").doubles()
            let largest = reference.reduce(0) { max($0, $1.magnitude) }
            let batch = model.batch([Self.example(pair, of: model)])
            func compare(_ found: [Float], _ name: String) {
                #expect(found.count == reference.count)
                let worst = zip(found, reference).reduce(0) { max($0, (Double($1.0) - $1.1).magnitude) }
                #expect(worst <= 1e-5 * largest, "pair \(index), \(name)")
            }
            compare(
                model.logits(batch, rows: nil, .inference()).values.suffix(reference.count).map { $0 }, "alone")
            let width = model.vocabularySize
            let end = (row + pair.target.count) * width
            compare(Array(together.values[(end - reference.count)..<end]), "beside others")
            row += pair.target.count
            let mean = try cases.array("mean_nll64")[index].asNumber()
            let loss = model.loss(batch, scale: 1, .inference())
            #expect(abs(loss.sum / Double(loss.count) - mean) <= 1e-5 * mean, "pair \(index)")
            // One token after the other, from what the cache holds.
            let cache = model.makeCache(prompts: [pair.source], capacity: pair.target.count)
            let read = model.opening(pair.source) + pair.target.dropLast()
            for (position, id) in read.enumerated() {
                let step = TokenBatch(tokens: [id], positions: [Int32(position)], offsets: [0, 1], labels: [-1])
                let found = model.logits(step, rows: nil, .inference(cache: cache)).values
                let start = (position - read.count) * width + reference.count
                if start < 0 { continue }
                let worst = zip(found, reference[start...]).reduce(0) { max($0, (Double($1.0) - $1.1).magnitude) }
                #expect(worst <= 1e-5 * largest, "pair \(index), token \(position)")
            }
            // Only the last row, whose attention to the source is all that is computed of it.
            let last = model.logits(batch, rows: [batch.rowCount - 1], .inference()).values
            let worst = zip(last, reference.suffix(width)).reduce(0) { max($0, (Double($1.0) - $1.1).magnitude) }
            #expect(worst <= 1e-5 * largest, "pair \(index), last row")
        }
    }

    @Test("reads a source that several texts have once, with the same bits")
    func sharedSources() throws {
        let model = try BaseModel.quietly(fixture("t5/gated").path()).model
        let pairs = try Self.pairs("gated")
        let (a, b) = (pairs[2], pairs[4])
        let examples = [
            Pair(source: a.source, target: a.target), Pair(source: b.source, target: a.target),
            Pair(source: a.source, target: b.target),
        ].map { Self.example($0, of: model) }
        let shared = model.batch(examples, sharingPrompts: true)
        #expect(shared.source?.sourceCount == 2 && shared.source?.indices == [0, 1, 0])
        var apart = shared
        apart.source = shared.source?.repeated
        #expect(apart.source?.sourceCount == 3)
        let logits = [shared, apart].map { model.logits($0, rows: nil, .inference()).values }
        let largest = logits[1].reduce(0) { max($0, abs($1)) }
        let difference = zip(logits[0], logits[1]).reduce(0) { max($0, abs($1.0 - $1.1)) }
        #expect(difference <= 1e-5 * largest)
    }

    @Test("continues 50 prompts as transformers does, all at once and one by one", arguments: ["relu", "gated"])
    func greedy(folder: String) throws {
        let model = try BaseModel.quietly(fixture("t5/\(folder)").path()).model
        let cases = try JSONNode.load(path: fixture("t5/greedy.json").path()).array(folder)
        #expect(cases.count == 50)
        func ids(_ node: JSONNode, _ key: String) throws -> [Int32] {
            try node.array(key).map { Int32(try $0.asInteger()) }
        }
        let prompts = try cases.map { try ids($0, "prompt") }
        let generator = Generator(
            model: model, endIDs: Set(model.endOfTextIDs), settings: .init(maximumNewTokens: 12, sampling: nil))
        let together = try generator.generate(prompts, firstIndex: 0)
        for (index, found) in together.enumerated() {
            let ended = try cases[index].required("ended").asBoolean()
            #expect(try found.tokens == ids(cases[index], "completion"), "prompt \(index)")
            #expect((found.stop == .endOfText) == ended, "prompt \(index)")
            #expect(try generator.generate([prompts[index]], firstIndex: index) == [found], "prompt \(index)")
        }
    }
}
