import Foundation
import JSONText
import Methods
import Tensors
import Testing
import Training

@Suite("A resumed run") struct ResumeTests {
    /// Everything that trains, with dropout of its own where the method has one.
    private static let cases = [
        ["peft.r=2", "peft.lora_dropout=0.1", "peft.target_modules=all-linear"],
        ["peft.r=2", "peft.lora_dropout=0.1", "peft.bias=all", "peft.modules_to_save=[ln_f, lm_head]"],
        ["peft.r=2", "peft.lora_dropout=0.1", "model.load_in_4bit=true", "model.bnb_4bit_use_double_quant=true"],
        ["peft.r=2", "peft.use_dora=true", "model.load_in_8bit=true"],
        ["peft.method=full"],
        ["peft.r=2", "peft.lora_dropout=0.1", "peft.use_dora=true", "peft.target_modules=[c_attn, wte]"],
        ["peft.r=2", "peft.lora_dropout=0.1", "peft.target_modules=[lm_head, wte, c_attn]"],
        ["peft.r=2", "peft.init_lora_weights=pissa", "peft.trainable_token_indices=[3, 5]"],
        ["peft.r=2", "peft.lora_alpha=2", "peft.init_lora_weights=loftq", "peft.loftq_config.loftq_iter=3"],
        [
            "peft.method=adalora", "peft.init_r=4", "peft.target_r=2", "peft.tinit=1", "peft.tfinal=3",
            "peft.lora_dropout=0.1",
        ],
        ["peft.method=bitfit"],
        ["peft.method=bitfit", "peft.biases=[query, intermediate]"],
        ["peft.method=last_layers", "peft.head=true"],
        ["peft.method=ln_tuning"],
        ["peft.method=ia3", "peft.modules_to_save=[ln_f]"],
        ["peft.method=adapter", "peft.variant=houlsby", "peft.scaling=learned", "peft.dropout=0.1"],
        ["peft.method=loha", "peft.r=2", "peft.rank_dropout=0.2", "peft.module_dropout=0.2"],
        ["peft.method=lokr", "peft.r=2", "peft.rank_dropout=0.2", "peft.module_dropout=0.2"],
        ["peft.method=prompt_tuning", "peft.num_virtual_tokens=3", "peft.modules_to_save=[ln_f]"],
        ["peft.method=prefix_tuning", "peft.num_virtual_tokens=3"],
        [
            "peft.method=prefix_tuning", "peft.num_virtual_tokens=3", "peft.prefix_projection=true",
            "peft.encoder_hidden_size=5", "peft.modules_to_save=[ln_f]",
        ],
        ["peft.method=p_tuning", "peft.num_virtual_tokens=3"],
        [
            "peft.method=p_tuning", "peft.num_virtual_tokens=3", "peft.encoder_reparameterization_type=LSTM",
            "peft.encoder_dropout=0.2", "peft.virtual_token_placement=template", "data.prompt='[P2]{q} is[P1]'",
        ],
        ["peft.method=p_tuning_v2", "peft.num_virtual_tokens=3"],
    ]

    /// And as they are by default those of the registry that have no settings here.
    private static let all =
        cases
        + methods.filter { method in method.name != "lora" && !cases.contains { $0[0] == "peft.method=\(method.name)" }
        }
        .map { ["peft.method=\($0.name)"] }

    private static func result(_ changes: [String]) -> String {
        switch changes[0] {
        case "peft.method=full": "model.safetensors"
        case "peft.method=adapter": "adapter.safetensors"
        default: "adapter_model.safetensors"
        }
    }

    @Test(
        "has the bits of one that wasn't interrupted: result, moments, metrics; stopped twice within epochs",
        arguments: all)
    func interrupted(method: [String]) throws { try Self.interrupt(method, try TinyTraining()) }

    /// Every method with its own modules, and full tuning, whose checkpoints are whole models.
    private static let common = methods.map { method in
        let needed = [
            "adalora": ["peft.init_r=4", "peft.target_r=2", "peft.tinit=1", "peft.tfinal=3"],
            "prompt_tuning": ["peft.num_virtual_tokens=3"], "prefix_tuning": ["peft.num_virtual_tokens=3"],
            "p_tuning": ["peft.num_virtual_tokens=3"], "p_tuning_v2": ["peft.num_virtual_tokens=3"],
        ]
        return ["peft.method=\(method.name)"] + (needed[method.name] ?? [])
    }

    @Test("has them on models of other families too", arguments: TinyTraining.others, common)
    func families(model: String, method: [String]) throws {
        try Self.interrupt(method, try TinyTraining(model: model))
    }

    private static func interrupt(_ method: [String], _ training: TinyTraining) throws {
        // A checkpoint behind the interruptions shows the moments.
        let changes = method + ["training.save_steps=10"]
        #expect(try training.run(changes, into: "whole").summary?.steps == 12)
        for (existing, stop) in [(Trainer.Existing.refuse, 4), (.resume, 8)] {
            let part = try training.run(changes, existing, stoppingAfter: stop)
            #expect(part.summary?.wasInterrupted == true && part.saved == [stop])
        }
        let last = try training.run(changes, .resume)
        #expect(last.plan?.firstStep == 8 && last.summary?.wasInterrupted == false)
        for name in [result(method), "checkpoints/step-10/training_state.safetensors"] {
            #expect(try training.bytes("run/\(name)") == training.bytes("whole/\(name)"), "\(name)")
        }
        #expect(try training.metrics("run") == training.metrics("whole"))
        #expect(try training.metrics("run").count == 4)
    }

