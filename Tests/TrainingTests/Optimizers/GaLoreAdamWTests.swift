import Batches
import Checkpoints
import Configuration
import FoundationEssentials
import JSONText
import Layers
import Methods
import Models
import Tensors
import TestSupport
import Testing
import Training

@Suite("GaLore") struct GaLoreAdamWTests {
    /// Twenty steps of a case of `galore.json`.
    private struct Run {
        let results: [StepResult]
        let tensors: [String: Tensor]
        let state: OptimizerState

        init(_ name: String, _ row: JSONNode) throws {
            let model = try row.string("model")
            let targets = try row.required("targets").plain.text(.compact)
            let configuration = try RunConfiguration(
                .parse(
                    yaml: """
                        model: {path: x}
                        data: {train: x.txt}
                        peft: {method: full}
                        training:
                          output_dir: x
                          optim: galore_adamw
                          optim_target_modules: \(targets)
                          optim_args: "\(try row.string("arguments"))"
                          weight_decay: \(try row.number("weight_decay"))
                        """), warn: { _ in })
            let base = try BaseModel.load(fixture(model).path(), randomSeed: nil, warn: { _ in })
            let installation = try Full().install(
                into: base.model, InstallationContext(seed: 1, basePath: "", isTraining: true))
            let optimizer = try configuration.optimizer(of: installation.trainable, in: base.model)
            optimizer.state.allocate()
            let runner = StepRunner(model: base.model, installation: installation, optimizer: optimizer, seed: 1)
            let batches =
                model == "train/base"
                ? try ReferenceRunTests.Run.epoch(batchSize: 4, accumulation: 1)
                : try FamilyRunTests.Reference("llama/llama-grouped/full").batches(size: 4, base.model).map { [$0] }
            results = (0..<20).map {
                runner.step(batches[$0 % batches.count], firstPass: $0, learningRate: 1e-2)
            }
            tensors = Dictionary(
                uniqueKeysWithValues: installation.trainable.map { ("\(name).\($0.name)", $0.tensor) })
            state = optimizer.state
        }
    }

    @Test(
        "is in 20 steps as near to the reference in float64 as its own float32 is, or within 1e-4",
        arguments: ["llama", "llama-renewed", "llama-full", "gpt2"])
    func reference(name: String) throws {
        let row = try JSONNode.load(path: fixture("optimizers/galore.json").path()).required(name)
        let run = try Run(name, row)
        let losses = try row.array("losses").map { try $0.asNumber() }
        let norms = try row.array("grad_norms").map { try $0.asNumber() }
        func bound(_ key: String) throws -> Double { max(1e-4, 3 * (try row.number(key))) }
        let (lossBound, normBound, weightBound) = (
            try bound("loss_error"), try bound("norm_error"), try bound("weight_error")
        )
        for (step, result) in run.results.enumerated() {
            #expect(abs(result.loss - losses[step]) <= lossBound * losses[step], "loss of step \(step)")
            #expect(abs(result.gradientNorm - norms[step]) <= normBound * norms[step], "norm of step \(step)")
        }
        let file = try SafetensorsFile(path: fixture("optimizers/galore.safetensors").path(), warn: { _ in })
        let entries = file.tensors.filter { $0.name.hasPrefix(name + ".") }
        #expect(entries.count > 10)
        for entry in entries {
            let tensor = try #require(run.tensors[entry.name], "\(entry.name)")
            let difference = largestDifference(
                tensor.values.map(Double.init), try file.raw(named: entry.name).doubles())
            #expect(difference <= weightBound, "\(entry.name): \(difference)")
        }
    }

    @Test("remembers rank times the longer side of a weight, twice, and rank times the shorter one")
    func size() throws {
        let row = try JSONNode.load(path: fixture("optimizers/galore.json").path()).required("gpt2")
        let state = try Run("gpt2", row).state
        let shapes = Dictionary(uniqueKeysWithValues: state.entries.map { ($0.name, $0.shape) })
        // Kept as [inputs, outputs], of which the inputs are fewer in one and more in the other.
        #expect(shapes["projection_left.transformer.h.0.mlp.c_fc.weight"] == [4, 24])
        #expect(shapes["exp_avg.transformer.h.0.mlp.c_fc.weight"] == [4, 96])
        #expect(shapes["projection_right.transformer.h.0.mlp.c_proj.weight"] == [4, 24])
        #expect(shapes["exp_avg_sq.transformer.h.0.mlp.c_proj.weight"] == [96, 4])
        #expect(shapes["exp_avg.transformer.wte.weight"] == [96, 24])
    }
}
