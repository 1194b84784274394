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

/// peft's methods on the families that came after GPT-2, and on models of 4 and 8 bits, on the fixtures of
/// `scripts/fixtures/llama_runs.py`, `t5_adapters.py` and `quantized.py`.
@Suite("A method on a model of another family or in fewer bits", .serialized) struct FamilyRunTests {
    static let names =
        [
            "lora", "dora", "saved", "adalora", "loha", "lokr", "ia3", "ln_tuning", "prefix-projection", "prompt",
            "prefix", "ptuning", "full",
        ].map { "llama/llama-grouped/" + $0 }
        + ["bias-all", "tokens", "ia3", "ln_tuning", "prompt", "prefix", "ptuning", "full"].map {
            "llama/qwen2-layers/" + $0
        }
        + ["lora", "prompt", "prefix", "full"].map { "llama/mistral-window/" + $0 }
        + ["all-linear", "ia3", "prefix", "full"].map { "llama/qwen3/" + $0 }
        + [
            "lora", "dora", "adalora", "loha", "lokr", "ia3", "ln_tuning", "prompt", "ptuning-mlp", "ptuning-lstm",
            "prefix", "prefix-projection", "full",
        ].map { "t5/relu/" + $0 }
        + ["all-rslora", "saved", "ia3", "ptuning-mlp", "prefix", "full"].map { "t5/three/" + $0 }
        + ["adalora", "dora", "ia3", "ln_tuning", "loha", "lora", "prefix", "prompt", "saved"].map {
            "quantized/gpt2/" + $0
        }
        + ["dora", "ia3", "lokr", "lora", "prefix", "tokens"].map { "quantized/llama/" + $0 }
        + ["all-linear", "dora"].map { "quantized/llama-int8/" + $0 }

    /// What logits are of: a text, behind a source where an encoder reads one.
    struct Text {
        let source: [Int32]?
        let tokens: [Int32]
    }

    struct Reference {
        /// Of the fixtures, such as `t5`.
        let family: String
        /// The model's and the case's, such as `relu/lora`.
        let name: String
        let file: JSONNode
        let expected: JSONNode
        let texts: [Text]
        /// The logits of the last token of each text, at the start and after training.
        let logits: [[Double]]

        init(_ path: String) throws {
            let parts = path.split(separator: "/", maxSplits: 1).map(String.init)
            (family, name) = (parts[0], parts[1])
            let folder = Self.folder(family)
            file = try JSONNode.load(path: folder + "expected.json")
            expected = try file.required("cases").required(name)
            if let pairs = try file.optional("pairs") {
                texts = try pairs.asArray().map {
                    Text(source: try ids($0.required("source")), tokens: try ids($0.required("target")))
                }
            } else {
                texts = [Text(source: nil, tokens: try ids(file.required("sequence")))]
            }
            let both = try SafetensorsFile(path: folder + "expected.safetensors", warn: { _ in })
                .raw(named: name).doubles()
            logits = [Array(both.prefix(both.count / 2)), Array(both.suffix(both.count / 2))]
        }

        static func folder(_ family: String) -> String {
            fixture("\(family)/runs").path(percentEncoded: false) + "/"
        }

        var folder: String { Self.folder(family) }
        var adapter: String { folder + name }
        var model: String { "\(family)/" + name.prefix { $0 != "/" } }
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
                // Biases of saved modules that peft stores several times over.
                let entries = stored.entries.filter { entry in
                    ![".modules_to_save.", ".original_module."].contains(where: entry.path.contains)
                }
                let tensors = try entries.map { ($0.path, try stored.tensor($0)) }
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

        /// The logits of the last token of each text, one alone after the other.
        func last(_ base: BaseModel) -> [Float] {
            texts.flatMap { text in
                let all =
                    text.source == nil
                    ? base.logits(text.tokens)
                    : base.logits(base.model.opening([]) + text.tokens.dropLast(), source: text.source)
                return all.suffix(base.model.vocabularySize)
            }
        }

