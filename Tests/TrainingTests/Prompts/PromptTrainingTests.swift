import Batches
import Checkpoints
import FoundationEssentials
import Configuration
import Files
import JSONText
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

/// Thirty optimizer steps beside transformers' Trainer with peft, on the fixtures of `scripts/fixtures/prompts.py`.
@Suite("Thirty training steps of a learned prompt", .serialized) struct PromptTrainingTests {
    static let cases: [(method: String, name: String)] = [
        ("prompt_tuning", "train-prompt"), ("prefix_tuning", "train-prefix"), ("p_tuning_v2", "train-prefix"),
        ("prefix_tuning", "train-prefix-projection"), ("p_tuning_v2", "train-prefix-projection"),
        ("p_tuning", "train-ptuning-mlp"), ("p_tuning", "train-ptuning-lstm"),
    ]

    @Test("give the Trainer's losses, norms and tensors within 1e-4", arguments: cases)
    func training(_ method: String, name: String) throws {
        let folder = fixture("prompts/\(name)").path()
        let base = try BaseModel.quietly(fixture("train/base").path())
        let all = try JSONNode.load(path: folder + "/settings.json")
        let settings = try all.required("training")
        var peft = try all.object("peft").filter { $0.key != "task_type" }.map {
            JSONValue.Member($0.key, $0.value.plain)
        }
        // peft has none.
        if method == "p_tuning_v2" { peft.append(.init("prefix_dropout", 0)) }
        let section = try ConfigDocument(json: JSONNode.parse(JSONValue.object(peft).text(.compact))).root
        let type = try #require(methods.first { $0.name == method })
        let installation = try make(type, section).install(
            into: base.model, InstallationContext(seed: 1, basePath: "base", isTraining: true))
        let tensors = try SafetensorsFile(path: folder + "/tensors.safetensors", warn: { _ in })
        for parameter in installation.trainable {
            let start = try tensors.tensor(named: "init." + reference(parameter.name))
            #expect(start.shape == parameter.tensor.shape, "\(parameter.name)")
            parameter.tensor.data.update(from: start.data, count: start.count)
        }
        #expect(tensors.tensors.count == 2 * installation.trainable.count)

        let results = try run(base.model, installation, settings)
        let expected = try JSONNode.load(path: folder + "/expected.json")
        let losses = try expected.array("losses").map { try $0.asNumber() }
        let norms = try expected.array("grad_norms").map { try $0.asNumber() }
        #expect(results.count == 30 && losses.count == 30)
        for (step, result) in results.enumerated() {
            #expect(abs(result.loss - losses[step]) <= 1e-4 * losses[step], "loss of step \(step)")
            #expect(abs(result.gradientNorm - norms[step]) <= 1e-4 * norms[step], "norm of step \(step)")
        }
        for parameter in installation.trainable {
            let reference = try tensors.raw(named: "final." + reference(parameter.name)).doubles()
            let difference = zip(parameter.tensor.values, reference).reduce(0) {
                $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1)
            }.squareRoot()
            let norm = reference.reduce(0) { $0 + $1 * $1 }.squareRoot()
            #expect(difference <= 1e-4 * norm, "\(parameter.name): \(difference / norm)")
        }
    }

    /// The name in peft's encoder, where a table stands alone too.
    private func reference(_ name: String) -> String { name == "prompt_embeddings" ? "embedding.weight" : name }

    private func make<Method: PEFTMethod>(_ type: Method.Type, _ section: ConfigSection) throws -> any PEFTMethod {
        try type.init(section, startingFrom: nil)
    }

    private func run(
        _ model: any LanguageModel, _ installation: any Installation, _ settings: JSONNode
    ) throws -> [StepResult] {
        let optimizer = AdamW(
            installation.trainable,
            AdamW.Settings(
                beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: try settings.number("weight_decay"),
                maximumNorm: try settings.number("max_grad_norm")))
        let runner = StepRunner(model: model, installation: installation, optimizer: optimizer, seed: 1)
        let schedule = LearningRateSchedule(.init(rawValue: try settings.string("lr_scheduler_type")) ?? .constant)
        let (rate, warmup) = (try settings.number("learning_rate"), try settings.integer("warmup_steps"))
        let groups = try batches(
            size: settings.integer("per_device_train_batch_size"),
            accumulation: settings.integer("gradient_accumulation_steps"))
        return (0..<30).map { step in
            runner.step(
                groups[step % groups.count], firstPass: 100 * step,
                learningRate: rate * schedule.factor(step: step, warmup: warmup, total: 30))
        }
    }

    /// The records but the first, which leaves no position for virtual tokens, in groups of micro-batches.
    private func batches(size: Int, accumulation: Int) throws -> [[TokenBatch]] {
        let text = try FileSystem.text(of: fixture("train/records.jsonl").path())
        let records = try text.split(separator: "\n").dropFirst().map { line in
            let record = try JSONNode.parse(String(line))
            let prompt = try record.array("prompt_ids").map { Int32(try $0.asInteger()) }
            let tokens = prompt + (try record.array("completion_ids").map { Int32(try $0.asInteger()) })
            let labels = tokens.indices.dropFirst().map { $0 < prompt.count ? TokenBatch.ignored : tokens[$0] }
            return (tokens: Array(tokens.dropLast()), labels: labels)
        }
        let batches = stride(from: 0, to: records.count, by: size).map { start in
            let part = records[start..<min(start + size, records.count)]
            var batch = TokenBatch(sequences: part.map(\.tokens))
            batch.labels = part.flatMap(\.labels)
            return batch
        }
        return stride(from: 0, to: batches.count, by: accumulation).map {
            Array(batches[$0..<min($0 + accumulation, batches.count)])
        }
    }
}
