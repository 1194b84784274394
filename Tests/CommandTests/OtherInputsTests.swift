import Checkpoints
import Files
import Foundation
import JSONText
import Tensors
import TestSupport
import Testing

@Suite("An adapter or a run whose base or data is another by now") struct OtherInputsTests {
    private let small: SmallModel

    /// An adapter that was trained from the project's folder, by relative paths.
    init() throws {
        small = try SmallModel()
        let records = (0..<8).map { #"{"q": "\#($0)", "a": "b\#($0 % 3)"}"# }
        try small.folder.write(records.joined(separator: "\n") + "\n", to: "data.jsonl")
        try small.folder.write(
            """
            model: {path: model}
            data: {train: data.jsonl, prompt: "{q}=", completion: "{a}"}
            peft: {method: lora, r: 2, target_modules: [c_attn]}
            training: {output_dir: runs/demo, max_steps: 4, save_steps: 2, per_device_train_batch_size: 4,
                       learning_rate: 1.0e-2}
            """, to: "run.yaml")
        let trained = try run(["train", "--config", "run.yaml", "--threads", "1", "--quiet"])
        #expect(trained.status == 0, "\(trained.errors)")
    }

    private func run(_ arguments: [String], in folder: String = "", input: String = "") throws -> Outcome {
        let process = Process()
        process.executableURL = binary
        process.arguments = arguments
        process.currentDirectoryURL = URL(filePath: small.path(folder))
        process.standardInput = try FileHandle(forReadingFrom: small.folder.write(input, to: ".input"))
        process.standardOutput = try FileHandle(forWritingTo: small.folder.write("", to: ".output"))
        process.standardError = try FileHandle(forWritingTo: small.folder.write("", to: ".errors"))
        try process.run()
        process.waitUntilExit()
        return Outcome(
            status: process.terminationStatus, output: try small.folder.text(".output"),
            errors: try small.folder.text(".errors"))
    }

    private let evaluation = ["--data", "data.jsonl", "--prompt", "{q}=", "--completion", "{a}", "--json"]

    private func loss(_ outcome: Outcome) throws -> Double {
        #expect(outcome.status == 0, "\(outcome.errors)")
        return try JSONNode.parse(outcome.output).number("loss")
    }

    /// Another model of the same shapes.
    private func makeOther(_ folder: String) throws {
        try FileManager.default.copyItem(atPath: small.model, toPath: small.path(folder))
        let weights = try ModelWeights(folder: small.model, warn: { _ in })
        let tensors = try weights.tensors.map { entry in
            let tensor = try weights.tensor(named: entry.name).copy()
            for i in 0..<tensor.count { tensor.data[i] *= 0.75 }
            return OutgoingTensor(entry.name, tensor, as: .float32)
        }
        try ModelWeights.write(tensors, to: small.path(folder))
    }

    @Test("works from any folder, and after the whole project was moved") func places() throws {
        let own = try loss(run(["eval", "--adapter", "runs/demo"] + evaluation))
        #expect(try loss(run(["eval", "--base", "model"] + evaluation)) != own)
        try small.folder.write(small.folder.text("data.jsonl"), to: "elsewhere/data.jsonl")
        #expect(try loss(run(["eval", "--adapter", "../runs/demo"] + evaluation, in: "elsewhere")) == own)
        try FileManager.default.createDirectory(atPath: small.path("new/home"), withIntermediateDirectories: true)
        for name in ["model", "runs", "data.jsonl"] {
            try FileManager.default.moveItem(atPath: small.path(name), toPath: small.path("new/home/\(name)"))
        }
        #expect(try loss(run(["eval", "--adapter", "runs/demo"] + evaluation, in: "new/home")) == own)
        let checkpoint = "../new/home/runs/demo/checkpoints/step-4"
        #expect(try loss(run(["eval", "--adapter", checkpoint] + evaluation, in: "elsewhere")) == own)
    }

    @Test("is refused by every command on a base of the same shapes, unless that is said to be known")
    func commands() throws {
        try makeOther("other")
        let base = ["--base", "other"]
        let message = "the base model 'other' isn't the one that the adapter was trained on: its weights are others"
        let refusal =
            "runs/demo: error: \(message); give the right one with --base, or --other-base to go on all the same\n"
        for command in [
            ["eval", "--adapter", "runs/demo"] + evaluation + base,
            ["generate", "--adapter", "runs/demo", "--prompt", "1=", "--max-new-tokens", "2"] + base,
            ["merge", "--adapter", "runs/demo", "--output", "merged", "--quiet"] + base,
            ["convert", "--adapter", "runs/demo", "--rank", "2", "--output", "converted", "--quiet"] + base,
        ] {
            let refused = try run(command)
            #expect(refused.errors == refusal && refused.status == 65, "\(command[0])")
            let known = try run(command + ["--other-base"])
            #expect(
                known.status == 0 && known.errors.contains("runs/demo: warning: \(message)\n"),
                "\(command[0]): \(known.errors)")
        }
        let diagnosis = try run(["doctor", "runs/demo"] + base)
        #expect(diagnosis.status == 65 && diagnosis.output.contains(message))
        #expect(try run(["doctor", "runs/demo"]).status == 0)
        let start = [
            "train", "--config", "run.yaml", "--set", "peft.init_from=runs/demo", "--set", "model.path=other", "--set",
            "training.output_dir=runs/second", "--quiet",
        ]
        #expect(try run(start).errors == refusal)
        #expect(try run(start + ["--other-base"]).status == 0)
        // The result is at home there.
        #expect(try run(["doctor", "runs/second"]).status == 0)
    }

