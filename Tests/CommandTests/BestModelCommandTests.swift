import Foundation
import JSONText
import Testing

@Suite("The best model of a run") struct BestModelCommandTests {
    private let run: TinyRun
    private var folder: TemporaryFolder { run.folder }
    /// Twelve steps at rates that make the loss rise and fall, evaluated on other answers than are learned.
    private let changes: [String]

    init() throws {
        run = try TinyRun()
        let records = (0..<6).map { #"{"q": "\#($0)", "a": "\#(($0 + 1) % 5)\#($0 % 2)"}"# }
        try run.folder.write(records.joined(separator: "\n") + "\n", to: "other.jsonl")
        changes = [
            "training.max_steps=12", "training.eval_steps=1", "training.save_steps=5",
            "training.lr_scheduler_type=constant", "training.learning_rate=300",
            "data.validation=\(run.folder.path)/other.jsonl",
        ]
    }

    private func train(_ more: [String], into output: String = "run", _ flags: [String] = []) throws -> Outcome {
        let all = changes + more + ["training.output_dir=\(folder.path)/\(output)"]
        return try RunningTool(run.arguments + all.flatMap { ["--set", $0] } + flags).outcome()
    }

    private func evaluations(_ output: String = "run") throws -> [(step: Int, loss: Double)] {
        try folder.text("\(output)/metrics.jsonl").split(separator: "\n").compactMap { line in
            let node = try JSONNode.parse(String(line))
            return try node.optionalNumber("eval_loss").map { (try node.integer("step"), $0) }
        }
    }

    private func adapter(_ place: String) throws -> Data {
        try Data(contentsOf: folder.url.appending(path: "\(place)/adapter_model.safetensors"))
    }

    private func checkpoints(_ output: String = "run") throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path + "/\(output)/checkpoints").sorted()
    }

    @Test("is what comes out, and the log, the card and --json say which step it is of")
    func delivered() throws {
        let outcome = try train(["training.load_best_model_at_end=true"], ["--json"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        let evaluations = try evaluations()
        #expect(evaluations.map(\.step) == Array(1...12))
        let best = try #require(evaluations.min { $0.loss < $1.loss })
        try #require(best.step < 12, "the last step is the best, so that nothing is tested")
        let place = "run/checkpoints/step-\(best.step)"
        #expect(try adapter("run") == adapter(place))
        let last = try train([], into: "last")
        #expect(last.status == 0, "\(last.errors)")
        #expect(try adapter("last") != adapter("run"))
        #expect(
            outcome.errors.contains(
                "\nthe best model is that of step \(best.step), eval_loss \(best.loss), which is delivered\n"))
        #expect(
            try folder.text("run/README.md").contains("| eval_loss, best, step \(best.step); this is the model here | ")
        )
        let json = try JSONNode.parse(outcome.output)
        #expect(try json.integer("best_step") == best.step && json.number("best_value") == best.loss)
        // Others that were the best for a while are gone, and those that are due stay.
        #expect(Set(try checkpoints()) == ["step-5", "step-10", "step-\(best.step)"])
    }

    @Test("is kept beyond save_total_limit, and a run that is stopped and resumed has the same one to the bit")
    func resumed() throws {
        let best = ["training.load_best_model_at_end=true", "training.save_total_limit=1"]
        #expect(try train(best).status == 0)
        // Half of it, as if it had been stopped: the longer run begins with the same steps.
        #expect(try train(best + ["training.max_steps=6"], into: "parts").status == 0)
        let resumed = try train(best, into: "parts", ["--resume"])
        #expect(resumed.status == 0, "\(resumed.errors)")
        #expect(try adapter("parts") == adapter("run"))
        #expect(try evaluations("parts").map(\.loss) == evaluations().map(\.loss))
        let step = try #require(try evaluations().min { $0.loss < $1.loss }?.step)
        #expect(try checkpoints().contains("step-\(step)"))
        #expect(try checkpoints().count <= 2)
    }

    @Test("is saved and kept each time where save_strategy is best, and a run that is resumed goes on so")
    func saved() throws {
        let best = ["training.save_strategy=best", "training.save_steps=null"]
        let outcome = try train(best)
        #expect(outcome.status == 0, "\(outcome.errors)")
        var (least, steps) = (Double.infinity, [String]())
        for (step, loss) in try evaluations() where loss < least { (least, steps) = (loss, steps + ["step-\(step)"]) }
        #expect(try steps.count > 1 && Set(checkpoints()) == Set(steps))
        // Delivered is the last model, as transformers does it.
        #expect(try (adapter("run") == adapter("run/checkpoints/\(steps.last ?? "")")) == (steps.last == "step-12"))
        let last = try adapter("run")
        try FileManager.default.removeItem(atPath: folder.path + "/run/adapter_model.safetensors")
        try FileManager.default.removeItem(atPath: folder.path + "/run/adapter_config.json")
        let resumed = try train(best, into: "run", ["--resume"])
        #expect(resumed.status == 0, "\(resumed.errors)")
        #expect(try adapter("run") == last && Set(checkpoints()) == Set(steps))
        let limited = try train(
            best + ["training.save_total_limit=1", "training.load_best_model_at_end=true"], into: "one")
        #expect(limited.status == 0, "\(limited.errors)")
        #expect(try checkpoints("one") == [steps.last ?? ""])
        #expect(try adapter("one") == adapter("one/checkpoints/\(steps.last ?? "")"))
    }

    @Test("ends a run when it was the best for so many evaluations, and a resumed one at the same step")
    func patience() throws {
        let settings = ["training.early_stopping_patience=2", "training.early_stopping_threshold=0.001"]
        let outcome = try train(settings + ["training.max_steps=200"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        var (best, failures, stop) = (Double.infinity, 0, 0)
        for (step, loss) in try evaluations() where stop == 0 {
            failures = best - loss > 0.001 ? 0 : failures + 1
            best = min(best, loss)
            if failures == 2 { stop = step }
        }
        #expect(try evaluations().last?.step == stop && stop < 200)
        #expect(
            outcome.errors.contains(
                "\nstopped after step \(stop) of 200: eval_loss was no better 2 times (training.early_stopping_patience)\n"
            ))
        let before = try adapter("run")
        let again = try train(settings + ["training.max_steps=200"], ["--resume"])
        #expect(again.status == 0, "\(again.errors)")
        #expect(try adapter("run") == before)
        #expect(try evaluations().last?.step == stop)
        let changed = try train(
            [
                "training.early_stopping_patience=3", "training.early_stopping_threshold=0.001",
                "training.max_steps=200",
            ],
            ["--resume"])
        #expect(changed.status == 65)
        #expect(changed.errors.contains("training.early_stopping_patience: was 2 when the run began and is 3 now: "))
    }

    @Test("is looked for before the first step too where that is asked for")
    func start() throws {
        #expect(try train(["training.eval_on_start=true"]).status == 0)
        #expect(try evaluations().map(\.step) == Array(0...12))
    }

    @Test(
        "can't be known without data, by a measure that there is none of, or by settings that contradict",
        arguments: [
            (
                ["training.load_best_model_at_end=true", "data.validation=null"],
                "training.load_best_model_at_end: needs data to evaluate on: give data.validation or "
                    + "data.validation_fraction\n"
            ),
            (
                ["training.early_stopping_patience=2", "training.eval_strategy=no"],
                "training.early_stopping_patience: needs evaluations, and with eval_strategy: no there are none\n"
            ),
            (
                ["training.save_strategy=best", "training.save_steps=null", "data.validation=null"],
                "training.save_strategy: needs data to evaluate on: give data.validation or data.validation_fraction\n"
            ),
            (
                ["training.metric_for_best_model=mse"],
                "training.metric_for_best_model: nothing here is measured by 'mse'; there are loss, rouge1, rouge2, rougeL, "
                    + "rougeLsum, bleu, chrf, exact_match, f1, accuracy\n"
            ),
            (
                ["training.early_stopping_threshold=0.1"],
                "training.early_stopping_threshold: goes with early_stopping_patience, which isn't set\n"
            ),
            (
                ["training.early_stopping_patience=0"],
                "training.early_stopping_patience: must be between 1 and 2147483647, got 0\n"
            ),
            (
                ["training.greater_is_better=true"],
                "training.greater_is_better: goes with load_best_model_at_end, early_stopping_patience or "
                    + "metric_for_best_model, of which none is set\n"
            ),
        ])
    func problems(settings: [String], message: String) throws {
        let outcome = try train(settings)
        #expect(outcome.status == 65)
        #expect(outcome.errors == "--set \(settings[0]): error: " + message)
    }
}
