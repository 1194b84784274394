import Foundation
import Glibc
import JSONText
import TestSupport
import Testing

@Suite("peft train")
struct TrainCommandTests {
    private let folder: TemporaryFolder
    private let configuration: String

    /// A run on the tiny model of the adapter fixtures, with the embedded vocabulary cut down to its size.
    init() throws {
        folder = try TemporaryFolder()
        try Self.makeModel(in: folder)
        let records = (0..<24).map { #"{"q": "\#($0 % 7)", "a": "\#($0 % 5)\#($0 % 3)"}"# }
        try folder.write(records.joined(separator: "\n") + "\n", to: "data.jsonl")
        configuration = try folder.write(
            """
            model: {path: \(folder.path)/model, init: random}
            data:
              train: \(folder.path)/data.jsonl
              validation: \(folder.path)/data.jsonl
              prompt: "{q}="
              completion: "{a}"
            peft: {method: lora, r: 2, target_modules: [c_attn]}
            training:
              output_dir: \(folder.path)/run
              max_steps: 6
              logging_steps: 2
              per_device_train_batch_size: 4
              learning_rate: 1.0e-2

            """, to: "run.yaml"
        ).path(percentEncoded: false)
    }

    /// A two-layer GPT-2 over single bytes.
    private static func makeModel(in folder: TemporaryFolder) throws {
        try folder.write(
            """
            {"model_type": "gpt2", "vocab_size": 300, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2,
             "embd_pdrop": 0.0, "resid_pdrop": 0.0, "attn_pdrop": 0.0}
            """, to: "model/config.json")
        let tokenizer = try JSONNode.load(
            path: repositoryRoot.appending(path: "embedded/base/tokenizer.json").path(percentEncoded: false))
        let model = try tokenizer.required("model")
        // The first 256 entries are the bytes.
        let vocabulary = try model.object("vocab").filter { try $0.value.asInteger() < 256 }
        let members = vocabulary.map { JSONValue.Member($0.key, $0.value.plain) } + [.init("<|endoftext|>", 256)]
        try folder.write(JSONValue.object(members).text(.compact), to: "model/vocab.json")
        try folder.write("#version: 0.2\n", to: "model/merges.txt")
    }

    private func train(_ more: String...) throws -> Outcome { try train(more) }

    private func train(_ more: [String]) throws -> Outcome {
        try RunningTool(["train", "--config", configuration, "--threads", "1"] + more).outcome()
    }

    private func lines(_ name: String) throws -> [JSONNode] {
        try folder.text(name).split(separator: "\n").map { try JSONNode.parse(String($0)) }
    }

    @Test("leaves an adapter, the resolved configuration and the metrics behind, and says nothing on stdout")
    func wholeRun() throws {
        let outcome = try train()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output == "")
        #expect(outcome.errors.contains("\n256 of "))
        #expect(outcome.errors.contains("\nstep 6/6  epoch 1.00  loss "))
        #expect(outcome.errors.hasSuffix("\nthe result is in \(folder.path)/run\n"))
        #expect(try lines("run/metrics.jsonl").compactMap { try $0.optionalNumber("loss") }.count == 3)
        let inspection = try peft("inspect", "\(folder.path)/run", "--json")
        let root = try JSONNode.parse(inspection.output)
        #expect(try root.string("kind") == "adapter")
        #expect(try root.required("run").required("last_step").integer("step") == 6)
        // What it left behind is a configuration that reads back.
        let again = try peft("train", "--config", "\(folder.path)/run/training_config.yaml", "--dry-run")
        #expect(again.status == 0)
        #expect(again.output == (try folder.text("run/training_config.yaml")))
    }

    @Test("refuses a folder that holds a run, and begins anew when told to")
    func existingRun() throws {
        #expect(try train("--quiet").errors == "")
        let refused = try train()
        #expect(refused.status == 73)
        #expect(
            refused.errors == """
                \(folder.path)/run: error: the folder already holds a run: give --resume to continue it, or \
                --overwrite to begin anew

                """)
        #expect(try train("--overwrite", "--quiet").status == 0)
    }

    @Test("saves and ends with 130 on SIGTERM and SIGINT", arguments: [SIGTERM, SIGINT])
    func interruption(signal: Int32) throws {
        let stopped = try interruptedRun(signal)
        #expect(stopped.status == 130)
        #expect(stopped.errors.contains("\nstopping: saving after this step; "))
        #expect(stopped.errors.hasSuffix("\ngo on with the same command and --resume\n"))
        let run = try JSONNode.parse(peft("inspect", "\(folder.path)/run", "--json").output)
        #expect(try run.required("run").array("checkpoints").count == 1)
    }

    @Test("goes on after an interruption to the same bits")
    func resumption() throws {
        #expect(try interruptedRun(SIGTERM).status == 130)
        let resumed = try train(long + ["--resume", "--quiet"])
        #expect(resumed.status == 0, "\(resumed.errors)")
        let interrupted = try Data(contentsOf: folder.url.appending(path: "run/adapter_model.safetensors"))
        #expect(try train(long + ["--overwrite", "--quiet"]).status == 0)
        #expect(try Data(contentsOf: folder.url.appending(path: "run/adapter_model.safetensors")) == interrupted)
    }

    /// Long enough to be interrupted.
    private let long = [
        "--set", "training.max_steps=2000", "--set", "training.logging_steps=20", "--set", "training.save_steps=5000",
        "--set", "data.validation=",
    ]

    private func interruptedRun(_ signal: Int32) throws -> Outcome {
        let tool = try RunningTool(["train", "--config", configuration, "--threads", "1"] + long)
        while try !tool.errorsSoFar().contains("\nstep 20/") { usleep(1000) }
        tool.send(signal)
        return try tool.outcome()
    }

    @Test("a dry run prints the configuration with all defaults and writes nothing")
    func dryRun() throws {
        let outcome = try train("--dry-run", "--set", "peft.r=4")
        #expect(outcome.status == 0)
        #expect(outcome.output.contains("\n  r: 4\n"))
        #expect(outcome.output.contains("\n  adam_beta1: 0.9\n"))
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/run"))
    }

    @Test("reports everything that is wrong at once")
    func problems() throws {
        let file = try folder.write(
            """
            model: {path: x}
            data: {train: x.jsonl, prompt: "{a", completion: "{b}"}
            peft: {method: lora, r: eight}
            training: {learning_rte: 3, output_dir: x, seed: -1}

            """, to: "wrong.yaml"
        ).path(percentEncoded: false)
        let outcome = try peft("train", "--config", file)
        #expect(outcome.status == 65)
        #expect(outcome.output == "")
        #expect(
            outcome.errors == """
                \(file):2:32: error: data.prompt: '{' must be followed by a field's name and '}'; write {{ for a brace
                \(file):3:25: error: peft.r: expected an integer, got 'eight'
                \(file):4:12: error: training.learning_rte: unknown key; did you mean 'learning_rate'?
                \(file):4:50: error: training.seed: must be at least 0, got -1

                """)
    }

    @Test("two options that contradict are wrong usage")
    func contradiction() throws {
        let outcome = try train("--resume", "--overwrite")
        #expect(outcome.status == 64)
        #expect(outcome.errors.hasPrefix("Error: --resume and --overwrite exclude each other\n"))
    }

    @Test("a missing configuration is a missing input")
    func missingConfiguration() throws {
        let outcome = try peft("train", "--config", "no-such.yaml")
        #expect(outcome.status == 66)
        #expect(outcome.errors == "no-such.yaml: error: no such file\n")
    }
}
