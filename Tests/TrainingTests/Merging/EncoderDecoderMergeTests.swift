import Checkpoints
import FoundationEssentials
import JSONText
import Layers
import Models
import Tensors
import TestSupport
import Testing
import Training

/// What releases 4 and 5 of transformers read otherwise: whether T5's head is the token embedding, and what its input is
/// multiplied by. `isPlain` is a head that is both the embedding and scaled, for which all agree.
@Suite("A merged model with an encoder") struct EncoderDecoderMergeTests {
    @Test(
        "computes what base and adapter did, and says of its head what all releases of transformers read alike",
        arguments: [
            ("relu", true), ("duplicates", true), ("embed-only", true), ("gated", false), ("gated-5x", false),
            ("mt5-tied", false),
        ],
        [#"{"r": 2, "target_modules": ["q", "wo"]}"#, #"{"r": 2, "target_modules": ["lm_head"]}"#])
    func head(_ model: (folder: String, isPlain: Bool), settings: String) throws {
        let scratch = try Scratch()
        let base = fixture("t5/\(model.folder)").path()
        try WrittenAdapterTests.write("lora", settings, of: base, to: scratch, "adapter")
        _ = try merge(
            MergeSettings(
                base: base, adapters: [.init(path: scratch("adapter"), weight: 1)], output: scratch("merged"),
                elementType: .float32, overwrites: false), warn: { _ in })
        let (source, ids): ([Int32], [Int32]) = ([5, 9, 8, 1], [0, 7, 3])
        let live = try BaseModel.load(base, randomSeed: nil, warn: { _ in })
        _ = try live.install(adapter: scratch("adapter"))
        let merged = try BaseModel.quietly(scratch("merged"))
        let (found, expected) = (merged.logits(ids, source: source), live.logits(ids, source: source))
        #expect(relativeDifference(found, expected.map(Double.init)) <= 1e-5)

        let isPlain = model.isPlain && !settings.contains("lm_head")
        let configuration = try JSONNode.load(path: scratch("merged/config.json"))
        let scale = configuration.member("scale_decoder_outputs")
        #expect(try configuration.optionalBoolean("tie_word_embeddings") ?? true == isPlain)
        #expect(try scale == nil || scale?.asBoolean() == isPlain)
        let weights = try ModelWeights(folder: scratch("merged"), warn: { _ in })
        #expect((weights.entry(named: "lm_head.weight") != nil) == !isPlain)
    }
}
