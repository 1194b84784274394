import Checkpoints
import FoundationEssentials
import JSONText
import Layers
import Methods
import Models
import TestSupport
import Testing
import Training

@Suite("Decoding") struct DecodingTests {
    private func model(_ name: String) throws -> BaseModel {
        try BaseModel.load(fixture(name).path(), randomSeed: nil, warn: { _ in })
    }

    @Test("by beams takes prompts of any length side by side, any number of beams and any limit") func mixed() throws {
        let base = try model("adapters/base")
        let lengths = [1, 22, 23, 24, 5, 2, 19, 3, 8, 8, 1, 13]
        let prompts = lengths.map { length in (0..<length).map { Int32(($0 * 31 + length) % 97) } }
        for count in [2, 7, 20, 90] {
            var settings = GenerationSettings(maximumNewTokens: 6, sampling: nil)
            settings.beams = BeamSettings(count: count, lengthPenalty: 1, earlyStopping: .no, returnedCount: count)
            let generator = Generator(model: base.model, endIDs: [], settings: settings)
            let together = try generator.generate(prompts, firstIndex: 0)
            for (prompt, generation) in zip(prompts, together) {
                #expect(try generator.generate([prompt], firstIndex: 0) == [generation])
                let room = base.model.maximumLength - prompt.count
                #expect(generation.tokens.count == min(6, room))
                #expect(generation.stop == (room < 6 ? .lengthLimit : .tokenLimit))
                #expect(room == 0 || generation.alternatives.count == count - 1)
            }
        }
        var settings = GenerationSettings(maximumNewTokens: 0, sampling: nil)
        settings.beams = BeamSettings(count: 3, lengthPenalty: 1, earlyStopping: .no, returnedCount: 1)
        let none = try Generator(model: base.model, endIDs: [], settings: settings).generate([[3]], firstIndex: 0)
        #expect(none == [Generation(tokens: [], stop: .tokenLimit)])
    }

    @Test("stops where the text is complete, by beams too") func stopped() throws {
        let base = try model("adapters/base")
        var settings = GenerationSettings(maximumNewTokens: 10, sampling: nil)
        let plain = try Generator(model: base.model, endIDs: [], settings: settings).generate([[3, 4]], firstIndex: 0)
        let third = plain[0].tokens[2]
        let first = try #require(plain[0].tokens.firstIndex(of: third))
        let generator = Generator(model: base.model, endIDs: [], settings: settings)
        generator.isStopped = { _, tokens in tokens.last == third }
        #expect(
            try generator.generate([[3, 4]], firstIndex: 0)
                == [Generation(tokens: Array(plain[0].tokens[...first]), stop: .stopString)])
        settings.beams = BeamSettings(count: 4, lengthPenalty: 1, earlyStopping: .yes, returnedCount: 4)
        let searching = Generator(model: base.model, endIDs: [], settings: settings)
        searching.isStopped = { _, tokens in tokens.count >= 3 }
        let found = try searching.generate([[3, 4], [9]], firstIndex: 0)
        #expect(found.flatMap { [$0] + $0.alternatives }.allSatisfy { $0.tokens.count == 3 && $0.stop == .stopString })
    }
}

private func ids(_ nodes: [JSONNode]) throws -> [Int32] { try nodes.map { Int32(try $0.asInteger()) } }

/// What transformers' processors and filters make of scores, from `scripts/fixtures/decoding.py`.
@Suite("Changes of scores") struct ProcessorTests {
    private static func rows() throws -> [JSONNode] {
        try JSONNode.load(path: fixture("generate/processors.json").path()).asArray()
    }

    private static func numbers(_ nodes: [JSONNode]) -> [Float] {
        nodes.map { node in (try? node.asNumber()).map { Float($0) } ?? -.infinity }
    }

    private static func processed(_ row: JSONNode, _ settings: ProcessingSettings) throws -> [Float] {
        var scores = numbers(try row.array("logits"))
        let history = TokenHistory(
            tokens: try ids(row.array("tokens")), newCount: try row.required("new").asInteger(),
            source: try ids(row.array("source")))
        scores.withUnsafeMutableBufferPointer { scores in
            for processor in logitsProcessors {
                processor.init(settings, endIDs: [2, 5])?.process(scores, history)
            }
        }
        return scores
    }

    private static func set(_ name: String, _ value: JSONNode, in settings: inout ProcessingSettings) throws {
        switch name {
        case "encoder_repetition_penalty": settings.encoderRepetitionPenalty = try value.asNumber()
        case "repetition_penalty": settings.repetitionPenalty = try value.asNumber()
        case "no_repeat_ngram_size": settings.noRepeatNgramSize = try value.asInteger()
        case "encoder_no_repeat_ngram_size": settings.encoderNoRepeatNgramSize = try value.asInteger()
        case "bad_words_ids": settings.badWords = try value.asArray().map { try ids($0.asArray()) }
        case "min_length": settings.minimumLength = try value.asInteger()
        case "min_new_tokens": settings.minimumNewTokens = try value.asInteger()
        default: Issue.record("\(name)")
        }
    }

    @Test("are transformers', each alone and all in their order") func processors() throws {
        for row in try Self.rows() {
            var all = ProcessingSettings()
            for member in try row.object("processors") {
                var settings = ProcessingSettings()
                let value = try member.value.required("value")
                try Self.set(member.key, value, in: &settings)
                try Self.set(member.key, value, in: &all)
                let expected = Self.numbers(try member.value.array("scores"))
                let found = try Self.processed(row, settings)
                #expect(zip(found, expected).allSatisfy { $0 == $1 || ($0 - $1).magnitude <= 1e-6 }, "\(member.key)")
            }
            let expected = Self.numbers(try row.array("every"))
            #expect(zip(try Self.processed(row, all), expected).allSatisfy { $0 == $1 || ($0 - $1).magnitude <= 1e-6 })
        }
    }

    @Test("by filters of draws leave transformers' tokens with its probabilities") func filters() throws {
        for row in try Self.rows() {
            let logits = Self.numbers(try row.array("logits"))
            let temperature = try row.number("temperature")
            for member in try row.object("filters") {
                var settings = SamplingSettings(temperature: temperature, topK: nil, topP: nil, seed: 0)
                let value = try member.value.required("value")
                let values =
                    member.key == "all"
                    ? try value.asObject().map { (key: $0.key, value: $0.value) } : [(key: member.key, value: value)]
                for item in values {
                    switch item.key {
                    case "top_k": settings.topK = try item.value.asInteger()
                    case "top_p": settings.topP = try item.value.asNumber()
                    case "min_p": settings.minP = try item.value.asNumber()
                    case "typical_p": settings.typicalP = try item.value.asNumber()
                    case "epsilon_cutoff": settings.epsilonCutoff = try item.value.asNumber()
                    case "eta_cutoff": settings.etaCutoff = try item.value.asNumber()
                    default: Issue.record("\(item.key)")
                    }
                }
                var found = [Double](repeating: 0, count: logits.count)
                for choice in logits.withUnsafeBufferPointer({ Sampler.choices($0, settings) }) {
                    found[Int(choice.token)] = choice.probability
                }
                let expected = try member.value.array("probabilities").map { try $0.asNumber() }
                for (ours, theirs) in zip(found, expected) {
                    #expect((ours - theirs).magnitude <= 1e-5, "\(member.key) of \(logits)")
                }
            }
        }
    }
}
