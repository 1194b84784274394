import Checkpoints
import Datasets
import Methods
import Testing
import Training

@Suite("Evaluation while training") struct EvaluationWhileTrainingTests {
    @Test("gives the loss of the adapter that is saved at that step, and changes no bit of the training")
    func value() throws {
        let training = try TinyTraining()
        let changes = ["data.validation=\(training.scratch("validation.jsonl"))", "peft.lora_dropout=0.1"]
        let run = try training.run(changes + ["training.eval_steps=5", "training.save_steps=5"])
        #expect(run.evaluated.map(\.step) == [5, 10, 12])
        for metrics in run.evaluated {
            let place = metrics.step == 12 ? "run" : "run/checkpoints/step-\(metrics.step)"
            let base = try BaseModel.load(training.scratch("model"), randomSeed: 42, warn: { _ in })
            _ = try base.install(
                AdapterFolder(path: training.scratch(place), warn: { _ in }),
                InstallationContext(seed: 7, basePath: "", isTraining: false))
            let data = try training.configuration(changes).data
            let dataset = try data.dataset(
                paths: data.validation, codec: base.codec(), lengthLimit: nil)
            let loss = try evaluateLoss(
                of: base.model, on: dataset, rowsPerPass: .max, examplesPerPass: 8, onProgress: { _ in })
            #expect(loss.loss == metrics.loss && loss.tokens == metrics.tokens)
        }
        try training.run(["peft.lora_dropout=0.1"], into: "without")
        #expect(
            try training.bytes("run/adapter_model.safetensors") == training.bytes("without/adapter_model.safetensors"))
    }

    @Test("happens at the end of each epoch if nothing else is said")
    func epochs() throws {
        let training = try TinyTraining()
        let run = try training.run([
            "data.validation=\(training.scratch("validation.jsonl"))", "training.num_train_epochs=2.5",
        ])
        #expect(run.evaluated.map(\.step) == [6, 12, 15])
        #expect(run.evaluated.map(\.epoch) == [1, 2, 2.5])
        #expect(run.summary?.evaluationLoss == run.evaluated.last?.loss)
    }
}
