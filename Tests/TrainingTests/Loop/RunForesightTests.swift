import Configuration
import Diagnostics
import Foundation
import Testing
import Training

/// Runs of 6 steps an epoch and 12 in all.
@Suite("Before its first step a run") struct RunForesightTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var changes: [String]
        var key: String
        var message: String

        var testDescription: String { changes.joined(separator: " ") }
    }

    static let cases = [
        Case(
            changes: ["training.warmup_steps=40"], key: "warmup_steps",
            message:
                "the rate rises for 40 steps, and the run has 12 steps: it ends at 0.00275 instead of 0.01; give fewer "
                + "than 12, or a share such as 0.1"),
        Case(
            changes: ["training.warmup_steps=12"], key: "warmup_steps",
            message:
                "the rate rises for 12 steps, and the run has 12 steps: it ends at 0.00917 instead of 0.01; give fewer "
                + "than 12, or a share such as 0.1"),
        Case(
            changes: ["training.max_steps=1"], key: "warmup_steps",
            message: "the rate is 0 in the first step of a warm-up, and the run has no other: nothing is learned"),
        Case(
            changes: ["training.lr_scheduler_type=constant"], key: "warmup_steps",
            message: "has no effect with lr_scheduler_type: constant; constant_with_warmup rises to the rate first"),
        Case(
            changes: ["training.learning_rate=0"], key: "learning_rate",
            message: "with a rate of 0 nothing is learned; 0.001 is the default of lora"),
        Case(
            changes: ["training.learning_rate=1e3"], key: "learning_rate",
            message:
                "a rate of 1000.0 moves each number that trains by about so much in every step, which is more than the "
                + "weights are large: nothing sensible can come of it; 0.001 is the default of lora"),
        Case(
            changes: ["training.learning_rate=1e-9"], key: "learning_rate",
            message: "a rate of 1e-09 changes next to nothing in 12 steps; 0.001 is the default of lora"),
        Case(
            changes: ["training.gradient_accumulation_steps=50", "training.warmup_steps=0"],
            key: "gradient_accumulation_steps",
            message: "an epoch has 11 micro-batches of per_device_train_batch_size 2, so that no step ever has 50"),
        Case(
            changes: ["training.eval_steps=3"], key: "eval_steps",
            message: "nothing is evaluated every 3 steps: data.validation names no file to measure the loss on"),
        Case(
            changes: ["training.eval_steps=500", "data.validation=VALIDATION"], key: "eval_steps",
            message:
                "the run has 12 steps, so that the validation loss is measured once, at its end; give at most 12, or "
                + "leave it out for once an epoch, every 6 steps"),
        Case(
            changes: ["training.save_steps=13"], key: "save_steps",
            message:
                "the run has 12 steps, so that no checkpoint is saved; give at most 12, or leave it out for once an "
                + "epoch, every 6 steps"),
        Case(
            changes: ["training.save_steps=100", "training.max_steps=4"], key: "save_steps",
            message: "the run has 4 steps, so that no checkpoint is saved; give at most 4"),
        Case(
            changes: ["training.logging_steps=20"], key: "logging_steps",
            message: "the run has 12 steps, so that the training loss is told once, at its end; give at most 12"),
    ]

    /// The warnings of a run whose settings can all do what they are there for, but for the changes.
    private func warnings(_ changes: [String]) throws -> [String] {
        let training = try TinyTraining()
        let changes = changes.map {
            $0.replacingOccurrences(of: "VALIDATION", with: training.scratch("validation.jsonl"))
        }
        let sensible = ["training.save_steps=1"]
        let trainer = try Trainer(training.configuration(sensible + changes), observer: Recorder())
        return trainer.plan().warnings.map(\.description)
    }

    @Test("says which settings can't do what they are there for, with the numbers", arguments: cases)
    func warned(_ item: Case) throws {
        let option = item.changes.first { $0.hasPrefix("training.\(item.key)=") } ?? "run.yaml"
        let found = try warnings(item.changes)
        #expect(found.count == 1)
        let expected = "warning: training.\(item.key): \(item.message)"
        #expect(found.first?.hasSuffix(expected) == true, "\(found)")
        #expect(found.first?.contains(option) == true, "\(found)")
    }

    @Test(
        "says nothing of those that can",
        arguments: [
            [], ["training.warmup_steps=11"], ["training.warmup_steps=0.9"],
            ["training.eval_steps=12", "data.validation=VALIDATION"],
            ["training.save_steps=12"], ["training.logging_steps=12"],
            ["training.max_steps=2", "training.warmup_steps=0", "training.save_steps=1", "training.logging_steps=10"],
            ["training.max_steps=1", "training.warmup_steps=0"], ["training.learning_rate=0.9"],
        ])
    func silent(changes: [String]) throws { #expect(try warnings(changes) == []) }

    @Test("takes a share of its steps for the warm-up, as transformers does")
    func share() throws {
        let training = try TinyTraining()
        func steps(_ warmup: String) throws -> Int {
            try Trainer(training.configuration(["training.warmup_steps=\(warmup)"]), observer: Recorder()).plan()
                .warmupSteps
        }
        #expect(try ["0", "0.01", "0.25", "0.3", "1", "3", "3.0"].map(steps) == [0, 1, 3, 4, 1, 3, 3])
        let (shared, counted) = (
            try training.run(["training.warmup_steps=0.25"], into: "share"),
            try training.run(["training.warmup_steps=3"], into: "count")
        )
        #expect(shared.logged.map(\.learningRate) == counted.logged.map(\.learningRate))
        #expect(
            try training.bytes("share/adapter_model.safetensors") == training.bytes("count/adapter_model.safetensors"))
        #expect(try training.scratch.text("count/training_config.yaml").contains("\n  warmup_steps: 3\n"))
        let failure = try #require(training.failure(["training.warmup_steps=1.5"]))
        #expect(
            failure
                == "--set training.warmup_steps=1.5: error: training.warmup_steps: must be a whole number, or a share below "
                + "1, got 1.5")
    }

    @Test("takes its method's rate where the configuration gives none, and says so wherever the settings stand")
    func ownRate() throws {
        let training = try TinyTraining()
        let text = try training.scratch.text("run.yaml")
        try training.scratch.write(text.replacingOccurrences(of: "  learning_rate: 1.0e-2\n", with: ""), to: "own.yaml")
        let run = try training.run(file: "own.yaml")
        #expect(run.plan?.learningRate == 1e-3 && run.plan?.hasDefaultRate == true)
        #expect(try training.scratch.text("run/training_config.yaml").contains("\n  learning_rate: 0.001\n"))
        let card = try training.scratch.text("run/README.md")
        #expect(card.contains("\n| `learning_rate` | `0.001`, the default of lora |\n"))
        let given = try training.run(["training.learning_rate=1e-3"], into: "given")
        #expect(given.plan?.hasDefaultRate == false)
        #expect(
            try training.bytes("given/adapter_model.safetensors") == training.bytes("run/adapter_model.safetensors"))
        #expect(try !training.scratch.text("given/README.md").contains("the default of"))
        let full = try training.configuration(["peft.method=full"], file: "own.yaml")
        #expect(full.training.learningRate == 5e-5)
    }
}
