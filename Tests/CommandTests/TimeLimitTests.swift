import Foundation
import JSONText
import Testing

@Suite("A run that is given a time") struct TimeLimitTests {
    private let run: TinyRun
    private var folder: TemporaryFolder { run.folder }

    init() throws { run = try TinyRun() }

    private func train(_ changes: [String], _ flags: [String] = []) throws -> Outcome {
        let long = ["training.max_steps=100000000", "training.logging_steps=5", "training.eval_steps=5"]
        return try RunningTool(run.arguments + (long + changes).flatMap { ["--set", $0] } + flags).outcome()
    }

    private func lines() throws -> [JSONNode] {
        try folder.text("run/metrics.jsonl").split(separator: "\n").map { try JSONNode.parse(String($0)) }
    }

    @Test("ends in time with a result and an evaluation, and goes on from there with more")
    func ends() throws {
        let outcome = try train(["training.max_time=2s", "training.load_best_model_at_end=true"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        let last = try #require(try lines().last)
        let step = try last.integer("step")
        #expect(step < 100_000_000)
        #expect(try last.optionalNumber("eval_loss") != nil)
        #expect(try last.number("elapsed_seconds") < 2)
        #expect(outcome.errors.contains(": another one would have gone beyond the 2 s of training.max_time\n"))
        #expect(FileManager.default.fileExists(atPath: folder.path + "/run/adapter_model.safetensors"))
        let same = try train(["training.max_time=2s", "training.load_best_model_at_end=true"], ["--resume"])
        #expect(same.status == 0, "\(same.errors)")
        #expect(try lines().last?.integer("step") == step)
        let more = try train(["training.max_time=4s", "training.load_best_model_at_end=true"], ["--resume"])
        #expect(more.status == 0, "\(more.errors)")
        #expect(try #require(lines().last).integer("step") > step)
    }

    @Test("shares it with the others that it is compared with, of which the better half goes on each time")
    func halving() throws {
        try folder.write(
            """
            good: {training: {learning_rate: 1.0e-2}}
            none: {training: {learning_rate: 1.0e-9}}
            wild: {training: {learning_rate: 30}}

            """, to: "variants.yaml")
        let outcome = try RunningTool([
            "compare", "--config", run.configuration, "--set", "model={path: \(try run.trainedModel())}", "--variants",
            "\(folder.path)/variants.yaml", "--output",
            "\(folder.path)/compared", "--shots", "0", "--json", "--threads", "1", "--set",
            "training.max_steps=100000000",
            "--set", "training.budget=6s", "--set", "training.save_steps=100000000", "--set",
            "training.logging_steps=1000",
            "--set", "training.eval_steps=1000000",
        ]).outcome()
        #expect(outcome.status == 0, "\(outcome.errors)")
        let rows = try JSONNode.parse(outcome.output).array("rows").filter { try $0.optional("method") != nil }
        #expect(try rows.map { try $0.string("name") } == ["good", "none", "wild"])
        let seconds = try rows.map { try $0.number("budget_seconds") }
        // Three share 3 s, two of them 3 s more.
        #expect(seconds.sorted() == [1, 2.5, 2.5] && seconds[0] == 2.5)
        #expect(try rows.map { try $0.optional("scores") == nil } == [false, true, true])
        #expect(outcome.errors.contains("\nround 2 of 2: good is left\n"))
    }

    @Test("for others than it is, is told so")
    func budget() throws {
        let outcome = try train(["training.max_steps=1", "training.budget=2h"], ["--dry-run"])
        #expect(
            outcome.errors.contains(
                "warning: training.budget: shares a time out among the runs of peft compare, and does nothing here: max_time ends one run\n"
            ))
    }
}