    @Test("goes on from a periodic checkpoint after a crash, without the metrics of the steps that are lost")
    func crash() throws {
        let training = try TinyTraining()
        let changes = ["training.save_steps=4", "training.logging_steps=1"]
        try training.run(changes, into: "whole")
        try training.run(changes, stoppingAfter: 7)
        try FileManager.default.removeItem(atPath: training.scratch("run/checkpoints/step-7"))
        let metrics = try training.scratch.text("run/metrics.jsonl")
        #expect(metrics.split(separator: "\n").count == 7)
        try training.scratch.write(metrics + #"{"step": 8, "epo"#, to: "run/metrics.jsonl")
        let resumed = try training.run(changes, .resume)
        #expect(resumed.plan?.firstStep == 4)
        #expect(
            try training.bytes("run/adapter_model.safetensors") == training.bytes("whole/adapter_model.safetensors"))
        #expect(try training.metrics("run") == training.metrics("whole"))
    }

    @Test("has the same bits on another number of threads")
    func threads() throws {
        let training = try TinyTraining()
        let count = WorkerPool.shared.threadCount
        defer { WorkerPool.shared.threadCount = count }
        try training.run(into: "whole")
        WorkerPool.shared.threadCount = 1
        try training.run(stoppingAfter: 5)
        WorkerPool.shared.threadCount = 3
        try training.run([], .resume)
        #expect(
            try training.bytes("run/adapter_model.safetensors") == training.bytes("whole/adapter_model.safetensors"))
    }

    @Test("makes up for the evaluation in which it was stopped")
    func stoppedEvaluation() throws {
        let training = try TinyTraining()
        let changes = ["data.validation=\(training.scratch("validation.jsonl"))", "training.eval_steps=4"]
        try training.run(changes, into: "whole")
        let stopped = try training.run(changes, stoppingAfter: 4)
        #expect(stopped.evaluated.isEmpty && stopped.saved == [4])
        // At the last step too: the model is delivered once it is evaluated.
        let last = try training.run(changes, .resume, stoppingAfter: 12)
        #expect(last.evaluated.map(\.step) == [4, 8] && last.saved == [12] && last.summary?.wasInterrupted == true)
        let end = try training.run(changes, .resume)
        #expect(end.evaluated.map(\.step) == [12] && end.summary?.finalLoss == last.summary?.finalLoss)
        #expect(try training.metrics("run") == training.metrics("whole"))
        #expect(
            try training.bytes("run/adapter_model.safetensors") == training.bytes("whole/adapter_model.safetensors"))
    }

    @Test("is left as it is where it is finished")
    func finished() throws {
        let training = try TinyTraining()
        let first = try training.run()
        let before = try training.bytes("run/adapter_model.safetensors")
        let metrics = try training.bytes("run/metrics.jsonl")
        let again = try training.run([], .resume)
        #expect(again.plan == nil && again.foundFinishedCount == 1 && again.finishedCount == 0)
        #expect(again.summary?.steps == 12 && again.summary?.finalLoss == first.summary?.finalLoss)
        #expect(again.summary?.tokens == first.summary?.tokens && again.summary?.wasInterrupted == false)
        #expect(try training.bytes("run/adapter_model.safetensors") == before)
        #expect(try training.bytes("run/metrics.jsonl") == metrics)
    }

    @Test("must have the configuration it began with, but for what changes no number")
    func otherConfiguration() throws {
        let training = try TinyTraining()
        try training.run(stoppingAfter: 3)
        let file = training.scratch("run/training_config.yaml")
        #expect(
            training.failure(["peft.r=4", "training.learning_rate=0.5", "training.logging_steps=1"], .resume) == """
                \(file): error: peft.r: was 8 when the run began and is 4 now: a resumed run must be the same; set it \
                back, or give --overwrite to begin anew
                \(file): error: training.learning_rate: was 0.01 when the run began and is 0.5 now: a resumed run must \
                be the same; set it back, give --overwrite to begin anew, or begin another run from there with \
                peft.init_from: \(training.scratch("run/checkpoints/step-3")) and another output_dir
                """)
        #expect(try training.run(["training.logging_steps=1"], .resume).logged.count == 9)
    }

    @Test("must have the data it began with")
    func otherData() throws {
        let training = try TinyTraining()
        try training.run(stoppingAfter: 3)
        try training.write(records: 22, to: "data.jsonl")
        let step = training.scratch("run/checkpoints/step-3")
        let otherCount =
            "\(step): error: the training data had 21 examples when the run began and has 22 now: a resumed run must be the "
            + "same; put the data back, give --overwrite to begin anew, or begin another run from there with "
            + "peft.init_from: \(step) and another output_dir"
        #expect(training.failure([], .resume) == otherCount)
        let refusal = """
            \(training.scratch("run/checkpoints/step-3")): error: the training data isn't what it was when the run began: \
            its records, or their order, are others: a resumed run must be the same; put it back, give --overwrite to begin \
            anew, or --other-data to go on all the same
            """
        // As many, one of them edited, or in another order.
        try training.write(records: 21, to: "data.jsonl")
        var lines = try training.scratch.text("data.jsonl").split(separator: "\n").map(String.init)
        let whole = lines
        lines[20] = #"{"q": "another", "a": "one"}"#
        try training.scratch.write(lines.joined(separator: "\n"), to: "data.jsonl")
        #expect(training.failure([], .resume) == refusal)
        lines = whole
        lines.swapAt(3, 4)
        try training.scratch.write(lines.joined(separator: "\n"), to: "data.jsonl")
        #expect(training.failure([], .resume) == refusal)
        // What no template takes changes nothing.
        let same = whole.map { $0.replacing("}", with: #", "source": "web"}"#) }
        try training.scratch.write(same.joined(separator: "\n"), to: "data.jsonl")
        #expect(try training.run([], .resume).summary?.steps == 12)
    }

    @Test("goes on with other data or another base only where that is said, with a warning")
    func accepted() throws {
        let training = try TinyTraining()
        try training.run(stoppingAfter: 3)
        try training.write(records: 21, to: "data.jsonl")
        let text = try training.scratch.text("data.jsonl").replacing("near 1", with: "far 1")
        try training.scratch.write(text, to: "data.jsonl")
        let config = try training.scratch.text("model/config.json")
        try training.scratch.write(config.replacing("\"n_head\": 2", with: "\"n_head\": 4"), to: "model/config.json")
        let checkpoint = training.scratch("run/checkpoints/step-3")
        let message = try #require(training.failure([], .resume))
        #expect(
            message.hasPrefix(
                "\(checkpoint): error: the base model isn't the one with which the run began: its config.json says 'heads 4,"
            ))
        #expect(message.split(separator: "\n").count == 2)
        let run = try training.run([], .resume, accepting: [.base, .data])
        #expect(run.summary?.steps == 12 && run.warnings.count == 2)
    }

    @Test("must have the tokenizer it began with")
    func otherTokenizer() throws {
        let training = try TinyTraining()
        try training.run(stoppingAfter: 3)
        var merges = try training.scratch.text("model/merges.txt").split(
            separator: "\n", omittingEmptySubsequences: false)
        merges.swapAt(1, 2)
        try training.scratch.write(merges.joined(separator: "\n"), to: "model/merges.txt")
        #expect(
            training.failure([], .resume) == """
                \(training.scratch("run/checkpoints/step-3")): error: the tokenizer isn't the one with which the run began: \
                a resumed run must be the same; put it back, give --overwrite to begin anew, or --other-base to go on all \
                the same
                """)
    }

    @Test("may have more epochs or steps than before, also where it was finished, and says what becomes of the rate")
    func extended() throws {
        let training = try TinyTraining()
        let changes = ["training.save_steps=4"]
        try training.run(changes)
        let longer = try training.run(changes + ["training.num_train_epochs=3"], .resume, stoppingAfter: 14)
        #expect(longer.plan?.firstStep == 12 && longer.summary?.wasInterrupted == true)
        let file = training.scratch("run/training_config.yaml")
        #expect(
            longer.warnings == [
                "\(file): warning: training.num_train_epochs: was 2.0 when the run began and is 3.0 now: the run goes on from "
                    + "step 12 to 18 steps, and its learning rate follows the new total"
            ])
        let end = try training.run(changes + ["training.num_train_epochs=3"], .resume)
        #expect(end.plan?.firstStep == 14 && end.summary?.steps == 18 && end.warnings.isEmpty)
        #expect(try training.lines("run").last?.integer("step") == 18)
        #expect(try training.run(changes + ["training.num_train_epochs=3"], .resume).foundFinishedCount == 1)
        #expect(
            try #require(training.failure(changes, .resume)).hasPrefix(
                "\(file): error: training.num_train_epochs: was 3.0 when the run began and is 2.0 now: a resumed run must"
            ))
    }

    @Test("that is finished without a checkpoint has nothing to go on from, and says what to do")
    func withoutState() throws {
        let training = try TinyTraining()
        try training.run()
        #expect(
            training.failure(["training.num_train_epochs=3"], .resume) == """
                \(training.scratch("run")): error: the run is finished, and has no checkpoint from which it could go on to \
                more steps; begin another run from its result: peft.init_from: \(training.scratch("run")) and another \
                training.output_dir
                """)
        #expect(try training.run([], .resume).foundFinishedCount == 1)
    }

    @Test("begins at the first step where there is no checkpoint, and says so")
    func withoutCheckpoint() throws {
        let training = try TinyTraining()
        let run = try training.run([], .resume)
        #expect(
            run.warnings == [
                "\(training.scratch("run")): warning: the folder holds no checkpoint to go on from: the run begins at its "
                    + "first step"
            ])
        #expect(run.plan?.firstStep == 0 && run.summary?.steps == 12)
    }
}
