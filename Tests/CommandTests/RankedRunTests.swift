import Foundation
import Glibc
import JSONText
import Testing

@Suite("Processes that train together", .serialized)
struct RankedRunTests {
    private let run: TinyRun
    private var folder: TemporaryFolder { run.folder }

    init() throws {
        run = try TinyRun()
        // The last one is alone in its batch, so that other ranks have nothing in that step.
        let records = (0..<25).map {
            #"{"q": "\#(String(repeating: "\($0 % 7)", count: 1 + $0 % 4))", "a": "\#($0 % 5)\#($0 % 3)"}"#
        }
        try folder.write(records.joined(separator: "\n") + "\n", to: "data.jsonl")
    }

    private func arguments(_ output: String, batch: Int, _ more: [String]) -> [String] {
        let settings =
            [
                "training.output_dir=\(folder.path)/\(output)", "training.per_device_train_batch_size=\(batch)",
                "training.logging_steps=1", "training.eval_steps=3", "training.max_steps=10", "data.shuffle=true",
            ] + more
        return run.arguments + settings.flatMap { ["--set", $0] }
    }

    private func losses(_ output: String) throws -> [(loss: Double?, norm: Double?, evaluation: Double?, tokens: Int?)]
    {
        try folder.text("\(output)/metrics.jsonl").split(separator: "\n").map { line in
            let node = try JSONNode.parse(String(line))
            return (
                try node.optionalNumber("loss"), try node.optionalNumber("grad_norm"),
                try node.optionalNumber("eval_loss"), try node.optionalInteger("tokens")
            )
        }
    }

    private func weights(_ output: String) throws -> Data {
        let name = output.contains("full") ? "model.safetensors" : "adapter_model.safetensors"
        return try Data(contentsOf: folder.url.appending(path: "\(output)/\(name)"))
    }

