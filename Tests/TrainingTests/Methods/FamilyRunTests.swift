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

/// peft's methods on the models of Llama's family, on the fixtures of `scripts/fixtures/llama_runs.py`.
@Suite("A method on a model of Llama's family", .serialized) struct FamilyRunTests {
    static let names =
        [
            "lora", "dora", "saved", "adalora", "loha", "lokr", "ia3", "ln_tuning", "prefix-projection", "prompt",
            "prefix", "ptuning", "full",
        ].map { "llama-grouped/" + $0 }
        + ["bias-all", "tokens", "ia3", "ln_tuning", "prompt", "prefix", "ptuning", "full"].map { "qwen2-layers/" + $0 }
        + ["lora", "prompt", "prefix", "full"].map { "mistral-window/" + $0 }
        + ["all-linear", "ia3", "prefix", "full"].map { "qwen3/" + $0 }

    private static let folder = fixture("llama/runs").path(percentEncoded: false) + "/"

    private struct Reference {
        let name: String
        let file: JSONNode
        let expected: JSONNode
        let sequence: [Int32]
        /// The logits of the last token at the start and after training.
        let logits: [[Double]]

        init(_ name: String) throws {
            self.name = name
            file = try JSONNode.load(path: folder + "expected.json")
            expected = try file.required("cases").required(name)
            sequence = try file.array("sequence").map { Int32(try $0.asInteger()) }
            let both = try SafetensorsFile(path: folder + "expected.safetensors", warn: { _ in })
                .raw(named: name).doubles()
            logits = [Array(both.prefix(both.count / 2)), Array(both.suffix(both.count / 2))]
        }

        var adapter: String { folder + name }
        var model: String { "llama/" + name.prefix { $0 != "/" } }
        var isLearnedPrompt: Bool {
            get throws { ["prompt_tuning", "prefix_tuning", "p_tuning"].contains(try expected.string("method")) }
        }
        var training: JSONNode { get throws { try file.required("trainings").required(expected.string("training")) } }

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
    }

    private static func last(_ base: BaseModel, _ reference: Reference) -> [Float] {
        Array(base.logits(reference.sequence).suffix(reference.logits[0].count))
    }

    /// The records in groups of micro-batches, one epoch of them.
    private static func batches(size: Int) throws -> [TokenBatch] {
        let records = try FileSystem.text(of: folder + "records.jsonl").split(separator: "\n").map { line in
            let record = try JSONNode.parse(String(line))
            let prompt = try record.array("prompt_ids").map { Int32(try $0.asInteger()) }
            let all = prompt + (try record.array("completion_ids").map { Int32(try $0.asInteger()) })
            let labels = all.indices.dropFirst().map { $0 < prompt.count ? TokenBatch.ignored : all[$0] }
            return (tokens: Array(all.dropLast()), labels: labels)
        }
        return stride(from: 0, to: records.count, by: size).map { start in
            let part = records[start..<min(start + size, records.count)]
            var batch = TokenBatch(sequences: part.map(\.tokens))
            batch.labels = part.flatMap(\.labels)
            return batch
        }
    }

    @Test("is in the list here") func lists() throws {
        let cases = try JSONNode.load(path: Self.folder + "expected.json").object("cases")
        #expect(cases.map(\.key).sorted() == Self.names.sorted())
    }

    @Test(
        "finds peft's modules where none are named",
        arguments: [
            ("llama", "llama-grouped"), ("mistral", "mistral-window"), ("qwen2", "qwen2-layers"), ("qwen3", "qwen3"),
        ])
    func defaults(family: String, model: String) throws {
        let all = try JSONNode.load(path: Self.folder + "expected.json").required("defaults").required(family)
        func expected(_ method: String, _ key: String) throws -> [String] {
            try all.required(method).array(key).map { try $0.asString() }
        }
        let found = try BaseModel.quietly(fixture("llama/\(model)").path()).model.defaultTargets
        #expect(try found.queriesAndValues.sorted() == expected("lora", "target_modules"))
        #expect(try (found.rescaled + found.feedForwardOutputs).sorted() == expected("ia3", "target_modules"))
        #expect(try found.feedForwardOutputs == expected("ia3", "feedforward_modules"))
        #expect(try found.norms.sorted() == expected("ln_tuning", "target_modules"))
    }

    @Test("gives peft's logits within 1e-5: from its file, trained further, and merged", arguments: names)
    func logits(name: String) throws {
        let reference = try Reference(name)
        let expected = reference.logits[0]
        #expect(relativeDifference(Self.last(try reference.installed().base, reference), expected) <= 1e-5)
        guard FileSystem.isFolder(reference.adapter) else { return }
        let base = try BaseModel.quietly(fixture(reference.model).path())
        let before = base.logits(reference.sequence)
        let installation = try base.install(adapter: reference.adapter)
        #expect(relativeDifference(Self.last(base, reference), expected) <= 1e-5)
        installation.remove()
        #expect(base.logits(reference.sequence) == before)
        let again = try base.install(adapter: reference.adapter)
        #expect((again.mergeObstacle != nil) == (try reference.isLearnedPrompt))
        guard again.mergeObstacle == nil else { return }
        again.merge(weight: 1)
        #expect(relativeDifference(Self.last(base, reference), expected) <= 1e-5)
    }

    @Test("is continued greedily as transformers and peft do", arguments: names)
    func greedy(name: String) throws {
        let reference = try Reference(name)
        guard let text = try reference.expected.optional("greedy") else { return }
        let base = try BaseModel.quietly(fixture(reference.model).path())
        _ = try base.install(adapter: reference.adapter)
        let generator = Generator(
            model: base.model, endIDs: [], settings: GenerationSettings(maximumNewTokens: 9, sampling: nil))
        let found = try generator.generate([Array(reference.sequence.prefix(4))], firstIndex: 0)[0].tokens
        #expect(found == (try text.asArray().map { Int32(try $0.asInteger()) }), "\(found)")
    }

    @Test("trains as with the Trainer: losses, norms and logits of 20 steps within 1e-4", arguments: names)
    func training(name: String) throws {
        let reference = try Reference(name)
        let settings = try reference.training
        let (base, installation) = try reference.installed()
        let optimizer = AdamW(
            installation.trainable,
            AdamW.Settings(
                beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: try settings.number("weight_decay"),
                maximumNorm: try settings.number("max_grad_norm")))
        let runner = StepRunner(model: base.model, installation: installation, optimizer: optimizer, seed: 1)
        let schedule = LearningRateSchedule(rawValue: try settings.string("lr_scheduler_type")) ?? .constant
        let warmup = try settings.integer("warmup_steps")
        let batches = try Self.batches(size: settings.integer("per_device_train_batch_size"))
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
        #expect(relativeDifference(Self.last(base, reference), reference.logits[1]) <= 1e-4)
    }
}
