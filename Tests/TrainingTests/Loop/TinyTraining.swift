import Checkpoints
import Configuration
import Diagnostics
import Files
import Foundation
import JSONText
import Tensors
import TestSupport
import Training

/// Runs of a two-layer GPT-2 with dropout on 21 short records, shuffled, in batches of 2 and steps of 2 batches: 6 steps
/// an epoch, of which the last has one record, and 12 in all.
struct TinyTraining {
    let scratch: Scratch

    /// GPT-2, with dropout wherever it has some.
    static let gpt2 = """
        {"model_type": "gpt2", "vocab_size": 320, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2,
         "embd_pdrop": 0.1, "resid_pdrop": 0.1, "attn_pdrop": 0.1, "torch_dtype": "float16"}
        """
    /// The same with feed-forward layers large enough for moments in 8 bits.
    static let wider = gpt2.replacing("\"n_embd\": 16", with: "\"n_embd\": 32")
    /// Of Llama's kin one with a tied head, biases, grouped heads and a window; and GPT-NeoX.
    static let others = [
        """
        {"model_type": "qwen2", "vocab_size": 320, "max_position_embeddings": 32, "hidden_size": 16,
         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 24,
         "attention_dropout": 0.1, "tie_word_embeddings": true, "use_sliding_window": true, "sliding_window": 6,
         "max_window_layers": 1}
        """,
        """
        {"model_type": "gpt_neox", "vocab_size": 320, "max_position_embeddings": 32, "hidden_size": 16,
         "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "rotary_pct": 0.5,
         "attention_dropout": 0.1, "hidden_dropout": 0.1}
        """,
    ]

    init(records: Int = 21, model: String = gpt2) throws {
        scratch = try Scratch()
        try scratch.write(model, to: "model/config.json")
        for name in ["vocab.json", "merges.txt"] {
            try scratch.write(FileSystem.text(of: fixture("datasets/tokenizer/\(name)").path()), to: "model/\(name)")
        }
        try write(records: records, to: "data.jsonl")
        try write(records: 5, to: "validation.jsonl")
        try scratch.write(
            """
            model: {path: \(scratch("model")), init: random}
            data: {train: \(scratch("data.jsonl")), prompt: "{q}=", completion: "{a}"}
            peft: {method: lora}
            training:
              output_dir: \(scratch("run"))
              num_train_epochs: 2
              per_device_train_batch_size: 2
              gradient_accumulation_steps: 2
              learning_rate: 1.0e-2
              weight_decay: 0.1
              warmup_steps: 3
              logging_steps: 3
              save_steps: 1000

            """, to: "run.yaml")
    }

    func write(records: Int, to name: String) throws {
        let lines = (0..<records).map { index in
            #"{"q": "\#(String(repeating: "the soup ", count: index % 3))\#(index % 7)", "a": "near \#(index % 5)"}"#
        }
        try scratch.write(lines.joined(separator: "\n") + "\n", to: name)
    }

    func configuration(_ changes: [String], file: String = "run.yaml") throws -> RunConfiguration {
        try RunConfiguration(
            ConfigDocument.load(yamlFile: scratch(file), overrides: changes), warn: { _ in })
    }

    /// Trains into the folder `output` and tells how it went.
    @discardableResult
    func run(
        _ changes: [String] = [], into output: String = "run", _ existing: Trainer.Existing = .refuse,
        stoppingAfter step: Int = .max, accepting: InputChanges = [], file: String = "run.yaml", model: String? = nil
    ) throws -> Recorder {
        let recorder = Recorder()
        let model = model.map { ["model.path=\"\($0)\""] } ?? []
        let configuration = try configuration(
            changes + model + ["training.output_dir=\"\(scratch(output))\""], file: file)
        let trainer = try Trainer(configuration, accepting: accepting, observer: recorder)
        recorder.summary = try trainer.run(existing, shouldStop: { recorder.step >= step })
        return recorder
    }

    /// What `run` throws, as the user sees it.
    func failure(
        _ changes: [String] = [], into output: String = "run", _ existing: Trainer.Existing = .refuse
    ) -> String? {
        do {
            try run(changes, into: output, existing)
            return nil
        } catch { return "\(error)" }
    }

    func bytes(_ name: String) throws -> Data { try Data(contentsOf: URL(filePath: scratch(name))) }

    /// The lines of a run's metrics without what depends on the clock and the machine.
    func metrics(_ output: String) throws -> [String] {
        let unsteady = ["tokens_per_second", "elapsed_seconds", "peak_memory_bytes"]
        return try lines(output).map { line in
            JSONValue.object(
                try line.asObject().filter { !unsteady.contains($0.key) }.map { .init($0.key, $0.value.plain) }
            ).text(.compact)
        }
    }

    func lines(_ output: String) throws -> [JSONNode] {
        try scratch.text("\(output)/metrics.jsonl").split(separator: "\n").map { try JSONNode.parse(String($0)) }
    }
}

/// Remembers what a run tells.
final class Recorder: TrainingObserver {
    var step = 0
    var plan: TrainingPlan?
    var logged: [StepMetrics] = []
    var evaluated: [EvaluationMetrics] = []
    var saved: [Int] = []
    var warnings: [String] = []
    var summary: TrainingSummary?
    /// The seconds that were said to be left after each step, and when.
    var left: [(seconds: Double, time: ContinuousClock.Instant)] = []
    var finishedCount = 0
    var foundFinishedCount = 0

    func started(_ plan: TrainingPlan) {
        self.plan = plan
        step = plan.firstStep
    }
    func progressed(step: Int, of total: Int, loss: Double, tokensPerSecond: Double, secondsLeft: Double) {
        self.step = step
        left.append((secondsLeft, .now))
    }
    func logged(_ metrics: StepMetrics) { logged.append(metrics) }
    func evaluating(step: Int, examples: Int, of total: Int) {}
    func evaluated(_ metrics: EvaluationMetrics) { evaluated.append(metrics) }
    func saved(step: Int, folder: String) { saved.append(step) }
    func warned(_ problem: Problem) { warnings.append(problem.description) }
    func finished(_ summary: TrainingSummary) { finishedCount += 1 }
    func foundFinished(_ summary: TrainingSummary) { foundFinishedCount += 1 }
}
