import Batches
import Checkpoints
import Diagnostics
import FoundationEssentials
import JSONText
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

@Suite("Generation") struct GeneratorTests {
    static let models = [
        "gpt2/forward-gelu-new", "gpt2/forward-gelu-tanh-untied", "gpt2/forward-both-scales", "adapters/base",
        "llama/llama-grouped", "llama/mistral-window", "llama/qwen2-layers", "llama/qwen3", "gpt_neox/pythia",
    ]

    private func model(_ name: String) throws -> any LanguageModel {
        try BaseModel.load(fixture(name).path(), randomSeed: nil, warn: { _ in }).model
    }

    private func cases(_ name: String) throws -> [(prompt: [Int32], completion: [Int32])] {
        let file = name.hasPrefix("gpt2/") || name.hasPrefix("adapters/") ? "small" : "families"
        let rows = try JSONNode.load(path: fixture("generate/\(file).json").path()).array(name)
        return try rows.map { row in
            (
                try row.array("prompt").map { Int32(try $0.asInteger()) },
                try row.array("completion").map { Int32(try $0.asInteger()) }
            )
        }
    }

    private func sampling(_ seed: UInt64) -> SamplingSettings {
        SamplingSettings(temperature: 1.3, topK: 40, topP: 0.95, seed: seed)
    }

    @Test(
        "without a temperature gives what transformers gives, for prompts of any length side by side", arguments: models
    )
    func greedy(name: String) throws {
        let cases = try cases(name)
        let generator = Generator(
            model: try model(name), endIDs: [],
            settings: GenerationSettings(maximumNewTokens: cases[0].completion.count, sampling: nil))
        let found = try generator.generate(cases.map(\.prompt), firstIndex: 0)
        for (index, pair) in zip(found, cases).enumerated() {
            #expect(pair.0.tokens == pair.1.completion, "prompt \(index)")
        }
    }

    @Test("gives a prompt the same alone and among others, also when it is drawn", arguments: models)
    func batching(name: String) throws {
        let prompts = try cases(name).map(\.prompt)
        let generator = Generator(
            model: try model(name), endIDs: [],
            settings: GenerationSettings(maximumNewTokens: 9, sampling: sampling(11)))
        let together = try generator.generate(prompts, firstIndex: 5)
        for (index, prompt) in prompts.enumerated() {
            let alone = try generator.generate([prompt], firstIndex: 5 + index)
            #expect(alone == [together[index]], "prompt \(index)")
        }
        #expect(Set(together.dropFirst(together.count > 8 ? 6 : 0).map(\.tokens)).count > 1)
        // With room for so many, all but the shortest prompts have a pass of their own.
        let roomy = Generator(
            model: try model(name), endIDs: [],
            settings: GenerationSettings(maximumNewTokens: 9, sampling: sampling(11)), batchSize: 120,
            sharesBeginnings: true)
        let first = Array(prompts.prefix(16))
        #expect(try roomy.generate(first, firstIndex: 5) == Array(together.prefix(16)))
    }

    @Test("gives a sequence the same bits alone and in the largest pass that it shares with others", arguments: models)
    func bits(name: String) throws {
        let model = try model(name)
        let settings = GenerationSettings(maximumNewTokens: 1, sampling: nil)
        let rows = Generator(model: model, endIDs: [], settings: settings).rowsOfPass
        let (count, vocabulary) = (Generator.batchSize, model.vocabularySize)
        let sequences = (0..<count).map { index in
            (0..<min(rows / count, model.maximumLength)).map { Int32((7 * index + 3 * $0) % vocabulary) }
        }
        func logits(_ sequences: [[Int32]]) -> [UInt32] {
            let batch = TokenBatch(newTokens: sequences, positions: sequences.map { _ in 0 })
            let cache = model.makeCache(prompts: sequences, capacity: rows)
            return model.logits(batch, rows: batch.offsets.dropFirst().map { $0 - 1 }, .inference(cache: cache))
                .values.map(\.bitPattern)
        }
        let together = logits(sequences)
        for (index, sequence) in sequences.enumerated() {
            let row = together[index * vocabulary..<(index + 1) * vocabulary]
            #expect(logits([sequence]) == Array(row), "sequence \(index)")
        }
    }

    @Test("gives a prompt the same alone and among others with an adapter") func batchingAdapter() throws {
        let base = try BaseModel.load(fixture("adapters/base").path(), randomSeed: nil, warn: { _ in })
        let adapter = try AdapterFolder(path: fixture("adapters/all-linear").path(), warn: { _ in })
        let context = InstallationContext(seed: 0, basePath: base.folder, isTraining: false)
        let installation = try base.install(adapter, context)
        defer { installation.remove() }
        // The last token's logits, alone and as the last of up to 128 rows.
        let prompts = (0..<128).map { [Int32($0 % 97)] }
        func rows(_ count: Int) -> [Float] {
            let cache = base.model.makeCache(prompts: Array(repeating: [0], count: count), capacity: 1)
            let batch = TokenBatch(sequences: Array(prompts.suffix(count)))
            return base.model.logits(batch, rows: [count - 1], .inference(cache: cache)).values
        }
        for count in [2, 3, 7, 8, 15, 16, 17, 40, 63, 64, 65, 100, 128] {
            #expect(rows(count) == rows(1), "\(count) rows")
        }
    }

