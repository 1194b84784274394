import Foundation
import Glibc
import Testing

@Suite("A run that ends otherwise than it should")
struct KilledRunTests {
    private let run: TinyRun
    private var folder: TemporaryFolder { run.folder }

    init() throws { run = try TinyRun() }

    private func train(_ more: [String]) throws -> Outcome { try RunningTool(run.arguments + more).outcome() }

    private func names(_ path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/\(path)")) ?? []).sorted()
    }

    @Test("killed at any moment, it leaves nothing half-written, and goes on to the same bits")
    func killed() throws {
        // A checkpoint and its removal in every step, so that most of the time something is being written.
        let steps = [
            "--set", "training.max_steps=40", "--set", "training.save_steps=1", "--set", "training.save_total_limit=2",
            "--set", "training.logging_steps=1", "--set", "peft.lora_dropout=0.1", "--set", "training.eval_steps=7",
        ]
        for round in 0..<6 {
            let tool = try RunningTool(run.arguments + steps + ["--resume"])
            let deadline = Date(timeIntervalSinceNow: 20)
            while try !tool.errorsSoFar().contains("  saved "), !tool.hasEnded, Date() < deadline { usleep(500) }
            usleep(UInt32(round * 2711 % 9000))
            tool.send(SIGKILL)
            _ = try tool.outcome()
            for checkpoint in names("run/checkpoints") where !checkpoint.hasPrefix(".") {
                #expect(
                    names("run/checkpoints/\(checkpoint)") == [
                        "adapter_config.json", "adapter_model.safetensors", "training_config.yaml",
                        "training_state.json", "training_state.safetensors",
                    ])
            }
        }
        let end = try train(steps + ["--resume", "--quiet"])
        #expect(end.status == 0, "\(end.errors)")
        #expect(names("run/checkpoints") == ["step-39", "step-40"])
        #expect(
            names("run") == [
                "README.md", "adapter_config.json", "adapter_model.safetensors", "checkpoints", "loss.svg",
                "metrics.jsonl", "training_config.yaml",
            ])
        let interrupted = try Data(contentsOf: folder.url.appending(path: "run/adapter_model.safetensors"))
        let lines = try folder.text("run/metrics.jsonl").split(separator: "\n").count
        #expect(lines == 40 + 6)
        #expect(try train(steps + ["--overwrite", "--quiet"]).status == 0)
        #expect(try Data(contentsOf: folder.url.appending(path: "run/adapter_model.safetensors")) == interrupted)
    }

    @Test("killed with its optimizer's state on the disk, it leaves no file of that")
    func paged() throws {
        let settings = ["--set", "training.optim=paged_adamw_32bit", "--set", "training.max_steps=100000"]
        let tool = try RunningTool(run.arguments + settings)
        while try !tool.errorsSoFar().contains("\nstep 2/"), !tool.hasEnded { usleep(1000) }
        let during = names("run")
        tool.send(SIGKILL)
        _ = try tool.outcome()
        #expect(during == [".lock", "metrics.jsonl", "training_config.yaml"])
        #expect(names("run") == during)
    }

    @Test("killed with hidden states in a scratch file, it leaves no file of that either")
    func hiddenStates() throws {
        let settings = [
            "--set", "peft.layers_to_transform=[1]", "--set", "training.hidden_states_memory=0", "--set",
            "training.max_steps=100000", "--set", "training.save_steps=100000",
        ]
        let tool = try RunningTool(run.arguments + settings)
        while try !tool.errorsSoFar().contains("\nstep 8/"), !tool.hasEnded { usleep(1000) }
        let (during, errors) = (names("run"), try tool.errorsSoFar())
        // A file of the system's, whose size is told as 0.
        let file = try FileHandle(forReadingFrom: URL(filePath: "/proc/\(tool.identifier)/maps"))
        let maps = String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
        tool.send(SIGKILL)
        _ = try tool.outcome()
        #expect(
            errors.contains(
                "\nhidden states of 96 tokens and 96 of validation under block 1 are kept: 12 kB in a scratch file; "
                    + "epochs after the first skip 1 of 2 blocks\n"), "\(errors)")
        #expect(maps.contains("/run/") && maps.contains("(deleted)"))
        #expect(during == [".lock", "metrics.jsonl", "training_config.yaml"])
        #expect(names("run") == during)
    }

    @Test("with no room on the disk for hidden states it says so and goes on without them")
    func noRoom() throws {
        let settings = ["--set", "peft.layers_to_transform=[1]", "--set", "training.max_steps=12"]
        let anew = try train(settings + ["--set", "training.keep_hidden_states=off"])
        #expect(anew.status == 0 && !anew.errors.contains("hidden states"), "\(anew.errors)")
        let adapter = folder.url.appending(path: "run/adapter_model.safetensors")
        let expected = try Data(contentsOf: adapter)
        let shell = Process()
        shell.executableURL = URL(filePath: "/bin/sh")
        // 17 blocks of 512 bytes are the most that a file may have.
        shell.arguments =
            ["-c", "ulimit -f 17; exec \"$0\" \"$@\"", binary.path(percentEncoded: false)] + run.arguments + settings
            + ["--overwrite", "--set", "training.hidden_states_memory=0"]
        shell.standardError = try FileHandle(forWritingTo: folder.write("", to: "errors"))
        try shell.run()
        shell.waitUntilExit()
        let text = try folder.text("errors")
        #expect(
            text.contains(
                "\n\(folder.path)/run: warning: the disk has no room for a scratch file of 12288 bytes: File too large; "
                    + "hidden states aren't kept, and are computed anew each time\n"), "\(text)")
        #expect(shell.terminationStatus == 0)
        #expect(try Data(contentsOf: adapter) == expected)
    }

    @Test("finished, it is left alone by --resume, with the status of success")
    func finished() throws {
        #expect(try train([]).status == 0)
        let again = try train(["--resume"])
        #expect(again.status == 0)
        #expect(
            again.errors
                == "the run in \(folder.path)/run is finished, after 6 steps; give --overwrite to train anew\n")
    }

    @Test("while it lasts, no second one gets its folder")
    func second() throws {
        let tool = try RunningTool(
            run.arguments + ["--set", "training.max_steps=100000", "--set", "training.save_steps=100000"])
        while try !tool.errorsSoFar().contains("\nstep 2/"), !tool.hasEnded { usleep(1000) }
        let second = try train(["--overwrite"])
        tool.send(SIGTERM)
        #expect(second.status == 73)
        #expect(second.errors.hasPrefix("\(folder.path)/run: error: another run is using this folder (process "))
        #expect(try tool.outcome().status == 130)
        #expect(names("run/checkpoints").count == 1)
    }

    @Test("whose folder is removed or moved while it lasts, it saves what it has, and goes on to the same bits")
    func removed() throws {
        let steps = [
            "--set", "training.max_steps=300", "--set", "training.save_steps=1000", "--set", "training.logging_steps=1",
        ]
        #expect(try train(steps + ["--set", "training.output_dir=\(folder.path)/whole", "--quiet"]).status == 0)
        let tool = try RunningTool(run.arguments + steps)
        while try !tool.errorsSoFar().contains("\nstep 20/"), !tool.hasEnded { usleep(1000) }
        try FileManager.default.moveItem(atPath: "\(folder.path)/run", toPath: "\(folder.path)/moved")
        let outcome = try tool.outcome()
        #expect(outcome.status == 74)
        #expect(
            outcome.errors.contains(
                "\(folder.path)/run: error: the run's folder or its metrics were removed or moved while it went on, after "
                    + "step "))
        #expect(outcome.errors.hasSuffix(": go on with the same command and --resume\n"))
        #expect(try train(steps + ["--resume", "--quiet"]).status == 0)
        for name in ["adapter_model.safetensors"] {
            #expect(
                try Data(contentsOf: folder.url.appending(path: "run/\(name)"))
                    == Data(contentsOf: folder.url.appending(path: "whole/\(name)")))
        }
        #expect(try folder.text("run/metrics.jsonl").split(separator: "\n").count == 300 + 50)
    }

    @Test("diverged, it says at which step and on what, with the status of bad data")
    func diverged() throws {
        let outcome = try train([
            "--set", "training.learning_rate=1e30", "--set", "training.lr_scheduler_type=constant", "--set",
            "data.shuffle=false",
        ])
        #expect(outcome.status == 65)
        #expect(outcome.errors.contains("error: the loss or a gradient of step 2 is no finite number (loss "))
        #expect(outcome.errors.contains(", on \(folder.path)/data.jsonl:5, \(folder.path)/data.jsonl:6, "))
        #expect(names("run") == ["metrics.jsonl", "training_config.yaml"])
    }
}
