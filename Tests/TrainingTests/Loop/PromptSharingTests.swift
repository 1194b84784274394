import Testing
import Training

@Suite("Training on records with the same prompts") struct PromptSharingTests {
    private static let plainModel = TinyTraining.gpt2.replacing("0.1", with: "0.0")
    private static let shared = "shared prompts: what records of a batch begin with in common is computed once"
    private static let apart =
        "shared prompts: none, because dropout is drawn for each record by itself (training.share_prompts: on draws it "
        + "once for what they have in common)"

    private let training: TinyTraining

    init() throws { training = try Self.training(model: Self.plainModel) }

    /// Of 7 prompts each in three or four of 24 records, which are mixed.
    private static func training(model: String) throws -> TinyTraining {
        let training = try TinyTraining(model: model)
        let lines = (0..<24).map { index in
            #"{"q": "how near the soup is to \#(index * 5 % 7)", "a": "near \#(index % 5)"}"#
        }
        try training.scratch.write(lines.joined(separator: "\n") + "\n", to: "data.jsonl")
        return training
    }

    private let changes = [
        "training.per_device_train_batch_size=6", "training.logging_steps=1", "data.group_by_prompt=true",
    ]

    @Test("computes them once: the losses of a run that doesn't", arguments: [plainModel] + TinyTraining.others)
    func losses(model: String) throws {
        let training = try Self.training(model: model.replacing(": 0.1", with: ": 0.0"))
        let validation = "data.validation=\(training.scratch("data.jsonl"))"
        let runs = try ["auto", "off"].map {
            try training.run(changes + [validation, "training.share_prompts=\($0)"], into: $0)
        }
        #expect(runs[0].plan?.notes.contains(Self.shared) == true && runs[1].plan?.notes.isEmpty == true)
        #expect(runs[0].summary?.tokens == runs[1].summary?.tokens && runs[1].summary?.savedShare == nil)
        let saved = try #require(runs[0].summary?.savedShare)
        #expect(saved > 0.4 && saved < 0.95, "\(saved)")
        #expect(runs[0].logged.count == 4 && runs[0].evaluated.count == 2)
        for (a, b) in zip(runs[0].logged, runs[1].logged) {
            #expect(
                abs(a.loss - b.loss) <= 1e-6 * b.loss && abs(a.gradientNorm - b.gradientNorm) <= 1e-5 * b.gradientNorm)
        }
        for (a, b) in zip(runs[0].evaluated, runs[1].evaluated) {
            #expect(abs(a.loss - b.loss) <= 1e-6 * b.loss && a.tokens == b.tokens)
        }
    }

    @Test("leaves each record to its own dropout, unless it is asked") func dropout() throws {
        let adapter = try training.run(changes + ["peft.lora_dropout=0.1"], into: "adapter")
        #expect(adapter.plan?.notes == [Self.apart] && adapter.summary?.savedShare == nil)
        let asked = try training.run(
            changes + ["peft.lora_dropout=0.1", "training.share_prompts=on"], into: "asked")
        #expect(asked.plan?.notes == [Self.shared] && asked.summary?.savedShare != nil)
        let noisy = try training.run(changes + ["training.neftune_noise_alpha=5"], into: "noisy")
        #expect(noisy.plan?.notes == [Self.apart.replacing("dropout", with: "noise")])
        #expect(noisy.summary?.savedShare == nil)
        let model = try Self.training(model: TinyTraining.gpt2)
        #expect(try model.run(changes).plan?.notes == [Self.apart])
    }

    @Test("shares what texts begin with, and says nothing where a batch has one record") func texts() throws {
        let single = try training.run(["training.per_device_train_batch_size=1"], into: "single")
        #expect(single.plan?.notes == [] && single.summary?.savedShare == nil)
        let lines = ["mill", "river"].map { "the soup of the day is near the \($0)\n" }
        try training.scratch.write(lines.joined(), to: "texts.txt")
        try training.scratch.write(
            """
            model: {path: \(training.scratch("model")), init: random}
            data: {train: \(training.scratch("texts.txt"))}
            peft: {method: lora}
            training: {output_dir: \(training.scratch("texts")), max_steps: 2}
            """, to: "texts.yaml")
        let texts = try training.run(into: "texts", file: "texts.yaml")
        #expect(texts.plan?.notes == [Self.shared] && texts.summary?.savedShare != nil)
    }

    @Test("goes on with the bits of a run that wasn't stopped, grouped or as it comes", arguments: [true, false])
    func resumed(isGrouped: Bool) throws {
        let changes = [
            "training.per_device_train_batch_size=6", "training.logging_steps=1", "data.group_by_prompt=\(isGrouped)",
            "training.num_train_epochs=3", "training.gradient_accumulation_steps=1",
        ]
        let whole = try training.run(changes, into: "whole")
        #expect(whole.summary?.steps == 12)
        try training.run(changes, stoppingAfter: 3)
        try training.run(changes, .resume, stoppingAfter: 7)
        let last = try training.run(changes, .resume)
        #expect(last.plan?.firstStep == 7)
        #expect(try training.metrics("run") == training.metrics("whole"))
        #expect(
            try training.bytes("run/adapter_model.safetensors") == training.bytes("whole/adapter_model.safetensors"))
    }

    @Test("tells how records are grouped, and refuses to go on otherwise") func grouping() throws {
        let told =
            "grouped by prompt: 7 prompts, each of them whole in a batch of 6 where it fits; the prompts are shuffled, and "
            + "the records of each"
        let run = try training.run(changes, stoppingAfter: 1)
        #expect(run.plan?.dataSummaries.contains(told) == true)
        let kept = try training.run(changes + ["data.shuffle=false"], into: "kept")
        #expect(
            kept.plan?.dataSummaries.contains(
                "grouped by prompt: 7 prompts, each of them whole in a batch of 6 where it fits; the prompts keep their order"
            )
                == true)
        let refused = training.failure(Array(changes.dropLast()), .resume)
        #expect(
            refused?.hasPrefix(
                "\(training.scratch("run"))/training_config.yaml: error: data.group_by_prompt: was true when the run began and is false now"
            )
                == true, "\(refused ?? "")")
    }
}
