import Batches
import Checkpoints
import Configuration
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

/// Thirty optimizer steps beside transformers' Trainer with peft, on the fixtures of `scripts/fixtures/train.py`.
@Suite("Thirty training steps", .serialized) struct ReferenceRunTests {
    static let cases = [
        "full", "lora", "lora-4x2", "lora-1x8", "lora-all-linear", "lora-bias-all", "lora-ln_f",
        "lora-dora", "lora-embeddings", "lora-tokens", "adalora",
    ]

    /// A run of a case: its losses and norms by step, and the tensors at the end.
    struct Run {
        var results: [StepResult] = []
        var tensors: [(name: String, tensor: Tensor)] = []

        init(_ name: String) throws {
            let folder = fixture("train/\(name)").path()
            let base = try BaseModel.load(fixture("train/base").path(), randomSeed: nil, warn: { _ in })
            let settings = try JSONNode.load(path: folder + "/settings.json").required("training")
            let context = InstallationContext(seed: 1, basePath: "base", isTraining: true)
            let installation =
                FileSystem.isFolder(folder + "/init")
                ? try base.install(AdapterFolder(path: folder + "/init", warn: { _ in }), context)
                : try Full().install(into: base.model, context)
            let optimizer = AdamW(
                installation.trainable,
                AdamW.Settings(
                    beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: try settings.number("weight_decay"),
                    maximumNorm: try settings.number("max_grad_norm")))
            let runner = StepRunner(
                model: base.model, installation: installation, optimizer: optimizer, seed: 1)
            let batchSize = try settings.integer("per_device_train_batch_size")
            let accumulation = try settings.integer("gradient_accumulation_steps")
            let steps = try settings.integer("max_steps")
            let schedule = LearningRateSchedule(.init(rawValue: try settings.string("lr_scheduler_type")) ?? .constant)
            let groups = try Self.epoch(batchSize: batchSize, accumulation: accumulation)
            for step in 0..<steps {
                let rate =
                    try settings.number("learning_rate")
                    * schedule.factor(step: step, warmup: try settings.integer("warmup_steps"), total: steps)
                results.append(runner.step(groups[step % groups.count], firstPass: step, learningRate: rate))
            }
            if case .adapter(_, let delivered) = installation.deliver() {
                tensors = delivered.map { (String($0.name.dropFirst(AdapterFolder.keyPrefix.count)), $0.tensor) }
            } else {
                tensors = installation.trainable.map { ($0.name, $0.tensor) }
            }
        }

        /// The micro-batches of each optimizer step of an epoch.
        static func epoch(batchSize: Int, accumulation: Int) throws -> [[TokenBatch]] {
            let text = try FileSystem.text(of: fixture("train/records.jsonl").path())
            let records = try text.split(separator: "\n").map { line -> (tokens: [Int32], labels: [Int32]) in
                let record = try JSONNode.parse(String(line))
                let prompt = try record.array("prompt_ids").map { Int32(try $0.asInteger()) }
                let completion = try record.array("completion_ids").map { Int32(try $0.asInteger()) }
                let all = prompt + completion
                let labels = all.indices.dropFirst().map { $0 < max(1, prompt.count) ? TokenBatch.ignored : all[$0] }
                return (Array(all.dropLast()), labels)
            }
            let batches = stride(from: 0, to: records.count, by: batchSize).map { start in
                var batch = TokenBatch(sequences: records[start..<min(start + batchSize, records.count)].map(\.tokens))
                batch.labels = records[start..<min(start + batchSize, records.count)].flatMap(\.labels)
                return batch
            }
            return stride(from: 0, to: batches.count, by: accumulation).map {
                Array(batches[$0..<min($0 + accumulation, batches.count)])
            }
        }
    }

    @Test("give the Trainer's losses and gradient norms within 1e-4", arguments: cases)
    func losses(name: String) throws {
        let run = try Run(name)
        let expected = try JSONNode.load(path: fixture("train/\(name)/expected.json").path())
        let losses = try expected.array("losses").map { try $0.asNumber() }
        let norms = try expected.array("grad_norms").map { try $0.asNumber() }
        let rates = try expected.array("learning_rates").map { try $0.asNumber() }
        #expect(run.results.count == 30 && losses.count == 30)
        for (step, result) in run.results.enumerated() {
            #expect(abs(result.loss - losses[step]) <= 1e-4 * losses[step], "loss of step \(step)")
            #expect(abs(result.gradientNorm - norms[step]) <= 1e-4 * norms[step], "norm of step \(step)")
            #expect(abs(result.learningRate - rates[step]) <= 1e-12, "learning rate of step \(step)")
        }
    }

    @Test("end as near to a float64 run as the reference's own float32 does, or within 1e-4", arguments: cases)
    func tensors(name: String) throws {
        let run = try Run(name)
        let folder = fixture("train/\(name)").path()
        let expected = try SafetensorsFile(path: folder + "/expected.safetensors", warn: { _ in })
        let errors = try JSONNode.load(path: folder + "/expected.json").required("reference_error")
        let keyBiases = try JSONNode.load(path: folder + "/expected.json").required("key_bias")
        for (name, tensor) in run.tensors {
            let fullName =
                expected.entry(named: "ref64.base_model.model." + name) == nil ? name : "base_model.model." + name
            let reference = try expected.raw(named: "ref64." + fullName).doubles()
            var values = tensor.values.map(Double.init)
            var counted = reference
            if let ownError = try keyBiases.optionalNumber(fullName) {
                // The middle third of c_attn's bias belongs to the keys, whose gradient is 0 but for rounding, which
                // AdamW scales up to whole steps; so the reference's own error is the measure.
                let third = values.count / 3
                for i in third..<2 * third {
                    #expect(abs(values[i] - reference[i]) <= 3 * ownError, "key bias \(i) of \(name)")
                }
                values.removeSubrange(third..<2 * third)
                counted.removeSubrange(third..<2 * third)
            }
            let difference = zip(values, counted).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
            let norm = counted.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let bound = max(1e-4, 3 * (try errors.optionalNumber(fullName) ?? 0))
            #expect(difference <= bound * norm, "\(name): \(difference / norm), bound \(bound)")
        }
    }
}