    private func names(_ path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "\(folder.path)/\(path)")) ?? []).sorted()
    }

    /// Makes a run that has far more steps one of so many, as if it had begun so.
    private func end(_ output: String, after steps: Int) throws {
        let name = "\(output)/training_config.yaml"
        let text = try folder.text(name)
        try #require(text.contains("max_steps: 100000000\n"))
        try folder.write(text.replacing("max_steps: 100000000\n", with: "max_steps: \(steps)\n"), to: name)
    }

    @Test("need an implementation of MPI, and this machine has one for the tests")
    func installed() { #expect(!MPI.installed.isEmpty, "install openmpi-bin and mpich") }

    @Test(
        "have the losses of one process with the same batches, whatever the method; the same bits each time, with each MPI",
        arguments: [
            ("lora", "r: 2, target_modules: [c_attn]", 2),
            ("adalora", "init_r: 4, target_r: 2, tinit: 1, tfinal: 2, deltaT: 1, target_modules: [c_attn]", 1),
            ("full", "", 1),
        ])
    func equal(name: String, method: String, accumulation: Int) throws {
        let text = try folder.text("run.yaml").replacing(
            "peft: {method: lora, r: 2, target_modules: [c_attn]}",
            with: "peft: {method: \(name)\(method.isEmpty ? "" : ", ")\(method)}")
        try folder.write(text, to: "run.yaml")
        let settings = ["training.gradient_accumulation_steps=\(accumulation)"]
        let alone = try RunningTool(arguments("\(name)-alone", batch: 6, settings)).outcome()
        #expect(alone.status == 0, "\(alone.errors)")
        let expected = try losses("\(name)-alone")
        #expect(expected.count == 14)
        var bits: Data?
        for mpi in MPI.installed {
            for time in 0..<2 {
                let output = "\(name)-\(time)-\(mpi.name.suffix(2))"
                let outcome = try mpi.run(3, arguments(output, batch: 2, settings))
                #expect(outcome.status == 0, "\(outcome.errors)")
                #expect(outcome.errors.contains(" on 1 thread in each of 3 processes, into "))
                let found = try losses(output)
                #expect(found.count == expected.count)
                for (found, expected) in zip(found, expected) {
                    #expect(abs((found.loss ?? 0) - (expected.loss ?? 0)) < 1e-5)
                    #expect(abs((found.norm ?? 0) - (expected.norm ?? 0)) <= 1e-4 * (expected.norm ?? 0))
                    #expect(abs((found.evaluation ?? 0) - (expected.evaluation ?? 0)) < 1e-5)
                    #expect(found.tokens == expected.tokens)
                }
                let own = try weights(output)
                #expect(bits == nil || bits == own)
                bits = own
            }
        }
    }

    @Test(
        "stop together after the same step, by a signal to the launcher or to any of them, and go on to the same bits",
        arguments: MPI.installed)
    func stopped(mpi: MPI) throws {
        let settings = [
            "peft.lora_dropout=0.1", "training.save_steps=1000000", "training.eval_steps=1000000",
            "training.lr_scheduler_type=constant", "training.eval_metrics=chrf", "training.generation_max_new_tokens=4",
        ]
        // More steps than can be taken before the signal comes, however fast they are.
        let endless = settings + ["training.max_steps=100000000"]
        for (number, signal) in [SIGUSR1, SIGTERM].enumerated() {
            let output = "stopped-\(number)"
            let tool = try mpi.start(2, arguments(output, batch: 2, endless))
            var processes: [Int: pid_t] = [:]
            while processes.count < 2, !tool.hasEnded {
                processes = ranks(of: "training.output_dir=\(folder.path)/\(output)")
            }
            while try !tool.errorsSoFar().contains("\nstep 20/"), !tool.hasEnded { usleep(1000) }
            if signal == SIGUSR1 {
                tool.send(signal)
            } else if let process = processes[1] {
                kill(process, signal)
            } else {
                Issue.record("rank 1 isn't there")
            }
            let outcome = try tool.outcome()
            #expect(outcome.status == 130, "\(outcome.errors)")
            #expect(outcome.errors.contains("\ngo on with the same command and --resume\n"))
            let checkpoints = names("\(output)/checkpoints")
            #expect(checkpoints.count == 1)
            let step = try #require(checkpoints.first.flatMap { Int($0.dropFirst("step-".count)) })
            let longer = settings + ["training.max_steps=\(step + 20)"]
            let own = arguments(output, batch: 2, longer)
            try end(output, after: step + 20)
            #expect(!names(output).contains("adapter_model.safetensors"))
            let other = try mpi.run(3, own + ["--resume"])
            #expect(other.status == 65)
            #expect(
                other.errors.contains(
                    "error: the run began on 2 processes and is to go on on 3 processes: a resumed run must be the same; start "
                        + "as many, give --overwrite to begin anew, or begin another run from there with peft.init_from: "
                ))
            #expect(try mpi.run(2, own + ["--resume"]).status == 0)
            #expect(try mpi.run(2, arguments("whole-\(number)", batch: 2, longer)).status == 0)
            #expect(try weights(output) == weights("whole-\(number)"))
        }
    }

    @Test("go on alike from an evaluation of which the log alone tells, as where they were killed behind it")
    func evaluation() throws {
        let mpi = try #require(MPI.installed.first)
        let settings = [
            "training.lr_scheduler_type=constant", "training.eval_steps=1", "training.save_steps=1000000",
            "training.load_best_model_at_end=true",
        ]
        func own(_ steps: Int) -> [String] { arguments("told", batch: 2, settings + ["training.max_steps=\(steps)"]) }
        var step = 0
        // Stopped while they evaluate, but for a moment behind each evaluation.
        for _ in 0..<5 where step == 0 {
            let tool = try mpi.start(2, own(100_000_000) + ["--overwrite"])
            while try !tool.errorsSoFar().contains("\nstep 5/"), !tool.hasEnded { usleep(1000) }
            tool.send(SIGUSR1)
            #expect(try tool.outcome().status == 130)
            let newest = names("told/checkpoints").compactMap { Int($0.dropFirst("step-".count)) }.max() ?? 0
            let isTold = try folder.text("told/metrics.jsonl").split(separator: "\n").contains { line in
                let node = try JSONNode.parse(String(line))
                return try node.integer("step") == newest && node.optionalNumber("eval_loss") != nil
            }
            if !isTold { step = newest }
        }
        try #require(step > 0)
        let line = #"{"step":\#(step),"epoch":1,"eval_loss":0.0001,"eval_tokens":1,"elapsed_seconds":1}"#
        try folder.write(folder.text("told/metrics.jsonl") + line + "\n", to: "told/metrics.jsonl")
        try end("told", after: step + 3)
        let resumed = try mpi.run(2, own(step + 3) + ["--resume"])
        #expect(resumed.status == 0, "\(resumed.errors)")
        #expect(
            resumed.errors.contains("\nthe best model is that of step \(step), eval_loss 0.0001, which is delivered\n"))
    }

    @Test("all end where one is killed, with nothing half-written", arguments: MPI.installed)
    func killed(mpi: MPI) throws {
        let own = arguments(
            "killed", batch: 2, ["training.max_steps=100000", "training.save_steps=5", "training.save_total_limit=2"])
        let tool = try mpi.start(2, own)
        while try !tool.errorsSoFar().contains("  saved "), !tool.hasEnded { usleep(1000) }
        let processes = ranks(of: "training.output_dir=\(folder.path)/killed")
        #expect(processes.count == 2)
        if let process = processes[1] { kill(process, SIGKILL) }
        let outcome = try tool.outcome()
        #expect(outcome.status != 0)
        #expect(!outcome.errors.isEmpty)
        for _ in 0..<50 where !ranks(of: "training.output_dir=\(folder.path)/killed").isEmpty { usleep(100_000) }
        #expect(ranks(of: "training.output_dir=\(folder.path)/killed").isEmpty)
        for checkpoint in names("killed/checkpoints") where !checkpoint.hasPrefix(".") {
            #expect(names("killed/checkpoints/\(checkpoint)").count == 5)
        }
        #expect(!names("killed").contains("adapter_model.safetensors"))
    }

    @Test("say once what is wrong for all of them, with the status of one process", arguments: MPI.installed)
    func failing(mpi: MPI) throws {
        let alone = try RunningTool(arguments("x", batch: 2, ["peft.rank=3"])).outcome()
        let together = try mpi.run(2, arguments("x", batch: 2, ["peft.rank=3"]))
        #expect(together.status == alone.status)
        #expect(
            together.errors.components(separatedBy: "peft.rank").count
                == alone.errors.components(separatedBy: "peft.rank").count)
        let usage = try mpi.run(2, ["train"])
        #expect(usage.status == 64)
        #expect(usage.errors.components(separatedBy: "Missing expected argument").count == 2)
        let diverged = try mpi.run(
            2, arguments("d", batch: 2, ["training.learning_rate=1e30", "training.lr_scheduler_type=constant"]))
        #expect(diverged.status == 65)
        #expect(diverged.errors.components(separatedBy: "error: the loss or a gradient of step").count == 2)
    }

    @Test("fill batches with tokens where each of them has room for the longest record", arguments: MPI.installed)
    func tokens(mpi: MPI) throws {
        func train(_ tokens: Int) throws -> Outcome {
            let settings = ["training.per_device_train_batch_size=null", "training.train_batch_tokens=\(tokens)"]
            return try mpi.run(2, arguments("tokens-\(tokens)", batch: 2, settings))
        }
        // Only two of them together have room for it.
        let outcome = try train(6)
        #expect(outcome.status == 65)
        #expect(
            outcome.errors.contains(
                "\(folder.path)/data.jsonl:4:1: error: has 7 tokens, more than the 6 of a batch "
                    + "(training.train_batch_tokens) that each of the 2 processes may have\n"), "\(outcome.errors)")
        #expect(try train(7).status == 0)
    }

    @Test("don't carry out what is the work of one", arguments: MPI.installed)
    func single(mpi: MPI) throws {
        let outcome = try mpi.run(2, ["inspect", "\(folder.path)/model"])
        #expect(outcome.status == 64)
        #expect(
            outcome.errors.hasPrefix(
                "error: peft inspect is the work of one process, and 2 were started: give the command without mpirun; train, "
                    + "eval and generate share their work out\n"))
        #expect(outcome.output.isEmpty)
    }

    @Test(
        "of a launcher whose library isn't the one that is loaded, or isn't there, don't begin",
        arguments: MPI.installed)
    func libraries(mpi: MPI) throws {
        let own = arguments("none", batch: 2, [])
        if MPI.installed.count == 2 {
            let outcome = try mpi.run(2, own, environment: ["PEFT_MPI_LIBRARY": mpi.foreignLibrary])
            #expect(outcome.status == 64, "\(outcome.errors)")
            #expect(outcome.errors.contains("error: the launcher, of \(mpi.name), started 2 processes ("))
            #expect(
                outcome.errors.contains(
                    "knows of 1: each process would make the whole run and write the same files. Start them by the mpirun of "
                ))
        }
        let outcome = try mpi.run(2, own, environment: ["PEFT_MPI_LIBRARY": "/nowhere/libmpi.so"])
        #expect(outcome.status == 66)
        #expect(
            outcome.errors.contains(
                "error: one of 2 processes was started by a launcher of \(mpi.name) ("))
        #expect(
            outcome.errors.contains(
                "), and its library can't be loaded: /nowhere/libmpi.so: cannot open shared object file: No such file or "
                    + "directory. PEFT_MPI_LIBRARY has to name the library of \(mpi.name)\n"))
        #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/none"))
    }

    @Test("evaluate and generate what one process does, to the last digit", arguments: MPI.installed)
    func evaluated(mpi: MPI) throws {
        let model = try SmallModel()
        let adapter = ["--adapter", model.path("a"), "--max-new-tokens", "5", "--threads", "1"]
        let evaluation =
            [
                "eval", "--data", "\(folder.path)/data.jsonl", "--prompt", "{q}=", "--completion", "{a}", "--rouge",
                "--json",
            ]
            + adapter
        let alone = try RunningTool(evaluation).outcome()
        #expect(alone.status == 0, "\(alone.errors)")
        let together = try mpi.run(3, evaluation + ["--save-predictions", "\(folder.path)/predictions.jsonl"])
        #expect(together.status == 0, "\(together.errors)")
        #expect(together.output == alone.output)
        #expect(try folder.text("predictions.jsonl").split(separator: "\n").count > 5)
        let generation = ["generate", "--temperature", "1"] + adapter
        let prompts = (0..<40).map { "\($0)=\n" }.joined()
        let expected = try RunningTool(generation, input: prompts).outcome()
        #expect(expected.status == 0, "\(expected.errors)")
        let found = try mpi.run(3, generation, input: prompts)
        #expect(found.status == 0, "\(found.errors)")
        #expect(found.output == expected.output)
        let records = generation + ["--data", "\(folder.path)/data.jsonl", "--prompt", "{q}=", "--json"]
        #expect(try mpi.run(2, records).output == RunningTool(records).outcome().output)
    }

    @Test("are told where the launcher leaves processors idle")
    func bound() throws {
        guard let mpi = MPI.installed.first(where: { $0.name == "Open MPI" }), processorsHere > 1 else { return }
        let outcome = try mpi.run(
            1, run.arguments.dropLast(2) + ["--dry-run"], environment: ["OMPI_MCA_hwloc_base_binding_policy": "core"])
        #expect(
            outcome.errors.hasPrefix(
                "warning: on this machine the launcher binds the process to 1 of \(processorsHere) processors, and the others "
                    + "stay idle: give mpirun --bind-to none\n"))
    }
}

private let processorsHere = ProcessInfo.processInfo.activeProcessorCount
