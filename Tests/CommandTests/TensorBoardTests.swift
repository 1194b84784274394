import Foundation
import Glibc
import JSONText
import TestSupport
import Testing

private let interpreter = ProcessInfo.processInfo.environment["PEFT_REFERENCE_PYTHON"]

@Suite("Event files for TensorBoard") struct TensorBoardTests {
    private let run: TinyRun
    private var folder: TemporaryFolder { run.folder }

    init() throws { run = try TinyRun() }

    private func train(_ more: String..., environment: [String: String] = [:]) throws -> Outcome {
        try RunningTool(run.arguments + more, environment: environment).outcome()
    }

    private func names(_ path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/\(path)")) ?? []).sorted()
    }

    /// The records of the files in a folder, by their order: kinds, steps and tags.
    private func records(_ path: String) throws -> [[String]] {
        try names(path).map { name in
            let data = [UInt8](try Data(contentsOf: folder.url.appending(path: "\(path)/\(name)")))
            var (offset, found) = (0, [String]())
            while offset < data.count {
                let length = data[offset..<offset + 8].reversed().reduce(0) { $0 << 8 | Int($1) }
                let message = data[offset + 12..<offset + 12 + length]
                // A step is one byte here, behind the time.
                let step = message[message.startIndex + 9] == 0x10 ? Int(message[message.startIndex + 10]) : 0
                let field = message[message.startIndex + (step == 0 ? 9 : 11)]
                let kind = [0x1A: "version", 0x3A: "start", 0x2A: "summary"][field] ?? "\(field)"
                found.append("\(kind) \(step)")
                offset += length + 16
            }
            #expect(offset == data.count)
            return found
        }
    }

    @Test("are written where they are asked for, a record for each line of the metrics")
    func written() throws {
        #expect(try train("--quiet").errors == "")
        #expect(!names("run").contains("runs"))
        let outcome = try train("--overwrite", "--quiet", "--set", "training.report_to=tensorboard")
        #expect(outcome.errors == "" && outcome.status == 0)
        #expect(names("run/runs").count == 1)
        #expect(
            try names("run/runs")[0].wholeMatch(of: Regex(#"events\.out\.tfevents\.\d{10}\..+\.\d+\.peft"#)) != nil)
        // Two texts, three logged steps and an evaluation.
        #expect(
            try records("run/runs") == [
                [
                    "version 0", "start 0", "summary 0", "summary 0", "summary 2", "summary 4", "summary 6",
                    "summary 6",
                ]
            ])
        #expect(try train("--overwrite", "--quiet").status == 0)
        #expect(!names("run").contains("runs"))
    }

    @Test("go where the configuration says, or the environment, and stay there")
    func places() throws {
        let report = ["--set", "training.report_to=[all]", "--quiet"]
        let (own, other) = ("\(folder.path)/own", "\(folder.path)/other")
        #expect(try train(report[0], report[1], report[2], environment: ["TENSORBOARD_LOGGING_DIR": other]).status == 0)
        #expect(names("other").count == 1 && !names("run").contains("runs"))
        let both = try train(
            report[0], report[1], report[2], "--overwrite", "--set", "training.logging_dir=\(own)",
            environment: ["TENSORBOARD_LOGGING_DIR": other])
        #expect(both.status == 0 && names("own").count == 1 && names("other").count == 1)
        let unasked = try train("--overwrite", "--quiet", "--set", "training.logging_dir=\(own)")
        #expect(
            unasked.errors == "--set training.logging_dir=\(own): warning: training.logging_dir: has no effect without "
                + "report_to: tensorboard\n")
        #expect(names("own").count == 1)
    }

