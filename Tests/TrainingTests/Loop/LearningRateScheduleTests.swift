import Configuration
import Diagnostics
import FoundationEssentials
import JSONText
import TestSupport
import Testing
import Training

@Suite("Learning-rate schedules") struct LearningRateScheduleTests {
    private static func file() throws -> JSONNode {
        try JSONNode.load(path: fixture("train/schedules.json").path(percentEncoded: false))
    }

    private func yaml(_ settings: String) -> String {
        """
        model: {path: x}
        data: {train: x.txt, validation: y.txt}
        peft: {method: full}
        training: {output_dir: x, \(settings)}
        """
    }

    private func settings(_ text: String) throws -> TrainingSettings {
        try RunConfiguration(.parse(yaml: yaml(text)), warn: { _ in }).training
    }

    private func complaint(_ text: String) -> String {
        do {
            _ = try settings(text)
            return "none"
        } catch { return "\(error)" }
    }

    @Test("give transformers' factors at every step, warm-up of none, all, more than all steps and shares included")
    func factors() throws {
        let file = try Self.file()
        let peak = try file.number("peak")
        let cases = try file.array("cases")
        #expect(cases.count > 100)
        for node in cases {
            let (name, total) = (try node.string("name"), try node.integer("total"))
            let settings = try settings(
                "learning_rate: \(peak), lr_scheduler_type: \(name), warmup_steps: \(try node.number("warmup")), "
                    + "lr_scheduler_kwargs: \(try node.required("kwargs").plain.text(.compact))")
            let warmup = settings.warmupSteps(of: total)
            let factors = try node.array("factors").map { try $0.asNumber() }
            #expect(factors.count == total)
            for (step, factor) in factors.enumerated() {
                let ours = settings.schedule.factor(step: step, warmup: warmup, total: total)
                // A cosine next to its zero is a difference of numbers of size 1.
                let bound = max(1e-12 * abs(factor), 1e-15)
                #expect(abs(ours - factor) <= bound, "\(name), step \(step) of \(total): \(ours) for \(factor)")
            }
        }
        let names = Set(try cases.map { try $0.string("name") } + ["reduce_lr_on_plateau"])
        #expect(names == Set(LearningRateSchedule.Kind.allCases.map(\.rawValue)))
    }

    @Test("go down after evaluations as torch's ReduceLROnPlateau does")
    func plateaus() throws {
        let file = try Self.file()
        for node in try file.array("plateaus") {
            let settings = try settings(
                "learning_rate: \(try file.number("peak")), lr_scheduler_type: reduce_lr_on_plateau, "
                    + "lr_scheduler_kwargs: \(try node.required("kwargs").plain.text(.compact))")
            let rule = try #require(settings.schedule.plateau)
            var state = PlateauState(rate: settings.learningRate)
            let losses = try node.array("losses").map { try $0.asNumber() }
            let rates = try node.array("rates").map { try $0.asNumber() }
            for (index, (loss, rate)) in zip(losses, rates).enumerated() {
                state.evaluated(loss, step: index + 1, rule)
                #expect(abs(state.rate - rate) <= 1e-12 * rate, "\(node.plain.text(.compact))")
            }
        }
    }

