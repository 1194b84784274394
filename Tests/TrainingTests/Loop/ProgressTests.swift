import Foundation
import JSONText
import Testing
import Training

@Suite("The course of a run") struct ProgressTests {
    struct Case: Sendable {
        var records = 21
        var changes: [String]
        var stepsPerEpoch: Int
        var steps: Int
    }

    @Test(
        "has transformers' number of steps",
        arguments: [
            Case(changes: [], stepsPerEpoch: 6, steps: 12),
            Case(changes: ["training.num_train_epochs=0.4"], stepsPerEpoch: 6, steps: 3),
            Case(changes: ["training.num_train_epochs=1.5"], stepsPerEpoch: 6, steps: 9),
            Case(changes: ["training.max_steps=4"], stepsPerEpoch: 6, steps: 4),
            Case(changes: ["training.max_steps=20"], stepsPerEpoch: 6, steps: 20),
            Case(changes: ["training.gradient_accumulation_steps=5"], stepsPerEpoch: 3, steps: 6),
            Case(changes: ["training.gradient_accumulation_steps=100"], stepsPerEpoch: 1, steps: 2),
            Case(changes: ["training.per_device_train_batch_size=100"], stepsPerEpoch: 1, steps: 2),
            Case(records: 1, changes: [], stepsPerEpoch: 1, steps: 2),
        ])
    func counts(of item: Case) throws {
        let training = try TinyTraining(records: item.records)
        let run = try training.run(item.changes)
        let plan = try #require(run.plan)
        #expect(plan.stepsPerEpoch == item.stepsPerEpoch && plan.stepCount == item.steps)
        let last = try #require(run.logged.last)
        #expect(last.step == item.steps)
        #expect(last.epoch == Double(item.steps) / Double(item.stepsPerEpoch))
        #expect(run.summary?.tokens == last.tokens)
    }

    @Test("sees every record once an epoch, whatever the batches")
    func tokens() throws {
        let training = try TinyTraining()
        var counts: Set<Int> = []
        for (batch, accumulation) in [(1, 1), (2, 2), (4, 3), (50, 1)] {
            let run = try training.run(
                [
                    "training.per_device_train_batch_size=\(batch)",
                    "training.gradient_accumulation_steps=\(accumulation)", "training.num_train_epochs=2",
                ], into: "run-\(batch)")
            counts.insert(run.summary?.tokens ?? 0)
        }
        #expect(counts.count == 1 && counts.first ?? 0 > 21 * 2 * 4)
    }

    @Test("numbers out of all reason are refused or bounded")
    func unreasonable() throws {
        let training = try TinyTraining()
        let file = training.scratch("run.yaml")
        #expect(throws: (any Error).self) {
            try training.configuration(["training.gradient_accumulation_steps=9223372036854775807"])
        }
        #expect(throws: (any Error).self) { try training.configuration(["training.num_train_epochs=1e300"]) }
        let configuration = try training.configuration(["training.num_train_epochs=1e38"])
        #expect(try Trainer(configuration, observer: Recorder()).plan().stepCount == Int(Int32.max), "\(file)")
    }

    @Test("says what trains, and its share of the whole")
    func plan() throws {
        let training = try TinyTraining()
        let changes = ["peft.r=2", "peft.target_modules=[c_attn]", "peft.bias=lora_only"]
        let plan = try Trainer(training.configuration(changes), observer: Recorder()).plan()
        #expect(
            plan.groups.map { "\($0.pattern) \($0.tensorCount) \($0.parameterCount)" } == [
                "transformer.h.*.attn.c_attn.lora_A.weight 2 64", "transformer.h.*.attn.c_attn.lora_B.weight 2 192",
                "transformer.h.*.attn.c_attn.base_layer.bias 2 96",
            ])
        // 320 × 16 + 32 × 16, two layers of 12 · 16² + 13 · 16, a norm.
        #expect(plan.trainableCount == 352)
        #expect(plan.totalCount == 320 * 16 + 32 * 16 + 2 * (12 * 256 + 13 * 16) + 32 + 64 + 192)
        #expect(plan.method == "lora" && plan.firstStep == 0)
        #expect(
            plan.dataSummaries == [
                "training: 21 examples of 21 records, 215 tokens", "each text ends with the token 0 (<|endoftext|>)",
            ])
        #expect(try !training.scratch.names().contains("run"))
    }

    @Test("says after every step what is left, an evaluation at the end included")
    func secondsLeft() throws {
        let training = try TinyTraining()
        let run = try training.run([
            "data.validation=\(training.scratch("validation.jsonl"))", "training.max_steps=8", "training.eval_steps=2",
            "training.warmup_steps=0",
        ])
        #expect(run.left.count == 8 && run.evaluated.count == 4)
        #expect(run.left.allSatisfy { $0.seconds > 0 })
    }

    @Test("is told in metrics.jsonl, a line for each stretch and each evaluation")
    func metrics() throws {
        let training = try TinyTraining()
        let run = try training.run(["data.validation=\(training.scratch("validation.jsonl"))"])
        let lines = try training.lines("run")
        let (step, evaluation) = (
            [
                "step", "epoch", "loss", "grad_norm", "learning_rate", "tokens", "tokens_per_second", "elapsed_seconds",
                "peak_memory_bytes",
            ], ["step", "epoch", "eval_loss", "eval_tokens", "elapsed_seconds"]
        )
        #expect(
            try lines.map { try $0.asObject().map(\.key) } == [step, step, evaluation, step, step, evaluation])
        #expect(try lines.map { try $0.integer("step") } == [3, 6, 6, 9, 12, 12])
        #expect(run.logged.map(\.loss) == (try lines.compactMap { try $0.optionalNumber("loss") }))
        #expect(run.evaluated.map(\.loss) == (try lines.compactMap { try $0.optionalNumber("eval_loss") }))
        // Warm-up of 3 steps of 12, so that the third one has 2/3 of the peak.
        #expect(abs(run.logged[0].learningRate - 2e-2 / 3) < 1e-12)
        #expect(run.logged[3].learningRate == 1e-2 / 9)
    }
}
