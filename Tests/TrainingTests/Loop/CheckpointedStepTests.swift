import Batches
import FoundationEssentials
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

/// On a model whose products are large enough for the kernels of many rows.
@Suite("Gradient checkpointing of a whole model") struct CheckpointedStepTests {
    private static let base = repositoryRoot.appending(path: "embedded/base").path(percentEncoded: false)
    private static let isThere = FileManager.default.fileExists(atPath: base + "/model.safetensors")

    @Test(
        "gives the bits of steps without it",
        .enabled(if: isThere, "the base model's weights aren't there"),
        arguments: [
            #"{"r": 8, "lora_dropout": 0.1}"#, #"{"r": 8, "target_modules": "all-linear", "use_dora": true}"#,
        ])
    func bits(settings: String) throws {
        func steps(isCheckpointing: Bool) throws -> [[UInt32]] {
            let base = try BaseModel.quietly(Self.base)
            let installation = try method("lora", settings).install(
                into: base.model, InstallationContext(seed: 1, basePath: "base", isTraining: true))
            let optimizer = AdamW(
                installation.trainable,
                AdamW.Settings(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maximumNorm: 1))
            let runner = StepRunner(
                model: base.model, installation: installation, optimizer: optimizer, seed: 1,
                isCheckpointing: isCheckpointing)
            let batch = base.model.batch(
                (0..<3).map { row in
                    Example(tokens: (0..<60).map { Int32(($0 * 7 + row * 13) % 3000) }, firstTarget: 20)
                })
            for step in 0..<2 { _ = runner.step([batch], firstPass: step, learningRate: 1e-2) }
            return installation.trainable.map { $0.tensor.values.map(\.bitPattern) }
        }
        #expect(try steps(isCheckpointing: false) == steps(isCheckpointing: true))
    }
}
