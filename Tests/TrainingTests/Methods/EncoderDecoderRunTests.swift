import Batches
import Checkpoints
import Files
import FoundationEssentials
import JSONText
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

/// peft's methods on T5, on the fixtures of `scripts/fixtures/t5_adapters.py`.
@Suite("A method on a model with an encoder", .serialized) struct EncoderDecoderRunTests {
    static let names =
        [
            "lora", "dora", "adalora", "loha", "lokr", "ia3", "ln_tuning", "prompt", "ptuning-mlp", "ptuning-lstm",
            "prefix", "prefix-projection", "full",
        ].map { "relu/" + $0 }
        + ["all-rslora", "saved", "ia3", "ptuning-mlp", "prefix", "full"].map { "three/" + $0 }

    private static let folder = fixture("t5/runs").path(percentEncoded: false) + "/"

    private struct Reference {
        let name: String
        let file: JSONNode
        let expected: JSONNode
        let pairs: [(source: [Int32], target: [Int32])]
        /// The logits of the last token of each pair, at the start and after training.
        let logits: [[Double]]

        init(_ name: String) throws {
            self.name = name
            file = try JSONNode.load(path: folder + "expected.json")
            expected = try file.required("cases").required(name)
            func ids(_ node: JSONNode, _ key: String) throws -> [Int32] {
                try node.array(key).map { Int32(try $0.asInteger()) }
            }
            pairs = try file.array("pairs").map { (try ids($0, "source"), try ids($0, "target")) }
            let both = try SafetensorsFile(path: folder + "expected.safetensors", warn: { _ in })
                .raw(named: name).doubles()
            logits = [Array(both.prefix(both.count / 2)), Array(both.suffix(both.count / 2))]
        }

        var adapter: String { folder + name }
        var model: String { "t5/" + name.prefix { $0 != "/" } }
        var isLearnedPrompt: Bool {
            get throws { ["prompt_tuning", "prefix_tuning", "p_tuning"].contains(try expected.string("method")) }
        }

        /// The method with the settings of the case, in a fresh model, with the values that training starts from.
        func installed() throws -> (base: BaseModel, installation: any Installation) {
            let base = try BaseModel.quietly(fixture(model).path())
            let settings = try expected.required("settings").plain.text(.compact)
            let installation = try method(try expected.string("method"), settings).install(
                into: base.model, InstallationContext(seed: 1, basePath: "base", isTraining: true))
            guard FileSystem.isFolder(adapter) else { return (base, installation) }
            let stored = try AdapterFolder(path: adapter, warn: { _ in })
            if try !isLearnedPrompt {
                let tensors = try stored.entries.map { ($0.path, try stored.tensor($0)) }
                try installation.load(Dictionary(uniqueKeysWithValues: tensors), file: adapter)
                return (base, installation)
            }
            let file = try SafetensorsFile(path: adapter + "/adapter_model.safetensors", warn: { _ in })
            let encoders = try SafetensorsFile(path: folder + "start.safetensors", warn: { _ in })
            for parameter in installation.trainable {
                let start =
                    parameter.name == "prompt_embeddings"
                    ? try file.tensor(named: parameter.name) : try encoders.tensor(named: "\(name).\(parameter.name)")
                try #require(start.shape == parameter.tensor.shape, "\(parameter.name)")
                parameter.tensor.data.update(from: start.data, count: start.count)
            }
            return (base, installation)
        }

        /// The logits of the last token of each pair, one alone after the other.
        func last(_ base: BaseModel) -> [Float] {
            pairs.flatMap { pair in
                let example = Example(
                    source: pair.source, tokens: base.model.opening(pair.source) + pair.target,
                    targets: [1..<pair.target.count + 1])
                let all = base.model.logits(base.model.batch([example]), rows: nil, .inference()).values
                return all.suffix(base.model.vocabularySize)
            }
        }
    }

    /// The records in batches, one epoch of them.
    private static func batches(size: Int, _ model: any LanguageModel) throws -> [TokenBatch] {
        let examples = try FileSystem.text(of: folder + "records.jsonl").split(separator: "\n").map { line in
            let record = try JSONNode.parse(String(line))
            func ids(_ key: String) throws -> [Int32] { try record.array(key).map { Int32(try $0.asInteger()) } }
            let (source, target) = (try ids("prompt_ids"), try ids("completion_ids"))
            return Example(
                source: source, tokens: model.opening(source) + target, targets: [1..<target.count + 1])
        }
        return stride(from: 0, to: examples.count, by: size).map { start in
            model.batch(Array(examples[start..<min(start + size, examples.count)]))
        }
    }

