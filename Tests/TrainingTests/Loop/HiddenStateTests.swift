import Files
import Foundation
import Methods
import Tensors
import Testing
import Training

/// Models of four blocks without dropout; T5 of three in its encoder and two in its decoder.
private enum Model: String, CaseIterable, CustomTestStringConvertible {
    case gpt2, qwen2, neox, t5

    var testDescription: String { rawValue }

    var text: String {
        switch self {
        case .gpt2: Self.still(TinyTraining.gpt2).replacing("\"n_layer\": 2", with: "\"n_layer\": 4")
        case .qwen2: Self.still(TinyTraining.others[0]).replacing("_layers\": 2", with: "_layers\": 4")
        case .neox: Self.still(TinyTraining.others[1]).replacing("_layers\": 2", with: "_layers\": 4")
        case .t5:
            """
            {"model_type": "t5", "vocab_size": 320, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 3,
             "num_decoder_layers": 2, "num_heads": 2, "dropout_rate": 0, "decoder_start_token_id": 0, "eos_token_id": 1}
            """
        }
    }

    private static func still(_ model: String) -> String { model.replacing("\": 0.1", with: "\": 0") }
}

/// Something that trains, and what is said of the states below it, by the model; nil where nothing is kept.
private struct Case: CustomTestStringConvertible, Sendable {
    let settings: [String]
    let notes: @Sendable (Model) -> [String]

    init(_ settings: [String], _ notes: @escaping @Sendable (Model) -> [String]) {
        (self.settings, self.notes) = (settings, notes)
    }

    var testDescription: String { settings.joined(separator: " ") }
}

@Suite("Hidden states below what trains") struct HiddenStateTests {
    private static let upper = ["peft.r=2", "peft.lora_dropout=0.1", "peft.layers_to_transform=[2, 3]"]
    private static let head = ["peft.method=last_layers", "peft.layers=0", "peft.final_norm=false", "peft.head=true"]

    /// Of all tokens of 21 records and 5 of validation; of T5 with those of the sources.
    private static func note(_ model: Model, _ place: String, _ skipped: String) -> [String] {
        let rows = model == .t5 ? "215 tokens and 48" : "194 tokens and 43"
        return [
            "hidden states of \(rows) of validation under \(place) are kept: \(model == .t5 ? 17 : 15) kB; "
                + "epochs after the first skip \(skipped)"
        ]
    }

    /// Of the tokens that something is predicted from.
    private static func note(behind model: Model, _ place: String) -> [String] {
        [
            "hidden states of 84 tokens and 20 of validation under \(place) are kept: 6.7 kB; epochs after the first skip "
                + (model == .t5 ? "the encoder and all 2 blocks of the decoder" : "all 4 blocks")
        ]
    }

    private static let cases = [
        Case(["peft.method=last_layers", "peft.layers=1"]) { model in
            model == .t5
                ? note(model, "block 1 of the decoder", "the encoder and 1 of 2 blocks of the decoder")
                : note(model, "block 3", "3 of 4 blocks")
        },
        Case(["peft.method=last_layers", "peft.layers=0"]) { note(behind: $0, "the final norm") },
        Case(head) { note(behind: $0, "the head") },
        Case(["peft.r=2", "peft.lora_dropout=0.1", "peft.layers_to_transform=[2]"]) { model in
            model == .t5
                ? [
                    "hidden states of 131 tokens and 28 of validation under block 2 of the encoder are kept: 10 kB; epochs "
                        + "after the first skip 2 of 3 blocks of the encoder"
                ] : note(model, "block 2", "2 of 4 blocks")
        },
        Case(["peft.r=2", "peft.target_modules=.*(decoder|h|layers).*(q|c_attn|q_proj|query_key_value)"]) {
            $0 == .t5
                ? [
                    "hidden states of 131 tokens and 28 of validation under the decoder are kept: 10 kB; epochs after the "
                        + "first skip the encoder"
                ] : []
        },
        Case(["peft.r=2"]) { _ in [] },
        Case(["peft.method=ln_tuning"]) { _ in [] },
        Case(["peft.method=full", "training.learning_rate=1.0e-4"]) { _ in [] },
        Case(["peft.method=prefix_tuning", "peft.num_virtual_tokens=2"]) { _ in [] },
        Case(["peft.method=prompt_tuning", "peft.num_virtual_tokens=2"]) { _ in [] },
        Case(["peft.r=2", "peft.layers_to_transform=[1]", "peft.trainable_token_indices=[3, 5]"]) { _ in [] },
    ]

