import Batches
import Checkpoints
import FoundationEssentials
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

@Suite("What prompts begin with alike") struct CommonBeginningTests {
    private static func text(_ length: Int, _ seed: Int) -> [Int32] {
        (0..<length).map { Int32((seed + 5 * $0 + $0 * $0 % 7) % 23 + 1) }
    }

    /// Texts of `lengths` tokens behind a beginning.
    private func texts(behind beginning: [Int32], _ lengths: [Int]) -> [[Int32]] {
        lengths.enumerated().map { beginning + Self.text($1, 3 * $0 + 1) }
    }

    // MARK: What is chosen

    @Test("is as long as all have it, and one token shorter than the shortest text")
    func whole() {
        let beginning = Self.text(40, 2)
        #expect(CommonBeginning.choice(of: texts(behind: beginning, [1, 3, 9]), cut: 1) == beginning)
        let shortened = texts(behind: beginning, [1, 3, 9]) + [beginning]
        #expect(CommonBeginning.choice(of: shortened, cut: 1) == Array(beginning.dropLast()))
        #expect(CommonBeginning.choice(of: shortened.reversed(), cut: 16) == Array(beginning.prefix(32)))
        #expect(CommonBeginning.choice(of: shortened, cut: 64) == [])
        #expect(CommonBeginning.choice(of: [beginning, beginning, beginning], cut: 1) == Array(beginning.dropLast()))
    }

    @Test("is that with which most tokens are saved, where texts begin in several ways")
    func several() {
        let (long, short) = (Self.text(100, 2), Self.text(20, 7))
        // 100 tokens for two texts, or 20 for nine.
        let few = texts(behind: long, [2, 3])
        let many = texts(behind: short, Array(1...9))
        #expect(CommonBeginning.choice(of: few + many, cut: 1) == short)
        #expect(CommonBeginning.choice(of: few + many.prefix(5), cut: 1) == long)
        #expect(CommonBeginning.choice(of: many.prefix(5) + few + [[1], [2, 3]], cut: 1) == long)
    }

    @Test("is nothing where little would be saved")
    func nothing() {
        #expect(CommonBeginning.choice(of: [], cut: 1) == [])
        #expect(CommonBeginning.choice(of: [Self.text(90, 1)], cut: 1) == [])
        #expect(CommonBeginning.choice(of: [[], [], []], cut: 1) == [])
        #expect(CommonBeginning.choice(of: texts(behind: Self.text(15, 1), Array(1...40)), cut: 1) == [])
        #expect(CommonBeginning.choice(of: texts(behind: Self.text(30, 1), [4, 5, 6]), cut: 1) == [])
        #expect(CommonBeginning.choice(of: texts(behind: Self.text(30, 1), [4, 5, 6, 7]), cut: 1).count == 30)
    }

    // MARK: What comes behind it

    /// The logits behind a text, bit by bit, when so many of its tokens come from `common`.
    private func bits(_ text: [Int32], _ model: any LanguageModel, sharing count: Int, of common: CommonBeginning?)
        -> [UInt32]
    {
        let own = model.makeCache(prompts: [text], capacity: text.count)
        let cache = common?.cache(for: text, sharing: count, capacity: text.count) ?? own
        let batch = TokenBatch(newTokens: [Array(text[count...])], positions: [count])
        let last = batch.rowCount - 1
        return model.logits(batch, rows: [last], .inference(cache: cache)).values.map(\.bitPattern)
    }

