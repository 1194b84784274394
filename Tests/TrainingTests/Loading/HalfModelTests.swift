import Batches
import Checkpoints
import Configuration
import Files
import FoundationEssentials
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

@Suite("A model of 16-bit numbers") struct HalfModelTests {
    /// The model of a fixture written in `type`, and the same numbers as floats.
    private static func folders(_ type: ElementType) throws -> (scratch: Scratch, half: String, floats: String) {
        let scratch = try Scratch()
        let source = fixture("gpt2/forward-float32").path(percentEncoded: false)
        let weights = try ModelWeights(folder: source, warn: { _ in })
        for (name, type) in [("half", type), ("floats", ElementType.float32)] {
            try scratch.write(FileSystem.text(of: source + "/config.json"), to: "\(name)/config.json")
            let origin = name == "half" ? weights : try ModelWeights(folder: scratch("half"), warn: { _ in })
            try ModelWeights.write(
                try origin.tensors.map { OutgoingTensor($0.name, try origin.tensor(named: $0.name), as: type) },
                to: scratch(name))
        }
        return (scratch, scratch("half"), scratch("floats"))
    }

    private static let batch: TokenBatch = {
        var batch = TokenBatch(sequences: [[3, 1, 4, 1, 5], [9, 2, 6]])
        batch.labels = [1, 4, 1, 5, 9, 2, 6, 5]
        return batch
    }()

    private func install(_ settings: String, into model: any LanguageModel) throws -> any Installation {
        let text = """
            model: {path: model}
            data: {train: train.txt, text: "{text}"}
            peft: \(settings)
            training: {output_dir: run}
            """
        let run = try RunConfiguration(.parse(yaml: text), warn: { _ in })
        return try run.method.install(
            into: model, InstallationContext(seed: 1, basePath: "model", isTraining: true))
    }

    /// The loss, and the gradient of everything that trains.
    private func step(_ folder: String, _ settings: String) throws -> [[Float]] {
        let base = try BaseModel.load(folder, randomSeed: nil, warn: { _ in })
        let installation = try install(settings, into: base.model)
        let loss = base.model.loss(Self.batch, scale: 1, .training(seed: 1, pass: 1))
        loss.tensor.backward()
        return [[Float(loss.sum)]] + installation.trainable.map { $0.tensor.gradient?.values ?? [] }
    }

    @Test(
        "trains to the same bits as the same numbers kept as floats", arguments: [ElementType.bfloat16, .float16],
        [
            "{method: lora, r: 2, target_modules: [c_attn, c_proj, c_fc]}",
            "{method: lora, r: 2, target_modules: [c_attn], modules_to_save: [wte, lm_head]}", "{method: full}",
        ])
    func bits(type: ElementType, settings: String) throws {
        let (scratch, half, floats) = try Self.folders(type)
        defer { withExtendedLifetime(scratch) {} }
        #expect(try step(half, settings) == step(floats, settings))
    }

    @Test("keeps its matrices as they are in the file, and the rest as floats")
    func residence() throws {
        let (scratch, half, _) = try Self.folders(.bfloat16)
        defer { withExtendedLifetime(scratch) {} }
        let model = try BaseModel.load(half, randomSeed: nil, warn: { _ in }).model
        for parameter in model.parameters {
            #expect((parameter.value is HalfTensor) == (parameter.shape.count == 2), "\(parameter.name)")
        }
        let values = model.parameters.map(\.value)
        let installation = try install("{method: lora}", into: model)
        #expect(zip(values, model.parameters).allSatisfy { $0 === $1.value })
        installation.remove()
        #expect(zip(values, model.parameters).allSatisfy { $0 === $1.value })
    }
}