    @Test("kept or not, they give the same losses, and the run says what it keeps", arguments: Model.allCases, cases)
    fileprivate func equal(model: Model, kept: Case) throws {
        let notes = try Self.compare(TinyTraining(model: model.text), kept.settings)
        #expect(notes.filter { $0.contains("hidden states") } == kept.notes(model))
    }

    /// - Returns: The notes of the run that keeps what it can.
    @discardableResult
    private static func compare(_ training: TinyTraining, _ changes: [String]) throws -> [String] {
        let changes =
            changes + [
                "training.logging_steps=1", "training.eval_steps=5", "training.num_train_epochs=3",
                "data.validation=\(training.scratch("validation.jsonl"))",
            ]
        let kept = try training.run(changes, into: "kept")
        let anew = try training.run(changes + ["training.keep_hidden_states=off"], into: "anew")
        #expect(anew.plan?.notes.contains { $0.contains("hidden states") } == false)
        #expect(kept.logged.count == anew.logged.count && kept.evaluated.count == anew.evaluated.count)
        for (a, b) in zip(kept.logged, anew.logged) {
            #expect(abs(a.loss - b.loss) <= 1e-6 * b.loss, "step \(b.step)")
            #expect(a.tokens == b.tokens)
        }
        for (a, b) in zip(kept.evaluated, anew.evaluated) {
            #expect(abs(a.loss - b.loss) <= 1e-6 * b.loss, "step \(b.step)")
            #expect(a.scores == b.scores)
        }
        return kept.plan?.notes ?? []
    }

    @Test(
        "give the same losses with whatever else a run has",
        arguments: [
            ["training.gradient_checkpointing=true"], ["training.gradient_accumulation_steps=1", "data.shuffle=false"],
            ["data.prompt=null", "data.completion=null", "data.text=\"{q} {a}\"", "data.block_size=16"],
            ["training.max_steps=9"], ["model.load_in_4bit=true"],
            ["training.hidden_states_memory=0"], ["training.hidden_states_memory=0.000005"],
            ["peft={method: adalora, init_r: 4, target_r: 2, tinit: 1, tfinal: 3, layers_to_transform: [2, 3]}"],
            ["peft={method: adapter, leave_out: [0, 1, 2]}"],
            ["peft={method: loha, r: 2, module_dropout: 0.9, layers_to_transform: [1, 3]}"],
            ["peft.modules_to_save=[ln_f]"],
        ])
    func settings(changes: [String]) throws {
        let training = try TinyTraining(model: Model.gpt2.text)
        let notes = try Self.compare(training, Self.upper + changes)
        #expect(notes.contains { $0.hasPrefix("hidden states of ") && $0.hasSuffix(" of 4 blocks") }, "\(notes)")
    }