        /// The records in batches, one epoch of them.
        func batches(size: Int, _ model: any LanguageModel) throws -> [TokenBatch] {
            let examples = try FileSystem.text(of: folder + "records.jsonl").split(separator: "\n").map { line in
                let record = try JSONNode.parse(String(line))
                let (given, wanted) = (
                    try ids(record.required("prompt_ids")), try ids(record.required("completion_ids"))
                )
                if model.hasEncoder {
                    return Example(
                        source: given, tokens: model.opening(given) + wanted, targets: [1..<wanted.count + 1])
                }
                return Example(tokens: given + wanted, firstTarget: max(1, given.count))
            }
            return stride(from: 0, to: examples.count, by: size).map { start in
                model.batch(Array(examples[start..<min(start + size, examples.count)]))
            }
        }
    }

    @Test("is in the list here", arguments: ["llama", "t5", "quantized"]) func lists(family: String) throws {
        let cases = try JSONNode.load(path: Reference.folder(family) + "expected.json").object("cases")
        #expect(
            cases.map { "\(family)/\($0.key)" }.sorted() == Self.names.filter { $0.hasPrefix(family + "/") }.sorted())
    }

    @Test(
        "finds peft's modules where none are named",
        arguments: [
            (["llama"], "llama/llama-grouped"), (["mistral"], "llama/mistral-window"),
            (["qwen2"], "llama/qwen2-layers"), (["qwen3"], "llama/qwen3"), (["t5", "relu"], "t5/relu"),
            (["t5", "gated-gelu"], "t5/gated"), (["mt5", "gated-gelu"], "t5/mt5"),
            (["gpt2"], "quantized/gpt2"), (["llama"], "quantized/llama-int8"),
        ])
    func defaults(keys: [String], model: String) throws {
        let folder = Reference.folder(String(model.prefix { $0 != "/" }))
        let all = try keys.reduce(JSONNode.load(path: folder + "expected.json").required("defaults")) {
            try $0.required($1)
        }
        func expected(_ method: String, _ key: String) throws -> [String] {
            try all.required(method).array(key).map { try $0.asString() }
        }
        let found = try BaseModel.quietly(fixture(model).path()).model.defaultTargets
        #expect(try found.queriesAndValues.sorted() == expected("lora", "target_modules"))
        #expect(try (found.rescaled + found.feedForwardOutputs).sorted() == expected("ia3", "target_modules"))
        #expect(try found.feedForwardOutputs == expected("ia3", "feedforward_modules"))
        #expect(try found.norms.sorted() == expected("ln_tuning", "target_modules"))
        if try all.optional("adalora") != nil {
            #expect(try found.allocated.sorted() == expected("adalora", "target_modules"))
        }
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

    @Test("is continued greedily as transformers and peft go on token by token", arguments: names)
    func greedy(name: String) throws {
        let reference = try Reference(name)
        guard let text = try reference.expected.optional("greedy") else { return }
        let base = try BaseModel.quietly(fixture(reference.model).path())
        _ = try base.install(adapter: reference.adapter)
        let generator = Generator(
            model: base.model, endIDs: [], settings: GenerationSettings(maximumNewTokens: 9, sampling: nil))
        // Together with others, where there are some.
        let prompts = reference.texts.map { $0.source ?? Array($0.tokens.prefix(4)) }
        let found = try generator.generate(prompts, firstIndex: 0)[0].tokens
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
        let schedule = LearningRateSchedule(.init(rawValue: try settings.string("lr_scheduler_type")) ?? .constant)
        let warmup = try settings.integer("warmup_steps")
        let batches = try reference.batches(size: settings.integer("per_device_train_batch_size"), base.model)
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

func ids(_ node: JSONNode) throws -> [Int32] { try node.asArray().map { Int32(try $0.asInteger()) } }