    @Test("computes with the cache what it computes without, within 1e-5", arguments: models)
    func cache(name: String) throws {
        let model = try model(name)
        let ids = (0..<20).map { Int32(($0 * 37 + 11) % model.vocabularySize) }
        let whole = model.logits(TokenBatch(sequences: [ids]), rows: nil, .inference())
        let cache = model.makeCache(prompts: [ids], capacity: ids.count)
        var found: [Float] = []
        // A prompt, some tokens at a time, then one by one.
        for part in [0..<9, 9..<12, 12..<13, 13..<14, 14..<20] {
            let batch = TokenBatch(
                tokens: Array(ids[part]), positions: part.map(Int32.init), offsets: [0, part.count],
                labels: part.map { _ in TokenBatch.ignored })
            found += model.logits(batch, rows: nil, .inference(cache: cache)).values
        }
        #expect(cache.lengths == [20])
        let expected = whole.values.map(Double.init)
        let largest = expected.reduce(0) { max($0, $1.magnitude) }
        let difference = zip(found, expected).reduce(0) { max($0, (Double($1.0) - $1.1).magnitude) }
        #expect(found.count == expected.count && difference <= 1e-5 * largest)
    }

    @Test("doesn't depend on the number of threads") func threads() throws {
        let prompts = try cases("adapters/base").map(\.prompt)
        let generator = Generator(
            model: try model("adapters/base"), endIDs: [],
            settings: GenerationSettings(maximumNewTokens: 6, sampling: sampling(3)))
        let before = WorkerPool.shared.threadCount
        defer { WorkerPool.shared.threadCount = before }
        let results = try [1, 2, 3, 4].map { count in
            WorkerPool.shared.threadCount = count
            return try generator.generate(prompts, firstIndex: 0)
        }
        #expect(Set(results).count == 1)
    }

    @Test("stops at the end token, at the limit and at n_positions, and says which") func stops() throws {
        let model = try model("gpt2/forward-gelu-new")
        let row = try #require(try cases("gpt2/forward-gelu-new").dropFirst().first)
        // 0, 0, 90: the third new token ends the text.
        func run(_ prompt: [Int32], end: Set<Int32>, limit: Int) throws -> Generation? {
            let settings = GenerationSettings(maximumNewTokens: limit, sampling: nil)
            return try Generator(model: model, endIDs: end, settings: settings).generate([prompt], firstIndex: 0).first
        }
        let ended = try #require(try run(row.prompt, end: [90], limit: 12))
        #expect(ended == Generation(tokens: [0, 0], stop: .endOfText))
        let limited = try #require(try run(row.prompt, end: [90], limit: 2))
        #expect(limited == Generation(tokens: [0, 0], stop: .tokenLimit))
        let full = try #require(try run(row.prompt, end: [], limit: 1000))
        #expect(full.tokens.count == model.maximumLength - row.prompt.count && full.stop == .lengthLimit)
        let fit = try #require(try run(row.prompt, end: [], limit: model.maximumLength - row.prompt.count))
        #expect(fit == Generation(tokens: full.tokens, stop: .tokenLimit))
        let none = try run(Array(repeating: 1, count: model.maximumLength), end: [], limit: 5)
        #expect(none == Generation(tokens: [], stop: .lengthLimit))
        #expect(try run(row.prompt, end: [], limit: 0) == Generation(tokens: [], stop: .tokenLimit))
    }

    @Test("refuses prompts that are empty or too long") func unusable() throws {
        let generator = Generator(
            model: try model("gpt2/forward-gelu-new"), endIDs: [],
            settings: GenerationSettings(maximumNewTokens: 1, sampling: nil))
        #expect(throws: Problem("the prompt has 33 tokens, but the model takes at most 32 (n_positions)")) {
            try generator.generate([[1], Array(repeating: 0, count: 33)], firstIndex: 0)
        }
        #expect(throws: Problem("the prompt is empty, and the model has no token to begin a text with")) {
            try generator.generate([[]], firstIndex: 0)
        }
    }

    @Test("reports every token in order as it comes") func streaming() throws {
        let prompts = try cases("adapters/base").map(\.prompt)
        let generator = Generator(
            model: try model("adapters/base"), endIDs: [],
            settings: GenerationSettings(maximumNewTokens: 6, sampling: nil))
        var seen = [[Int32]](repeating: [], count: prompts.count)
        var finished: [Int: Generation] = [:]
        let found = try generator.generate(
            prompts, firstIndex: 0, onToken: { seen[$0].append($1) }, onFinish: { finished[$0] = $1 })
        #expect(seen == found.map(\.tokens))
        #expect(found.indices.allSatisfy { finished[$0] == found[$0] } && finished.count == found.count)
    }
}