    @Test("isn't found under its base's name elsewhere, where that is another") func sameName() throws {
        try small.folder.write("", to: "elsewhere/.keep")
        try makeOther("elsewhere/model")
        let own = try small.folder.text("runs/demo/adapter_config.json")
        try small.folder.write(
            own.replacing("\(FileSystem.realPath(small.model))", with: "model").replacing(small.model, with: "model"),
            to: "runs/demo/adapter_config.json")
        try small.folder.write(small.folder.text("data.jsonl"), to: "elsewhere/data.jsonl")
        let here = try loss(run(["eval", "--adapter", "runs/demo"] + evaluation))
        #expect(try loss(run(["eval", "--adapter", "../runs/demo"] + evaluation, in: "elsewhere")) == here)
    }

    @Test("isn't resumed on other data, unless that is said to be known") func resumed() throws {
        for name in ["adapter_config.json", "adapter_model.safetensors", "checkpoints/step-4"] {
            try FileManager.default.removeItem(atPath: small.path("runs/demo/\(name)"))
        }
        try small.folder.write(
            small.folder.text("data.jsonl").replacing("b", with: "zzz"), to: "data.jsonl")
        let resume = ["train", "--config", "run.yaml", "--resume", "--quiet"]
        let refused = try run(resume)
        #expect(
            refused.errors == """
                runs/demo/checkpoints/step-2: error: the training data isn't what it was when the run began: its records, or \
                their order, are others: a resumed run must be the same; put it back, give --overwrite to begin anew, or \
                --other-data to go on all the same

                """)
        #expect(refused.status == 65)
        #expect(try run(resume + ["--other-data"]).status == 0)
    }

    @Test("has checkpoints that know the templates, and from which another run can begin") func checkpoint() throws {
        let options = ["--as-trained", "--prompt", "3", "--max-new-tokens", "3", "--json"]
        let (from, whole) = try (
            run(["generate", "--adapter", "runs/demo/checkpoints/step-4"] + options),
            run(["generate", "--adapter", "runs/demo"] + options)
        )
        #expect(from.status == 0 && from.output == whole.output, "\(from.errors)")
        let second = try run([
            "train", "--config", "run.yaml", "--set", "peft.init_from=runs/demo/checkpoints/step-2", "--set",
            "training.learning_rate=2e-3", "--set", "training.output_dir=runs/second", "--quiet",
        ])
        #expect(second.status == 0, "\(second.errors)")
    }
}
