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

/// The methods beside LoRA, on the fixtures of `scripts/fixtures/methods.py`.
@Suite("A method that peft trained too", .serialized) struct MethodReferenceTests {
    static let names =
        [
            "ln_tuning", "ln_tuning-any", "bitfit", "bitfit-query", "bitfit-intermediate", "last_layers",
            "last_layers-head", "ia3", "ia3-all", "loha", "loha-patterns", "lokr", "lokr-both", "lokr-factor",
        ] + hub.map { "adapterhub/" + $0 }
    private static let hub = ["houlsby", "pfeiffer", "parallel", "learned", "plain"]

    private struct Reference {
        /// The case's name in its folder of fixtures.
        let name: String
        private let folder: String
        let all: JSONNode
        let tensors: SafetensorsFile

        init(_ name: String) throws {
            let isHub = name.hasPrefix("adapterhub/")
            folder = isHub ? "adapterhub" : "methods"
            self.name = isHub ? String(name.dropFirst("adapterhub/".count)) : name
            all = try JSONNode.load(path: fixture("\(folder)/expected.json").path())
            tensors = try SafetensorsFile(path: fixture("\(folder)/expected.safetensors").path(), warn: { _ in })
        }

        var expected: JSONNode { get throws { try all.object("cases").first { $0.key == name }.map(\.value) ?? all } }
        var sequence: [Int32] { get throws { try all.array("sequence").map { Int32(try $0.asInteger()) } } }
        var logits: [Double] { get throws { try tensors.raw(named: "\(name).logits").doubles() } }
        /// The adapter that training starts from; nil for the base itself.
        var start: String? {
            let folder = fixture("\(folder)/\(name)").path()
            return FileSystem.isFolder(folder) ? folder : nil
        }

        /// The method in a fresh model, at the start of the training.
        func installed() throws -> (base: BaseModel, installation: any Installation) {
            let base = try BaseModel.quietly(fixture("train/base").path())
            let settings = try expected.required("settings").plain.text(.compact)
            let installation = try method(try expected.string("method"), settings).install(
                into: base.model, InstallationContext(seed: 1, basePath: "base", isTraining: true))
            if let start {
                let folder = try AdapterFolder(path: start, warn: { _ in })
                let tensors = try folder.entries.map { ($0.path, try folder.tensor($0)) }
                try installation.load(Dictionary(uniqueKeysWithValues: tensors), file: start)
            }
            return (base, installation)
        }
    }

    @Test("is in the list here") func lists() throws {
        let hub = try Reference("adapterhub/").all.object("cases").map { "adapterhub/" + $0.key }
        #expect(try (Reference("").all.object("cases").map(\.key) + hub).sorted() == Self.names.sorted())
    }

    @Test("gives peft's logits within 1e-5: from its file, trained further, and merged", arguments: names)
    func logits(name: String) throws {
        let reference = try Reference(name)
        let (sequence, expected) = (try reference.sequence, try reference.logits)
        #expect(relativeDifference(try reference.installed().base.logits(sequence), expected) <= 1e-5)
        guard let start = reference.start else { return }
        let base = try BaseModel.quietly(fixture("train/base").path())
        let before = base.logits(sequence)
        let installation = try base.install(adapter: start)
        #expect(relativeDifference(base.logits(sequence), expected) <= 1e-5)
        installation.remove()
        #expect(base.logits(sequence) == before)
        let again = try base.install(adapter: start)
        guard again.mergeObstacle == nil else { return }
        again.merge(weight: 1)
        #expect(relativeDifference(base.logits(sequence), expected) <= 1e-5)
    }

    @Test("trains as with the Trainer: losses, norms and tensors within 1e-4", arguments: names)
    func training(name: String) throws {
        let reference = try Reference(name)
        let expected = try reference.expected
        let settings = try expected.required("training")
        let (base, installation) = try reference.installed()
        let optimizer = AdamW(
            installation.trainable,
            AdamW.Settings(
                beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: try settings.number("weight_decay"),
                maximumNorm: try settings.number("max_grad_norm")))
        let runner = StepRunner(model: base.model, installation: installation, optimizer: optimizer, seed: 1)
        let schedule = LearningRateSchedule(.init(rawValue: try settings.string("lr_scheduler_type")) ?? .constant)
        let groups = try ReferenceRunTests.Run.epoch(
            batchSize: try settings.integer("per_device_train_batch_size"), accumulation: 1)
        let losses = try expected.array("losses").map { try $0.asNumber() }
        let norms = try expected.array("grad_norms").map { try $0.asNumber() }
        #expect(losses.count == 30 && norms.count == 30)
        for step in losses.indices {
            let rate =
                try settings.number("learning_rate") * schedule.factor(step: step, warmup: 0, total: losses.count)
            let result = runner.step(groups[step % groups.count], firstPass: step, learningRate: rate)
            #expect(abs(result.loss - losses[step]) <= 1e-4 * losses[step], "loss of step \(step)")
            #expect(abs(result.gradientNorm - norms[step]) <= 1e-4 * norms[step], "norm of step \(step)")
        }
        try compare(installation, reference)
    }

    /// As near to a float64 run as the reference's own float32 is, or within 1e-4.
    private func compare(_ installation: any Installation, _ reference: Reference) throws {
        guard case .adapter(_, let tensors) = installation.deliver() else {
            Issue.record("no adapter was delivered")
            return
        }
        let delivered = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.tensor) })
        for error in try reference.expected.object("reference_error") {
            let tensor = try #require(delivered[error.key], "\(error.key)")
            var values = tensor.values.map(Double.init)
            var counted = try reference.tensors.raw(named: "\(reference.name).ref64.\(error.key)").doubles()
            if error.key.contains("c_attn"), error.key.hasSuffix("bias") {
                // The keys' part has the gradient 0 but for rounding, which AdamW scales up to whole steps.
                let third = values.count / 3
                values.removeSubrange(third..<2 * third)
                counted.removeSubrange(third..<2 * third)
            }
            let difference = zip(values, counted).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
            let norm = counted.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let bound = max(1e-4, 3 * (try error.value.asNumber()))
            #expect(difference <= bound * norm, "\(error.key): \(difference / norm), bound \(bound)")
        }
    }
}