    private func expectSameBits(_ model: any LanguageModel, lengths: [Int]) throws {
        let longest = min(model.maximumLength, 28)
        let texts = texts(behind: Self.text(longest - 3, 4), [1, 2, 3, 3, 2, 3]).map { text in
            text.map { $0 % Int32(model.vocabularySize) }
        }
        // Where rows of long passes have bits of their own, nothing so short is shared.
        guard let common = CommonBeginning(of: texts, model, keepsBits: true) else {
            #expect(!BlockProduct.isPreferred)
            return
        }
        #expect(common.tokens.count == longest - 3)
        for (index, text) in texts.enumerated() {
            let alone = bits(text, model, sharing: 0, of: nil)
            for count in lengths + [longest - 3] where count <= min(text.count - 1, common.tokens.count) {
                #expect(
                    bits(text, model, sharing: count, of: common) == alone, "\(count) tokens of text \(index)")
            }
        }
    }

    @Test("has the bits that it has where all is computed as a whole", arguments: GeneratorTests.models)
    func sameBits(name: String) throws {
        try expectSameBits(BaseModel.quietly(fixture(name).path()).model, lengths: [16, 17, 20, 23])
    }

    @Test(
        "has them with adapters too, learned prompts in front of the beginning among them",
        arguments: [
            "adapters/all-linear", "adapters/dora", "adapters/token-rows", "adapters/bias-all", "adapters/head",
            "prompts/prompt", "prompts/prefix", "prompts/prefix-projection", "prompts/ptuning-lstm",
        ])
    func adapters(name: String) throws {
        let base = try BaseModel.quietly(fixture("adapters/base").path())
        let installation = try base.install(adapter: fixture(name).path())
        defer { installation.remove() }
        try expectSameBits(base.model, lengths: [16])
    }

    @Test(
        "has them with weights in few bits", arguments: ["quantized/gpt2", "quantized/llama", "quantized/llama-int8"])
    func quantized(name: String) throws {
        try expectSameBits(BaseModel.quietly(fixture(name).path()).model, lengths: [16, 19])
    }

    /// A model whose positions are angles, with room for more of them.
    private func roomy(_ name: String, positions: Int, _ folder: TemporaryFolder) throws -> any LanguageModel {
        let configuration = try String(contentsOf: fixture("\(name)/config.json"), encoding: .utf8)
            .replacing(/"max_position_embeddings": \d+/, with: "\"max_position_embeddings\": \(positions)")
        try folder.write(configuration, to: "config.json")
        try FileManager.default.copyItem(
            at: fixture("\(name)/model.safetensors"), to: URL(filePath: folder.file("model.safetensors")))
        return try BaseModel.load(folder.path, randomSeed: nil, warn: { _ in }).model
    }

    @Test(
        "may be longer than a pass, and so may texts",
        arguments: ["llama/llama-grouped", "llama/mistral-window", "gpt_neox/pythia"])
    func long(name: String) throws {
        let folder = try TemporaryFolder()
        let model = try roomy(name, positions: 900, folder)
        let beginning = Self.text(300, 1)
        let prompts = (texts(behind: beginning, [1, 2, 5, 127, 128, 129, 260, 400]) + [Self.text(290, 5)]).map { text in
            text.map { $0 % Int32(model.vocabularySize) }
        }
        func generator(batchSize: Int, shares: Bool) -> Generator {
            Generator(
                model: model, endIDs: [],
                settings: GenerationSettings(
                    maximumNewTokens: 4, sampling: SamplingSettings(temperature: 1.5, topK: nil, topP: nil, seed: 1)),
                batchSize: batchSize, sharesBeginnings: shares)
        }
        let apart = try generator(batchSize: 16, shares: false).generate(prompts, firstIndex: 0)
        #expect(try generator(batchSize: 16, shares: true).generate(prompts, firstIndex: 0) == apart)
        #expect(try generator(batchSize: 3, shares: true).generate(prompts, firstIndex: 0) == apart)
        for (index, prompt) in prompts.enumerated() {
            #expect(
                try generator(batchSize: 16, shares: true).generate([prompt], firstIndex: index) == [apart[index]],
                "prompt \(index)")
        }
        // Beams share no beginnings, but long prompts come in pieces as well.
        var settings = GenerationSettings(maximumNewTokens: 4, sampling: nil)
        settings.beams = BeamSettings(count: 3, lengthPenalty: 1, earlyStopping: .no, returnedCount: 3)
        let searching = Generator(model: model, endIDs: [], settings: settings)
        let found = try searching.generate(prompts, firstIndex: 0)
        for (index, prompt) in prompts.enumerated() {
            #expect(try searching.generate([prompt], firstIndex: 0) == [found[index]], "prompt \(index)")
        }
    }

    @Test("changes nothing in what prompts get, also beside others that have less of it or none")
    func generation() throws {
        let model = try BaseModel.quietly(fixture("llama/llama-grouped").path()).model
        let beginning = Self.text(40, 3)
        let prompts =
            texts(behind: beginning, [1, 2, 3, 4, 5, 6]) + texts(behind: Array(beginning.prefix(25)), [7, 1])
            + texts(behind: Array(beginning.prefix(10)), [4]) + [[5], beginning, Array(beginning.prefix(20))]
        func run(shares: Bool, _ prompts: [[Int32]], first: Int) throws -> [Generation] {
            try Generator(
                model: model, endIDs: [],
                settings: GenerationSettings(
                    maximumNewTokens: 9, sampling: SamplingSettings(temperature: 2, topK: nil, topP: nil, seed: 4)),
                batchSize: 5, sharesBeginnings: shares
            ).generate(prompts, firstIndex: first)
        }
        let apart = try run(shares: false, prompts, first: 0)
        #expect(try run(shares: true, prompts, first: 0) == apart)
        #expect(Set(apart.map(\.tokens)).count > 6)
        #expect(try run(shares: true, Array(prompts[3...]), first: 3) == Array(apart[3...]))
    }

    @Test("counts as text where scores are changed by what stands there already")
    func processing() throws {
        let model = try BaseModel.quietly(fixture("llama/llama-grouped").path()).model
        let prompts = texts(behind: Self.text(40, 3), [1, 2, 3, 4, 5, 6])
        func run(shares: Bool, _ processing: ProcessingSettings) throws -> [Generation] {
            var settings = GenerationSettings(maximumNewTokens: 4, sampling: nil)
            settings.processing = processing
            return try Generator(
                model: model, endIDs: [], settings: settings, batchSize: 5, sharesBeginnings: shares
            ).generate(prompts, firstIndex: 0)
        }
        var processing = ProcessingSettings()
        let plain = try run(shares: true, processing)
        (processing.repetitionPenalty, processing.noRepeatNgramSize) = (1.5, 1)
        let changed = try run(shares: true, processing)
        #expect(try run(shares: false, processing) == changed)
        #expect(changed != plain)
        // The beginning's tokens, too, come but once.
        for (prompt, generation) in zip(prompts, changed) {
            #expect(Set(prompt).isDisjoint(with: generation.tokens))
        }
    }
}
