import Checkpoints
import Diagnostics
import Files
import Foundation
import JSONText
import Layers
import Models
import Tensors
import TestSupport
import Testing
import Tokenizers
import Training

/// Models from `scripts/fixtures/bases.py`, with what transformers computes from them.
@Suite("A base model whose files are unusual") struct UnusualBaseTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let weights: String
        let config: JSONValue
        let isTied: Bool
        let loss: Double
        let logits: [Double]
        var testDescription: String { name }
    }

    private static let file = Result { try JSONNode.load(path: fixture("bases/expected.json").path()) }
    private static let sequence = Result {
        try file.get().array("sequence").map { Int32(try $0.asInteger()) }
    }
    static let cases: [Case] =
        (try? file.get().array("cases").map {
            Case(
                name: try $0.string("name"), weights: try $0.string("weights"), config: try $0.required("config").plain,
                isTied: try $0.boolean("tied"), loss: try $0.number("mean_nll"),
                logits: try $0.array("logits").map { try $0.asNumber() })
        }) ?? []

    private func folder(_ weights: String, _ config: JSONValue) throws -> Scratch {
        let scratch = try Scratch()
        try FileSystem.copyFile(from: fixture("bases/\(weights).safetensors").path(), to: scratch("model.safetensors"))
        try scratch.write(config.text(.indented), to: "config.json")
        return scratch
    }

    /// Loads a folder, and tells what was warned of.
    private func load(_ scratch: Scratch) throws -> (base: BaseModel, warnings: [String]) {
        var warnings: [String] = []
        let base = try BaseModel.load(scratch.path, randomSeed: nil) {
            warnings.append(
                $0.description.replacing(scratch.path + "/", with: "").replacing(scratch.path, with: "FOLDER"))
        }
        return (base, warnings)
    }

    private static let warnings = [
        "own head": [
            "FOLDER: warning: lm_head.weight: differs from the token embedding, though tie_word_embeddings says that they "
                + "are one: both are kept"
        ],
        "other heads": [
            "FOLDER: warning: the model has no place for 5 tensors, which take no part in what is computed: lm_head.bias, "
                + "multiple_choice_head.summary.weight, score.weight, v_head.summary.bias, v_head.summary.weight"
        ],
        "synonyms before names": [
            "config.json:8:13: warning: n_head: differs from num_attention_heads, which counts, as in transformers"
        ],
        "cross-attention": [
            "config.json:16:26: warning: add_cross_attention: has no effect: without an encoder no cross-attention is "
                + "computed"
        ],
        "rope": [
            "config.json:16:17: warning: rope_theta: has no effect on GPT-2, here as in transformers",
            "config.json:17:21: warning: sliding_window: has no effect on GPT-2, here as in transformers",
        ],
    ]

    @Test("computes what transformers does", arguments: cases) func values(_ expected: Case) throws {
        let scratch = try folder(expected.weights, expected.config)
        let (base, warnings) = try load(scratch)
        let sequence = try Self.sequence.get()
        let found = base.logits(sequence)
        #expect(base.model.isHeadTied == expected.isTied)
        #expect(relativeDifference(Array(found.suffix(expected.logits.count)), expected.logits) < 1e-5)
        let width = expected.logits.count
        let losses = (1..<sequence.count).map { row in
            let scores = found[(row - 1) * width..<row * width].map(Double.init)
            return -scores[Int(sequence[row])] + log(scores.reduce(0) { $0 + exp($1) })
        }
        #expect((losses.reduce(0, +) / Double(losses.count) - expected.loss).magnitude < 1e-5)
        if expected.name.hasSuffix("layers") {
            #expect(warnings.count == 1 && warnings[0].contains("tensors, which take no part in what is computed: "))
        } else {
            #expect(warnings == Self.warnings[expected.name] ?? [])
        }
    }

    @Test("is one of 33 cases") func count() { #expect(Self.cases.count == 33) }

    @Test("stops where transformers' generate does, at any end that a file names") func ends() throws {
        let config = try Self.file.get().required("config").plain
        guard case .object(let members) = config else { return }
        for text in try Self.file.get().array("texts") {
            let scratch = try folder(
                "model", .object(members + [.init("eos_token_id", text.member("config")?.plain ?? .null)]))
            if let generation = text.member("generation_config"), !generation.isNull {
                try scratch.write(generation.plain.text(.indented), to: "generation_config.json")
            }
            let base = try BaseModel.quietly(scratch.path)
            let generator = Generator(
                base, settings: GenerationSettings(maximumNewTokens: 4, sampling: nil))
            let found = try generator.generate([try Self.sequence.get()], firstIndex: 0)
            var tokens = found[0].tokens
            if found[0].stop == .endOfText { tokens.append(8) }
            #expect(try tokens == text.array("tokens").map { Int32(try $0.asInteger()) })
        }
    }

    @Test(
        "appends the tokenizer's end, otherwise the first of config.json, otherwise of generation_config.json",
        arguments: [
            (nil, "[2, 3]", #"{"eos_token_id": [4, 5]}"#, 2, [2, 3, 4, 5]),
            (nil, "null", #"{"eos_token_id": 4}"#, 4, [4]),
            ("b", "2", nil, 1, [1, 2]), (nil, "null", nil, nil, []), (nil, "[]", "{}", nil, []),
        ] as [(String?, String, String?, Int32?, Set<Int32>)])
    func appended(
        _ token: String?, _ config: String, _ generation: String?, _ appended: Int32?, _ stops: Set<Int32>
    ) throws {
        let scratch = try Scratch()
        try scratch.write(
            #"{"model_type": "gpt2", "n_embd": 4, "n_layer": 0, "n_head": 1, "vocab_size": 7, "eos_token_id": \#(config)}"#,
            to: "config.json")
        try scratch.write(#"{"a": 0, "b": 1}"#, to: "vocab.json")
        try scratch.write("#version: 0.2\n", to: "merges.txt")
        if let token { try scratch.write(#"{"eos_token": "\#(token)"}"#, to: "tokenizer_config.json") }
        if let generation { try scratch.write(generation, to: "generation_config.json") }
        let base = try BaseModel.load(scratch.path, randomSeed: 1, warn: { Issue.record("unexpected: \($0)") })
        #expect(base.endOfText == EndOfText(stops: stops, appended: appended))
    }

    @Test("that names an end outside of its vocabulary does without, and says so") func unknownEnd() throws {
        let scratch = try Scratch()
        try scratch.write(
            #"{"model_type": "gpt2", "n_embd": 4, "n_layer": 0, "n_head": 1, "vocab_size": 7, "eos_token_id": [50256, 3]}"#,
            to: "config.json")
        var warnings: [String] = []
        let base = try BaseModel.load(scratch.path, randomSeed: 1, warn: { warnings.append($0.message) })
        #expect(base.endOfText == EndOfText(stops: [3], appended: 3))
        #expect(warnings == ["50256 is no id of the vocabulary, which has 7"])
    }

    @Test("with a head of its own is one on disk again once it is merged") func merged() throws {
        guard case .object(let members) = try Self.file.get().required("config").plain else { return }
        for (weights, names) in [("own-head", 2), ("head-only", 1), ("equal-head", 2)] {
            let scratch = try folder(weights, .object(members))
            let (base, _) = try load(scratch)
            let summary = try merge(
                MergeSettings(
                    base: scratch.path, adapters: [], output: scratch("merged"), elementType: .float16,
                    overwrites: false), warn: { _ in })
            #expect(summary.difference <= summary.bound)
            let merged = try BaseModel.quietly(scratch("merged"))
            #expect(merged.model.isHeadTied == base.model.isHeadTied)
            let file = try SafetensorsFile(path: scratch("merged/model.safetensors"), warn: { _ in })
            #expect(file.tensors.count { $0.name == "lm_head.weight" || $0.name.hasSuffix("wte.weight") } == names)
            let tied = try JSONNode.load(path: scratch("merged/config.json")).optionalBoolean("tie_word_embeddings")
            #expect(tied == (weights == "own-head" ? false : nil))
            let sequence = try Self.sequence.get()
            #expect(relativeDifference(merged.logits(sequence), base.logits(sequence).map(Double.init)) < 1e-2)
        }
    }
}