    @Test("take warmup_ratio for what it meant in transformers 4")
    func ratio() throws {
        let settings = try settings("warmup_ratio: 0.07")
        #expect(settings.warmupSteps(of: 100) == 8)
        #expect(try self.settings("warmup_ratio: 1").warmupSteps(of: 100) == 100)
        #expect(try self.settings("warmup_ratio: 0").warmupSteps(of: 100) == 0)
        #expect(try self.settings("warmup_ratio: 0.5, warmup_steps: 3").warmupSteps(of: 100) == 3)
        #expect(
            complaint("warmup_ratio: 2") == "4:41: error: training.warmup_ratio: must be between 0.0 and 1.0, got 2")
    }

    static let mistakes = [
        (
            "lr_scheduler_type: linear, lr_scheduler_kwargs: {num_cycles: 2}",
            "4:76: error: training.lr_scheduler_kwargs.num_cycles: unknown key"
        ),
        (
            "lr_scheduler_type: cosine_with_min_lr",
            "4:11: error: training.lr_scheduler_kwargs.min_lr: missing: give this, or min_lr_rate as a share of the peak"
        ),
        (
            "lr_scheduler_type: cosine_with_min_lr, lr_scheduler_kwargs: {min_lr: 1.0e-5, min_lr_rate: 0.1}",
            "4:96: error: training.lr_scheduler_kwargs.min_lr: doesn't go with min_lr_rate: give one of them"
        ),
        (
            "lr_scheduler_type: polynomial, learning_rate: 1.0e-3, lr_scheduler_kwargs: {lr_end: 0.01}",
            "4:111: error: training.lr_scheduler_kwargs.lr_end: must be less than training.learning_rate, which is 0.001, "
                + "and is 0.01"
        ),
        (
            "lr_scheduler_type: warmup_stable_decay",
            "4:11: error: training.lr_scheduler_kwargs.num_decay_steps: missing: this key is required"
        ),
        (
            "lr_scheduler_type: reduce_lr_on_plateau, lr_scheduler_kwargs: {mode: max}",
            "4:96: error: training.lr_scheduler_kwargs.mode: expected one of min, got 'max'"
        ),
        (
            "lr_scheduler_type: greedy",
            "4:46: error: training.lr_scheduler_type: expected one of constant, constant_with_warmup, linear, cosine, "
                + "cosine_with_restarts, cosine_with_min_lr, cosine_warmup_with_min_lr, polynomial, inverse_sqrt, "
                + "warmup_stable_decay, reduce_lr_on_plateau, got 'greedy'"
        ),
    ]

    @Test("say what is wrong with their settings", arguments: mistakes)
    func refused(settings: String, text: String) { #expect(complaint(settings) == text) }

    @Test("that wait for the validation loss need a file to measure it on")
    func withoutValidation() {
        let text = yaml("lr_scheduler_type: reduce_lr_on_plateau").replacing(", validation: y.txt", with: "")
        do {
            _ = try RunConfiguration(.parse(yaml: text), warn: { _ in })
            Issue.record("nothing is said")
        } catch {
            #expect(
                "\(error)"
                    == "4:46: error: training.lr_scheduler_type: waits for the validation loss, and data.validation "
                    + "names no file to measure it on")
        }
    }

    @Test("of a run that waits for the validation loss are gone on with to the same bits")
    func resumed() throws {
        let training = try TinyTraining()
        let changes = [
            "data.validation=\(training.scratch("validation.jsonl"))", "training.eval_steps=1",
            "training.lr_scheduler_type=reduce_lr_on_plateau", "training.logging_steps=1",
            "training.lr_scheduler_kwargs={patience: 0, factor: 0.5, threshold: 0.2}", "training.save_steps=10",
        ]
        let whole = try training.run(changes, into: "whole")
        #expect(Set(whole.logged.map(\.learningRate)).count > 3)
        try training.run(changes, stoppingAfter: 5)
        try training.run(changes, .resume)
        for name in ["adapter_model.safetensors", "checkpoints/step-10/training_state.safetensors"] {
            #expect(try training.bytes("run/\(name)") == training.bytes("whole/\(name)"), "\(name)")
        }
        #expect(try training.metrics("run") == training.metrics("whole"))
    }

    @Test("of a run that was killed behind an evaluation that it had made up for are those of one that wasn't")
    func killed() throws {
        let training = try TinyTraining()
        let changes = [
            "data.validation=\(training.scratch("validation.jsonl"))", "training.eval_steps=1",
            "training.lr_scheduler_type=reduce_lr_on_plateau", "training.logging_steps=1",
            "training.lr_scheduler_kwargs={patience: 0, factor: 0.5, threshold: 1e9, threshold_mode: abs}",
        ]
        try training.run(changes, into: "whole")
        // Stopped while it evaluates; the evaluation comes into the log before anything else is saved.
        try training.run(changes, stoppingAfter: 5)
        let line = try #require(
            training.scratch.text("whole/metrics.jsonl").split(separator: "\n").first { line in
                let node = try JSONNode.parse(String(line))
                return try node.integer("step") == 5 && node.optionalNumber("eval_loss") != nil
            })
        let log = try training.scratch.text("run/metrics.jsonl")
        try #require(!log.contains(line))
        try training.scratch.write(log + line + "\n", to: "run/metrics.jsonl")
        let resumed = try training.run(changes, .resume)
        #expect(resumed.evaluated.map(\.step) == Array(6...12))
        #expect(try training.metrics("run") == training.metrics("whole"))
        #expect(
            try training.bytes("run/adapter_model.safetensors") == training.bytes("whole/adapter_model.safetensors"))
    }
}
