import Batches
import Checkpoints
import Datasets
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

/// transformers' classifiers of Llama's family with and without peft, on the fixtures of
/// `scripts/fixtures/llama_classification.py`.
@Suite("A classifier of Llama's family") struct LlamaClassifierTests {
    static let adapters = ["llama-lora", "qwen2-lora", "mistral-regression"]

    private static let folder = fixture("llama/classification").path(percentEncoded: false) + "/"
    private static let padding: Int32 = 0

    private static func row(_ name: String) throws -> JSONNode {
        try JSONNode.load(path: folder + "expected.json").required(name)
    }

    /// Without the padding that one of them ends in; within another it stays.
    private static func examples(_ target: String) throws -> [Example] {
        try FileSystem.text(of: folder + "records.jsonl").split(separator: "\n").map { line in
            let record = try JSONNode.parse(String(line))
            var tokens = try record.array("ids").map { Int32(try $0.asInteger()) }
            if tokens.last == padding { tokens.removeLast() }
            return Example(
                tokens: tokens,
                label: target == "value"
                    ? .value(Float(try record.number(target))) : .category(Int32(try record.integer(target))))
        }
    }

    private static func outputs(_ model: any LanguageModel, _ examples: [Example]) -> [Float] {
        let batch = TokenBatch(examples)
        return model.logits(batch, rows: batch.offsets.dropFirst().map { $0 - 1 }, .inference()).values
    }

    private static func expected(_ row: JSONNode, _ key: String) throws -> [Double] {
        try row.array(key).flatMap { try $0.asArray().map { try $0.asNumber() } }
    }

    private static func load(_ name: String) throws -> BaseModel {
        guard adapters.contains(name) else { return try BaseModel.quietly(folder + "model") }
        let row = try row(name)
        return try BaseModel.load(
            fixture(row.string("base")).path(percentEncoded: false), randomSeed: nil,
            labels: row.string("target") == "value" ? .regression : .unnamed(3), headSeed: 1, quantization: nil,
            warn: { Issue.record("unexpected: \($0)") })
    }

    @Test("as transformers saved it is known as one, and gives its outputs within 1e-5")
    func forward() throws {
        let base = try Self.load("model")
        #expect(base.labels == LabelSet(names: ["good", "bad", "mixed"]))
        #expect(base.model.objective == .classification(labels: 3) && base.paddingID == Self.padding)
        #expect(base.model.transformersClass == "LlamaForSequenceClassification")
        let found = Self.outputs(base.model, try Self.examples("label"))
        #expect(try relativeDifference(found, Self.expected(Self.row("model"), "outputs")) <= 1e-5)
    }

    @Test("with an adapter of peft's gives its outputs within 1e-5", arguments: adapters)
    func adapter(name: String) throws {
        let (row, base) = (try Self.row(name), try Self.load(name))
        let examples = try Self.examples(row.string("target"))
        let before = Self.outputs(base.model, examples)
        let installation = try base.install(adapter: Self.folder + name)
        #expect(try relativeDifference(Self.outputs(base.model, examples), Self.expected(row, "start")) <= 1e-5)
        installation.remove()
        #expect(Self.outputs(base.model, examples) == before)
    }

    @Test(
        "trains as with the Trainer: losses, norms and outputs of 20 steps within 1e-4", arguments: ["full"] + adapters)
    func training(name: String) throws {
        let (row, base) = (try Self.row(name), try Self.load(name))
        let context = InstallationContext(seed: 1, basePath: "base", isTraining: true)
        let installation =
            name == "full"
            ? try Full().installWithHead(into: base.model, context)
            : try base.install(AdapterFolder(path: Self.folder + name, warn: { _ in }), context)
        let optimizer = AdamW(
            installation.trainable,
            AdamW.Settings(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, maximumNorm: 1))
        let runner = StepRunner(model: base.model, installation: installation, optimizer: optimizer, seed: 1)
        let examples = try Self.examples(row.string("target"))
        let batches = stride(from: 0, to: examples.count, by: 8).map {
            TokenBatch(Array(examples[$0..<min($0 + 8, examples.count)]))
        }
        let losses = try row.array("losses").map { try $0.asNumber() }
        let norms = try row.array("grad_norms").map { try $0.asNumber() }
        try #require(losses.count == 20 && norms.count == 20)
        for step in losses.indices {
            let factor = LearningRateSchedule(.linear).factor(step: step, warmup: 3, total: losses.count)
            let result = runner.step(
                [batches[step % batches.count]], firstPass: step,
                learningRate: try row.number("learning_rate") * factor)
            #expect(abs(result.loss - losses[step]) <= 1e-4 * losses[step], "loss of step \(step)")
            #expect(abs(result.gradientNorm - norms[step]) <= 1e-4 * norms[step], "norm of step \(step)")
        }
        let found = Self.outputs(base.model, examples)
        #expect(try relativeDifference(found, Self.expected(row, "outputs")) <= 1e-4)
    }
}