    @Test("are asked for by names that there are; transformers' others are told of")
    func words() throws {
        func errors(_ value: String) throws -> String { try train("--dry-run", "--quiet", "--set", value).errors }
        #expect(
            try errors("training.report_to=[tensorboard, wandb]")
                == "--set training.report_to=[tensorboard, wandb]: warning: training.report_to: nothing is reported to "
                + "wandb: metrics.jsonl in output_dir has it all, and tensorboard is written event files for\n")
        #expect(
            try errors("training.report_to=tensorbord")
                == "--set training.report_to=tensorbord: error: training.report_to: expected none, tensorboard or all, got "
                + "'tensorbord'; did you mean 'tensorboard'?\n")
        for value in ["none", "[]", "null", "[none]", "all"] {
            #expect(try errors("training.report_to=\(value)") == "", "\(value)")
        }
    }

    @Test("go on in a further file, from which readers drop what was taken back")
    func resumed() throws {
        let settings =
            [
                "training.report_to=tensorboard", "training.max_steps=8", "training.save_steps=4",
                "training.logging_steps=1",
            ]
            .flatMap { ["--set", $0] } + ["--quiet"]
        func train(_ more: String...) throws -> Outcome { try RunningTool(run.arguments + settings + more).outcome() }
        #expect(try train().status == 0)
        // As if it had been killed behind its first checkpoint.
        for name in ["adapter_config.json", "adapter_model.safetensors", "checkpoints/step-8"] {
            try FileManager.default.removeItem(at: folder.url.appending(path: "run/\(name)"))
        }
        #expect(try train("--resume").status == 0)
        let found = try records("run/runs")
        #expect(found.count == 2)
        // Steps 5 to 8, with evaluations after 6 and 8.
        #expect(
            found[1] == [
                "version 0", "start 5", "summary 5", "summary 6", "summary 6", "summary 7", "summary 8", "summary 8",
            ])
        try check()
        // Where there is nothing of it, all is told.
        try FileManager.default.removeItem(at: folder.url.appending(path: "run/runs"))
        for name in ["adapter_config.json", "adapter_model.safetensors", "checkpoints/step-8"] {
            try FileManager.default.removeItem(at: folder.url.appending(path: "run/\(name)"))
        }
        #expect(try train("--resume").status == 0)
        #expect(try records("run/runs").map { $0.filter { $0.hasPrefix("summary") }.count } == [2 + 8 + 2])
        try check()
    }

    @Test("begin beside files of any names")
    func others() throws {
        try folder.write("", to: "events/events.out.tfevents.\(Int.max).host.1.peft")
        let outcome = try train(
            "--quiet", "--set", "training.report_to=tensorboard", "--set", "training.logging_dir=\(folder.path)/events")
        #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
        #expect(names("events").count == 2)
    }

    @Test("are whole up to the last logged step when the run is killed")
    func killed() throws {
        let settings = ["training.report_to=tensorboard", "training.max_steps=100000", "training.logging_steps=1"]
            .flatMap { ["--set", $0] }
        let tool = try RunningTool(run.arguments + settings)
        while try !tool.errorsSoFar().contains("\nstep 50/"), !tool.hasEnded { usleep(1000) }
        tool.send(SIGKILL)
        _ = try tool.outcome()
        let lines = try folder.text("run/metrics.jsonl").split(separator: "\n").count
        let count = try #require(try records("run/runs").first).count
        // What was being written when it ended.
        #expect((lines + 3...lines + 4).contains(count))
    }

    @Test("are written by the first of several processes alone", .enabled(if: !MPI.installed.isEmpty))
    func ranks() throws {
        let mpi = try #require(MPI.installed.first)
        let outcome = try mpi.run(2, run.arguments + ["--set", "training.report_to=tensorboard", "--quiet"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(names("run/runs").count == 1)
        try check()
    }

    @Test(
        "are read by TensorBoard, with the numbers of the metrics",
        .enabled(if: interpreter != nil, "PEFT_REFERENCE_PYTHON names no Python with TensorBoard"))
    func read() throws {
        #expect(
            try train(
                "--quiet", "--set", "training.report_to=tensorboard", "--set", "training.eval_on_start=true"
            ).status == 0)
        try check()
    }

    /// Has TensorBoard's own reader compare them with the metrics, where there is one.
    private func check() throws {
        guard let interpreter else { return }
        let process = Process()
        process.executableURL = URL(filePath: interpreter)
        process.arguments = [
            repositoryRoot.appending(path: "scripts/check_tensorboard.py").path(percentEncoded: false),
            "\(folder.path)/run",
        ]
        let output = Pipe()
        (process.standardOutput, process.standardError) = (output, output)
        try process.run()
        let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(said)")
        #expect(said.contains("train/loss "), "\(said)")
    }
}