    @Test("of a classifier's head alone are one row a text", arguments: [Model.gpt2, .qwen2, .neox])
    fileprivate func classifier(model: Model) throws {
        let training = try TinyTraining(model: model.text)
        let notes = try Self.compare(
            training,
            Self.head + [
                "task=sequence_classification", "data.prompt=null", "data.completion=null", "data.text=\"{q} {a}\"",
                "data.label={a}",
            ])
        #expect(
            notes == [
                "hidden states of 21 texts and 5 of validation under the head are kept: 1.7 kB; epochs after the first skip "
                    + "all 4 blocks"
            ])
    }

    @Test(
        "are the same in a run that was interrupted, in memory or in a scratch file",
        arguments: Model.allCases, ["1", "0", "0.000003"])
    fileprivate func resumed(model: Model, memory: String) throws {
        let training = try TinyTraining(model: model.text)
        let changes =
            ["peft.r=2", "peft.lora_dropout=0.1", "peft.layers_to_transform=[2]"] + [
                "training.hidden_states_memory=\(memory)", "data.validation=\(training.scratch("validation.jsonl"))",
                "training.num_train_epochs=3",
            ]
        try training.run(changes, into: "whole")
        for (existing, stop) in [(Trainer.Existing.refuse, 4), (.resume, 8)] {
            try training.run(changes, existing, stoppingAfter: stop)
        }
        try training.run(changes, .resume)
        #expect(
            try training.bytes("run/adapter_model.safetensors") == training.bytes("whole/adapter_model.safetensors"))
        #expect(try training.metrics("run") == training.metrics("whole"))
        #expect(
            try FileSystem.names(in: training.scratch("run")).sorted() == [
                "README.md", "adapter_config.json", "adapter_model.safetensors", "checkpoints", "loss.svg",
                "metrics.jsonl", "training_config.yaml",
            ])
    }

    @Test("have the same bits on any number of threads")
    func threads() throws {
        let training = try TinyTraining(model: Model.gpt2.text)
        let count = WorkerPool.shared.threadCount
        defer { WorkerPool.shared.threadCount = count }
        for threads in 1...4 {
            WorkerPool.shared.threadCount = threads
            try training.run(Self.upper, into: "run\(threads)")
            #expect(
                try training.bytes("run\(threads)/adapter_model.safetensors")
                    == training.bytes("run1/adapter_model.safetensors"))
        }
    }

    @Test("aren't kept with dropout below, which is said; of an evaluation they are")
    func dropout() throws {
        let training = try TinyTraining(model: TinyTraining.gpt2)
        // What is said of prompts is no matter here.
        let last = ["peft.method=last_layers", "peft.layers=1", "training.share_prompts=off"]
        let obstacle =
            "hidden states of the training data aren't kept, because dropout makes others of a record each time: with "
            + "embd_pdrop, attn_pdrop and resid_pdrop of config.json at 0, epochs after the first would skip 1 of 2 blocks"
        #expect(try training.run(last, into: "a").plan?.notes == [obstacle])
        let validation = ["data.validation=\(training.scratch("validation.jsonl"))"]
        #expect(
            try training.run(last + validation, into: "b").plan?.notes == [
                obstacle,
                "hidden states of the validation data's 43 tokens under block 1 are kept: 2.8 kB; evaluations after the "
                    + "first skip 1 of 2 blocks",
            ])
        try Self.compare(training, last)
        // Nothing that comes back.
        #expect(try training.run(last + validation + ["training.num_train_epochs=1"], into: "c").plan?.notes == [])
        #expect(try training.run(last + ["training.num_train_epochs=1"], into: "d").plan?.notes == [])
    }

    @Test("name a folder that isn't there, warn of one in memory, and refuse other settings")
    func folders() throws {
        let training = try TinyTraining(model: Model.gpt2.text)
        let settings = Self.upper + ["training.hidden_states_memory=0"]
        let missing = training.scratch("none")
        #expect(
            training.failure(settings + ["training.hidden_states_dir=\(missing)"], into: "a")
                == "\(missing): error: no scratch file can be made in the folder: No such file or directory")
        let recorder = try training.run(settings + ["training.hidden_states_dir=/dev/shm"], into: "b")
        #expect(
            recorder.warnings.contains(
                "/dev/shm: warning: the folder's files lie in memory themselves, so that hidden states there save none: "
                    + "name one on a disk by training.hidden_states_dir"))
        #expect(
            training.failure(["training.keep_hidden_states=on"])
                == "--set training.keep_hidden_states=on: error: training.keep_hidden_states: expected one of auto, off, got "
                + "on")
        #expect(
            training.failure(["training.hidden_states_memory=-1"])
                == "--set training.hidden_states_memory=-1: error: training.hidden_states_memory: must be at least 0.0, got "
                + "-1")
    }
}
