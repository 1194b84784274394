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

/// transformers' GPT2ForSequenceClassification with and without peft, on the fixtures of
/// `scripts/fixtures/classification.py`.
@Suite("A classifier") struct ClassifierReferenceTests {
    private static let folder = fixture("classification").path(percentEncoded: false) + "/"
    private static let padding: Int32 = 47

    private static func records(_ target: String) throws -> [Example] {
        try FileSystem.text(of: folder + "records.jsonl").split(separator: "\n").map { line in
            let record = try JSONNode.parse(String(line))
            var tokens = try record.array("ids").map { Int32(try $0.asInteger()) }
            if tokens.count > 1, tokens.last == padding { tokens.removeLast() }
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

    private static func expected(_ name: String, _ key: String) throws -> [Float] {
        try JSONNode.load(path: folder + "expected.json").required(name).array(key).flatMap { row in
            try row.asArray().map { Float(try $0.asNumber()) }
        }
    }

    private func difference(_ found: [Float], _ expected: [Float]) -> Float {
        let largest = expected.reduce(0) { max($0, $1.magnitude) }
        return zip(found, expected).reduce(found.count == expected.count ? 0 : .infinity) {
            max($0, ($1.0 - $1.1).magnitude)
        } / largest
    }

    @Test("as transformers saved it is known as one, and gives its outputs within 1e-5")
    func forward() throws {
        let base = try BaseModel.load(Self.folder + "model", randomSeed: nil, warn: { Issue.record($0) })
        #expect(base.labels == LabelSet(names: ["good", "bad", "mixed"]))
        #expect(base.model.objective == .classification(labels: 3) && base.paddingID == Self.padding)
        #expect(base.model.transformersClass == "GPT2ForSequenceClassification")
        let found = Self.outputs(base.model, try Self.records("label"))
        #expect(try difference(found, Self.expected("model", "outputs")) <= 1e-5)
    }

    @Test(
        "with an adapter of peft's gives its outputs within 1e-5",
        arguments: [("lora", LabelSet.unnamed(3)), ("lora-regression", .regression)])
    func adapter(name: String, labels: LabelSet) throws {
        let adapter = try AdapterFolder(path: Self.folder + name, warn: { Issue.record($0) })
        #expect(try LabelSet(of: adapter) == labels)
        let base = try BaseModel.load(
            Self.folder + "base", randomSeed: nil, labels: labels, headSeed: 1, quantization: nil,
            warn: { Issue.record($0) })
        let examples = try Self.records(name == "lora" ? "label" : "value")
        let before = Self.outputs(base.model, examples)
        let installation = try base.install(
            adapter, InstallationContext(seed: 1, basePath: "base", isTraining: false))
        #expect(try difference(Self.outputs(base.model, examples), Self.expected(name, "start")) <= 1e-5)
        installation.remove()
        #expect(Self.outputs(base.model, examples) == before)
    }

    @Test(
        "trains as with the Trainer: losses, norms and outputs of 30 steps within 1e-4",
        arguments: ["full", "lora", "lora-regression"])
    func training(name: String) throws {
        let isFull = name == "full"
        let labels: LabelSet? = isFull ? nil : name == "lora-regression" ? .regression : .unnamed(3)
        let base = try BaseModel.load(
            Self.folder + (isFull ? "model" : "base"), randomSeed: nil, labels: labels, headSeed: 1, quantization: nil,
            warn: { _ in })
        let context = InstallationContext(seed: 1, basePath: "base", isTraining: true)
        let installation =
            isFull
            ? try Full().installWithHead(into: base.model, context)
            : try base.install(AdapterFolder(path: Self.folder + name, warn: { _ in }), context)
        let expected = try JSONNode.load(path: Self.folder + "expected.json").required(name)
        let optimizer = AdamW(
            installation.trainable,
            AdamW.Settings(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, maximumNorm: 1))
        let runner = StepRunner(
            model: base.model, installation: installation, optimizer: optimizer, seed: 1)
        let examples = try Self.records(name == "lora-regression" ? "value" : "label")
        let batches = stride(from: 0, to: examples.count, by: 8).map {
            TokenBatch(Array(examples[$0..<min($0 + 8, examples.count)]))
        }
        let losses = try expected.array("losses").map { try $0.asNumber() }
        let norms = try expected.array("grad_norms").map { try $0.asNumber() }
        for step in 0..<30 {
            let rate =
                try expected.number("learning_rate")
                * LearningRateSchedule(.linear).factor(step: step, warmup: 3, total: 30)
            let result = runner.step([batches[step % batches.count]], firstPass: step, learningRate: rate)
            #expect(abs(result.loss - losses[step]) <= 1e-4 * losses[step], "loss of step \(step)")
            #expect(abs(result.gradientNorm - norms[step]) <= 1e-4 * norms[step], "norm of step \(step)")
        }
        let found = Self.outputs(base.model, examples)
        #expect(try difference(found, Self.expected(name, "outputs")) <= 1e-4)
    }

    @Test("is refused where the data has other labels")
    func otherLabels() {
        func message(_ labels: LabelSet) -> String? {
            do {
                _ = try BaseModel.load(
                    Self.folder + "model", randomSeed: nil, labels: labels, headSeed: 1, quantization: nil,
                    warn: { _ in })
                return nil
            } catch { return "\(error)".replacing(Self.folder, with: "") }
        }
        #expect(message(LabelSet(names: ["bad", "good"])) == nil)
        #expect(
            message(LabelSet(names: ["bad", "fine"]))
                == "model: error: data.label: the model doesn't know the label 'fine' of the data; it tells good, bad, mixed"
        )
        #expect(
            message(.regression)
                == "model: error: data.label: the model tells the labels good, bad, mixed, but those of the data are numbers"
        )
    }
}
