import Batches
import FoundationEssentials
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

@Suite("Noise on embeddings") struct NoiseTests {
    /// The largest change of an embedding, and whether the pass changed any.
    private func change(_ model: any DecoderModel, _ batch: TokenBatch, alpha: Double) -> Double {
        let plain = model.embedded(batch, virtualTable: nil, .inference())
        let noisy = model.embedded(batch, virtualTable: nil, .training(seed: 1, pass: 0, noiseAlpha: alpha))
        return zip(plain.values, noisy.values).reduce(0) { max($0, Double(($1.0 - $1.1).magnitude)) }
    }

    @Test("is as large as NEFTune has it, by the longest text of the micro-batch with its last token")
    func size() throws {
        let model = try #require(
            try BaseModel.load(fixture("train/base").path(), randomSeed: nil, warn: { _ in }).model
                as? any DecoderModel)
        let width = Double(model.promptShape.width)
        let short = Example(tokens: Array(0..<5), firstTarget: 1)
        let long = Example(tokens: Array(0..<11), firstTarget: 3)
        for (examples, length) in [([short], 5.0), ([short, long, short], 11.0)] {
            let bound = 3 / (length * width).squareRoot()
            let found = change(model, model.batch(examples), alpha: 3)
            #expect(found <= bound * 1.001 && found > 0.85 * bound, "\(found) of \(bound)")
        }
        #expect(change(model, model.batch([short]), alpha: 0) == 0)
        // What both begin with belongs to the longest, as does its last token.
        let shared = TokenBatch(sharing: [long, Example(tokens: Array(0..<10) + [12], firstTarget: 3)])
        #expect(shared.parents == [nil, 0, 0] && shared.longest == 11)
        #expect(change(model, shared, alpha: 3) <= 3 / (11 * width).squareRoot() * 1.001)
    }

    @Test("makes other hidden states of a record each time, so that none of the training data are kept")
    func keptStates() throws {
        let training = try TinyTraining(model: TinyTraining.gpt2.replacing("\": 0.1", with: "\": 0"))
        // What is said of prompts is no matter here.
        let upper = [
            "peft.method=last_layers", "training.learning_rate=1.0e-3", "training.share_prompts=off",
        ]
        let noise = upper + ["training.neftune_noise_alpha=5"]
        let recorder = try training.run(noise, into: "noisy")
        #expect(
            recorder.plan?.notes == [
                "hidden states of the training data aren't kept, because neftune_noise_alpha makes others of a record each "
                    + "time: without it epochs after the first would skip 1 of 2 blocks"
            ])
        try training.run(noise + ["training.keep_hidden_states=off"], into: "off")
        let file = "adapter_model.safetensors"
        #expect(try training.bytes("noisy/\(file)") == training.bytes("off/\(file)"))
    }

    @Test("takes no part in evaluation, where smoothing does")
    func evaluation() throws {
        let training = try TinyTraining()
        let common = [
            "data.validation=\(training.scratch("validation.jsonl"))", "training.eval_steps=4",
            "training.learning_rate=0",
        ]
        let plain = try training.run(common, into: "plain").evaluated.map(\.loss)
        let noisy = try training.run(common + ["training.neftune_noise_alpha=100"], into: "noisy").evaluated.map(\.loss)
        let smooth = try training.run(common + ["training.label_smoothing_factor=0.5"], into: "smooth").evaluated
            .map(\.loss)
        #expect(plain.count == 3 && noisy == plain)
        #expect(zip(plain, smooth).allSatisfy { abs($0 - $1) > 1e-4 })
    }
}

@Suite("Smoothed labels") struct SmoothingTests {
    @Test("of numbers are refused")
    func numbers() throws {
        let training = try TinyTraining()
        try training.scratch.write(
            (0..<8).map { #"{"t": "the soup \#($0)", "y": "\#($0).5"}"# }.joined(separator: "\n"), to: "numbers.jsonl")
        let failure = training.failure([
            "task=sequence_classification",
            "data={train: \(training.scratch("numbers.jsonl")), text: '{t}', label: '{y}'}",
            "training.label_smoothing_factor=0.1",
        ])
        #expect(
            failure
                == "--set training.label_smoothing_factor=0.1: error: training.label_smoothing_factor: goes with labels that are "
                + "classes, and these are numbers")
    }
}
