import Checkpoints
import FoundationEssentials
import JSONText
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

/// What transformers generates for 50 prompts of a model of each family, and with peft's learned prompts, from
/// `scripts/fixtures/decoding.py`.
@Suite("Fifty prompts of each family") struct DecodingReferenceTests {
    static let models = [
        "adapters/base", "llama/llama-grouped", "llama/mistral-window", "llama/qwen2-layers", "llama/qwen3",
        "gpt_neox/pythia", "t5/relu", "t5/gated",
    ]
    static let learned = ["prompts/prompt", "prompts/prefix", "t5/runs/relu/prompt"]

    /// What is generated together, and by how many threads.
    private static let manners: [(batch: Int, threads: Int)] = [(1, 1), (4, 2), (16, 3), (16, 4)]

    /// The prompts of some settings, and what comes of them.
    private struct Case {
        let settings: GenerationSettings
        var prompts: [[Int32]] = []
        /// The best first.
        var texts: [[[Int32]]] = []
        var scores: [[Double]] = []
    }

    private struct Entry {
        let ends: Set<Int32>
        let base: String?
        var greedy: [Case]
        var beams: [Case]
    }

    private static func tokens(_ digits: String) throws -> [Int32] {
        let bytes = Array(digits.utf8)
        return try stride(from: 0, to: bytes.count, by: 2).map {
            try #require(Int32(String(decoding: Array(bytes[$0..<$0 + 2]), as: UTF8.self), radix: 16))
        }
    }

    private static func entry(_ section: String, _ name: String) throws -> Entry {
        let file = try JSONNode.load(path: fixture("generate/decoding.json").path())
        let node = try file.required(section).required(name)
        let words = try node.array("bad_words").map { try $0.asArray().map { Int32(try $0.asInteger()) } }
        func cases(_ key: String) throws -> [Case] {
            try file.array(key).map { settings in
                Case(settings: try generationSettings(settings, words: words, limit: try node.integer("new")))
            }
        }
        var entry = Entry(
            ends: Set(try node.array("ends").map { Int32(try $0.asInteger()) }), base: try node.optionalString("base"),
            greedy: try cases("greedy_settings"), beams: try cases("beam_settings"))
        for row in try node.array("rows").map({ try $0.asArray() }) {
            let prompt = try tokens(row[0].asString())
            if row.count > 4 {
                let place = try row[1].asInteger()
                entry.greedy[place].prompts.append(prompt)
                entry.greedy[place].texts.append([try tokens(row[2].asString())])
            }
            let last = row.suffix(3).map { $0 }
            let place = try last[0].asInteger()
            entry.beams[place].prompts.append(prompt)
            entry.beams[place].texts.append(try last[1].asArray().map { try tokens($0.asString()) })
            entry.beams[place].scores.append(try last[2].asArray().map { try $0.asNumber() })
        }
        return entry
    }

    /// Settings by transformers' names.
    private static func generationSettings(
        _ node: JSONNode, words: [[Int32]], limit: Int
    ) throws -> GenerationSettings {
        var settings = GenerationSettings(maximumNewTokens: limit, sampling: nil)
        var (beams, returned, penalty, stopping) = (1, 1, 1.0, BeamSettings.EarlyStopping.no)
        for member in try node.asObject() {
            let value = member.value
            switch member.key {
            case "num_beams": beams = try value.asInteger()
            case "num_return_sequences": returned = try value.asInteger()
            case "length_penalty": penalty = try value.asNumber()
            case "early_stopping": stopping = (try? value.asString()) == "never" ? .never : .yes
            case "encoder_repetition_penalty": settings.processing.encoderRepetitionPenalty = try value.asNumber()
            case "repetition_penalty": settings.processing.repetitionPenalty = try value.asNumber()
            case "no_repeat_ngram_size": settings.processing.noRepeatNgramSize = try value.asInteger()
            case "encoder_no_repeat_ngram_size":
                settings.processing.encoderNoRepeatNgramSize = try value.asInteger()
            case "bad_words_ids": settings.processing.badWords = words
            case "min_length": settings.processing.minimumLength = try value.asInteger()
            case "min_new_tokens": settings.processing.minimumNewTokens = try value.asInteger()
            default: Issue.record("\(member.key)")
            }
        }
        if beams > 1 {
            settings.beams = BeamSettings(
                count: beams, lengthPenalty: penalty, earlyStopping: stopping, returnedCount: returned)
        }
        return settings
    }

    /// Every case alone and side by side.
    private static func check(_ cases: [Case], of base: BaseModel, ends: Set<Int32>) throws {
        let before = WorkerPool.shared.threadCount
        defer { WorkerPool.shared.threadCount = before }
        for item in cases where !item.prompts.isEmpty {
            var results: [[Generation]] = []
            for manner in manners {
                WorkerPool.shared.threadCount = manner.threads
                let generator = Generator(
                    model: base.model, endIDs: ends, settings: item.settings,
                    batchSize: manner.batch * (item.settings.beams?.count ?? 1), sharesBeginnings: manner.batch > 1)
                results.append(
                    manner.batch > 1
                        ? try generator.generate(item.prompts, firstIndex: 0)
                        : try item.prompts.flatMap { try generator.generate([$0], firstIndex: 0) })
            }
            for (result, manner) in zip(results, manners) {
                #expect(result == results[0], "\(manner.batch) at a time, \(item.settings)")
            }
            for (index, generation) in results[0].enumerated() {
                let found = [generation] + generation.alternatives
                #expect(
                    found.map(\.tokens) == item.texts[index], "prompt \(item.prompts[index]), \(item.settings)")
                for (ours, theirs) in zip(found.compactMap(\.score), item.scores.isEmpty ? [] : item.scores[index]) {
                    #expect((Double(ours) - theirs).magnitude <= 1e-4 * max(1, theirs.magnitude))
                }
            }
        }
    }

    @Test(
        "have transformers' texts, greedily with changed scores and by beams, alone and side by side", arguments: models
    )
    func families(name: String) throws {
        let entry = try Self.entry("models", name)
        #expect(entry.greedy.reduce(0) { $0 + $1.prompts.count } == 50)
        #expect(entry.beams.reduce(0) { $0 + $1.prompts.count } == 50)
        let base = try BaseModel.load(fixture(name).path(), randomSeed: nil, warn: { _ in })
        try Self.check(entry.greedy, of: base, ends: entry.ends)
        try Self.check(entry.beams, of: base, ends: entry.ends)
    }

    @Test("have transformers' texts by beams behind peft's learned prompts and prefixes", arguments: learned)
    func prompts(name: String) throws {
        let entry = try Self.entry("learned", name)
        let base = try BaseModel.load(fixture(try #require(entry.base)).path(), randomSeed: nil, warn: { _ in })
        let adapter = try AdapterFolder(path: fixture(name).path(), warn: { _ in })
        let installation = try base.install(
            adapter, InstallationContext(seed: 0, basePath: base.folder, isTraining: false))
        defer { installation.remove() }
        #expect(entry.beams.reduce(0) { $0 + $1.prompts.count } == 9)
        try Self.check(entry.beams, of: base, ends: entry.ends)
    }
}
