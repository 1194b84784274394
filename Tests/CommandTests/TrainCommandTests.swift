import Foundation
import Glibc
import JSONText
import TestSupport
import Testing

@Suite("peft train")
struct TrainCommandTests {
    private let run: TinyRun
    private var folder: TemporaryFolder { run.folder }

    init() throws { run = try TinyRun() }

    private func train(_ more: String...) throws -> Outcome { try train(more) }

    private func train(_ more: [String]) throws -> Outcome {
        try RunningTool(run.arguments + more).outcome()
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
        #expect(
            outcome.errors.hasSuffix(
                """

                the result is in \(folder.path)/run
                next: peft generate --adapter \(folder.path)/run --as-trained --prompt 'TEXT'
                      peft eval --adapter \(folder.path)/run --data \(folder.path)/data.jsonl
                      peft merge --adapter \(folder.path)/run --output \(folder.path)/run-merged

                """))
        #expect(
            outcome.errors.contains(
                " MB\nlearning rate 1.00e-2; linear, without warm-up\n"))
        #expect(outcome.errors.contains("\noptimizer adamw_torch, which remembers 0.0 MB\n"))
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

    @Test("takes the method's learning rate where none is given, and says what its settings can't do")
    func defaults() throws {
        let text = try folder.text("run.yaml").replacing("  learning_rate: 1.0e-2\n", with: "  warmup_steps: 6\n")
        let file = try folder.write(text, to: "own.yaml").path(percentEncoded: false)
        let warning = """
            \(file):13:17: warning: training.warmup_steps: the rate rises for 6 steps, and the run has 6 steps: it ends at \
            0.000833 instead of 0.001; give fewer than 6, or a share such as 0.1

            """
        let dry = try peft("train", "--config", file, "--dry-run")
        #expect(dry.output.contains("\n  learning_rate: 0.001\n"))
        #expect(
            dry.errors.hasSuffix("\nlearning rate 1.00e-3, the default of lora; linear, 6 steps of warm-up\n" + warning)
        )
        let run = try peft("train", "--config", file, "--quiet")
        #expect(run.status == 0 && run.errors == warning)
    }

    @Test("ends with commands that work as they are, as the card has them")
    func nextCommands() throws {
        // The base must have weights for what comes next.
        let base = try train(
            "--set", "peft={method: full}", "--set", "training.output_dir=\(folder.path)/base", "--quiet")
        #expect(base.status == 0, "\(base.errors)")
        let trained = try train("--set", "model.init=pretrained", "--set", "model.path=\(folder.path)/base")
        let commands = trained.errors.split(separator: "\n").filter { $0.contains("peft ") }.suffix(3)
            .map { $0.replacing("next:", with: "").trimmingCharacters(in: .whitespaces) }
        let card = try folder.text("run/README.md")
        #expect(commands.count == 3)
        for command in commands {
            #expect(card.contains("\n\(command)\n"))
            let words = command.replacing("'", with: "").split(separator: " ").dropFirst().map(String.init)
            let outcome = try RunningTool(words).outcome()
            #expect(outcome.status == 0, "\(command): \(outcome.errors)")
        }
        // The templates go along.
        func loss(_ model: String...) throws -> String {
            let outcome = try RunningTool(["eval", "--json", "--data", "\(folder.path)/data.jsonl"] + model).outcome()
            return try JSONNode.parse(outcome.output).required("loss").plain.text(.compact)
        }
        let (adapter, merged) = try (
            loss("--adapter", "\(folder.path)/run"), loss("--base", "\(folder.path)/run-merged")
        )
        #expect(adapter.prefix(6) == merged.prefix(6), "\(adapter) \(merged)")
        let prompted = try peft(
            "generate", "--base", "\(folder.path)/run-merged", "--as-trained", "--prompt", "3", "--json")
        #expect(prompted.output.hasPrefix(#"{"prompt": "3=", "#), "\(prompted.output) \(prompted.errors)")
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

    @Test("saves and ends with 130 on SIGTERM, SIGINT and SIGHUP", arguments: [SIGTERM, SIGINT, SIGHUP])
    func interruption(signal: Int32) throws {
        let stopped = try interruptedRun(signal)
        #expect(stopped.status == 130)
        #expect(stopped.errors.contains("\nstopping: saving after this step; "))
        #expect(stopped.errors.contains("\ngo on with the same command and --resume\n"))
        #expect(stopped.errors.contains("\nthe adapter as it is now is in \(folder.path)/run/checkpoints/step-"))
        #expect(stopped.errors.hasSuffix(": use it with --adapter, or begin another run from it with peft.init_from\n"))
        let root = try JSONNode.parse(peft("inspect", "\(folder.path)/run", "--json").output)
        #expect(try root.required("run").array("checkpoints").count == 1)
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
        let tool = try RunningTool(run.arguments + long)
        while try tool.isRunning && !tool.errorsSoFar().contains("\nstep 20/") { usleep(1000) }
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
