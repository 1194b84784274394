import Checkpoints
import Datasets
import Foundation
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

    /// Takes its time for evaluations.
    private final class Dawdler: TrainingObserver {
        var evaluated: [Int] = []

        func evaluating(step: Int, examples: Int, of total: Int) {
            if examples == total { Thread.sleep(forTimeInterval: 2) }
        }
        func evaluated(_ metrics: EvaluationMetrics) { evaluated.append(metrics.step) }
    }

    @Test("that takes longer than was to be seen ends a run behind it, where no other one fits into its time")
    func slow() throws {
        let training = try TinyTraining()
        let observer = Dawdler()
        let trainer = try Trainer(
            training.configuration([
                "data.validation=\(training.scratch("validation.jsonl"))", "training.eval_steps=1",
                "training.max_time=3s",
            ]), observer: observer)
        let summary = try trainer.run(.refuse, shouldStop: { false })
        #expect(summary.steps == 1 && observer.evaluated == [1])
    }

    @Test("before the first step and behind the last are two, of which the second goes on from what the first kept")
    func kept() throws {
        let training = try TinyTraining(model: TinyTraining.gpt2.replacing("pdrop\": 0.1", with: "pdrop\": 0"))
        let changes = [
            "data.validation=\(training.scratch("validation.jsonl"))", "training.num_train_epochs=1",
            "peft.layers_to_transform=[1]",
        ]
        func keeps(_ more: [String]) throws -> Bool {
            try Trainer(training.configuration(changes + more), observer: Recorder()).plan().notes
                .contains { $0.hasPrefix("hidden states of the validation data's ") }
        }
        #expect(try !keeps([]))
        #expect(try keeps(["training.eval_on_start=true"]))
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