    @Test("is in the list here") func lists() throws {
        let cases = try JSONNode.load(path: Self.folder + "expected.json").object("cases")
        #expect(cases.map(\.key).sorted() == Self.names.sorted())
    }

    @Test(
        "finds peft's modules where none are named",
        arguments: [("t5", "relu", "relu"), ("t5", "gated-gelu", "gated"), ("mt5", "gated-gelu", "mt5")])
    func defaults(family: String, feedForward: String, model: String) throws {
        let all = try JSONNode.load(path: Self.folder + "expected.json").required("defaults").required(family)
            .required(feedForward)
        func expected(_ method: String, _ key: String) throws -> [String] {
            try all.required(method).array(key).map { try $0.asString() }
        }
        let found = try BaseModel.quietly(fixture("t5/\(model)").path()).model.defaultTargets
        #expect(try found.queriesAndValues.sorted() == expected("lora", "target_modules"))
        #expect(try (found.rescaled + found.feedForwardOutputs).sorted() == expected("ia3", "target_modules"))
        #expect(try found.feedForwardOutputs == expected("ia3", "feedforward_modules"))
        #expect(try found.norms.sorted() == expected("ln_tuning", "target_modules"))
        #expect(try found.allocated.sorted() == expected("adalora", "target_modules"))
    }

    @Test("gives peft's logits within 1e-5: from its file, trained further, and merged", arguments: names)
    func logits(name: String) throws {
        let reference = try Reference(name)
        let expected = reference.logits[0]
        #expect(relativeDifference(reference.last(try reference.installed().base), expected) <= 1e-5)
        guard FileSystem.isFolder(reference.adapter) else { return }
        let base = try BaseModel.quietly(fixture(reference.model).path())
        let before = reference.last(base)
        let installation = try base.install(adapter: reference.adapter)
        #expect(relativeDifference(reference.last(base), expected) <= 1e-5)
        installation.remove()
        #expect(reference.last(base) == before)
        let again = try base.install(adapter: reference.adapter)
        #expect((again.mergeObstacle != nil) == (try reference.isLearnedPrompt))
        guard again.mergeObstacle == nil else { return }
        again.merge(weight: 1)
        #expect(relativeDifference(reference.last(base), expected) <= 1e-5)
    }

    @Test("is continued greedily as peft's forward pass goes on token by token", arguments: names)
    func greedy(name: String) throws {
        let reference = try Reference(name)
        guard let text = try reference.expected.optional("greedy") else { return }
        let base = try BaseModel.quietly(fixture(reference.model).path())
        _ = try base.install(adapter: reference.adapter)
        let generator = Generator(
            model: base.model, endIDs: [], settings: GenerationSettings(maximumNewTokens: 9, sampling: nil))
        let found = try generator.generate(reference.pairs.map(\.source), firstIndex: 0)[0].tokens
        #expect(found == (try text.asArray().map { Int32(try $0.asInteger()) }), "\(found)")
    }

    @Test("trains as with the Trainer: losses, norms and logits of 20 steps within 1e-4", arguments: names)
    func training(name: String) throws {
        let reference = try Reference(name)
        let settings = try reference.file.required("trainings").required(reference.expected.string("training"))
        let (base, installation) = try reference.installed()
        let optimizer = AdamW(
            installation.trainable,
            AdamW.Settings(
                beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: try settings.number("weight_decay"),
                maximumNorm: try settings.number("max_grad_norm")))
        let runner = StepRunner(model: base.model, installation: installation, optimizer: optimizer, seed: 1)
        let schedule = LearningRateSchedule(rawValue: try settings.string("lr_scheduler_type")) ?? .constant
        let warmup = try settings.integer("warmup_steps")
        let batches = try Self.batches(size: settings.integer("per_device_train_batch_size"), base.model)
        let losses = try reference.expected.array("losses").map { try $0.asNumber() }
        let norms = try reference.expected.array("grad_norms").map { try $0.asNumber() }
        try #require(losses.count == 20 && norms.count == 20)
        for step in losses.indices {
            let rate =
                try settings.number("learning_rate")
                * schedule.factor(step: step, warmup: warmup, total: losses.count)
            let result = runner.step([batches[step % batches.count]], firstPass: step, learningRate: rate)
            #expect(abs(result.loss - losses[step]) <= 1e-4 * losses[step], "loss of step \(step)")
            #expect(abs(result.gradientNorm - norms[step]) <= 1e-4 * norms[step], "norm of step \(step)")
        }
        #expect(relativeDifference(reference.last(base), reference.logits[1]) <= 1e-4)
    }
}
