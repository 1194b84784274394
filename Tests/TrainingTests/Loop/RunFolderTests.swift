import Checkpoints
import Files
import Foundation
import Testing
import Training

@Suite("The output folder of a run") struct RunFolderTests {
    @Test("is refused where it holds a run, unless that is to go on or to be replaced")
    func holdsRun() throws {
        let training = try TinyTraining()
        try training.run(stoppingAfter: 3)
        let refusal = """
            \(training.scratch("run")): error: the folder already holds a run: give --resume to continue it, or \
            --overwrite to begin anew
            """
        #expect(training.failure() == refusal)
        try training.run([], .resume)
        try FileManager.default.removeItem(atPath: training.scratch("run/checkpoints"))
        #expect(training.failure() == refusal)
        let anew = try training.run(["training.max_steps=2"], .overwrite)
        #expect(anew.plan?.firstStep == 0)
    }

    @Test("isn't overwritten where someone else's files lie among a checkpoint's, or a folder in a file's place")
    func foreignInside() throws {
        let training = try TinyTraining()
        try training.run(["training.save_steps=5"])
        let step = "run/checkpoints/step-5"
        try training.scratch.write("mine", to: "\(step)/notes.txt")
        #expect(
            training.failure([], .overwrite) == """
                \(training.scratch(step)): error: holds 'notes.txt', which no run has written and --overwrite would remove: \
                move it away, or choose another output folder
                """)
        #expect(try training.scratch.names("run").contains("adapter_config.json"))
        try FileManager.default.moveItem(
            atPath: training.scratch("\(step)/notes.txt"), toPath: training.scratch("run/checkpoints/notes.txt"))
        try FileManager.default.removeItem(atPath: training.scratch("run/README.md"))
        try training.scratch.write("mine", to: "run/README.md/x")
        #expect(
            training.failure([], .overwrite) == """
                \(training.scratch("run/README.md")): error: is a folder where a run has a file, which --overwrite doesn't \
                remove
                """)
        try FileManager.default.removeItem(atPath: training.scratch("run/README.md"))
        try training.run(["training.max_steps=2"], .overwrite)
        #expect(try training.scratch.names("run/checkpoints") == ["notes.txt"])
        // And kept beyond the limit.
        try training.scratch.write("mine", to: "run/checkpoints/step-1/notes.txt")
        let run = try training.run(["training.save_steps=2", "training.save_total_limit=1"], into: "limited")
        #expect(run.warnings.isEmpty)
    }

    @Test("is none that the run's data lies in under a name that a run writes")
    func data() throws {
        let training = try TinyTraining()
        try FileSystem.createFolder(training.scratch("run"))
        try FileManager.default.moveItem(
            atPath: training.scratch("data.jsonl"), toPath: training.scratch("run/metrics.jsonl"))
        #expect(
            training.failure(["data.train=\(training.scratch("run/metrics.jsonl"))"]) == """
                \(training.scratch("run/metrics.jsonl")): error: is data of the run, and a file that a run writes to \
                training.output_dir; choose another folder
                """)
    }

    @Test("keeps nothing of a run that is overwritten, and all that is someone else's")
    func overwriting() throws {
        let training = try TinyTraining()
        try training.run(["peft.method=full", "training.save_steps=5"])
        #expect(
            try training.scratch.names("run") == [
                "README.md", "checkpoints", "config.json", "loss.svg", "merges.txt", "metrics.jsonl",
                "model.safetensors", "training_config.yaml", "vocab.json",
            ])
        try training.scratch.write("mine", to: "run/notes.txt")
        try training.run(["training.max_steps=2"], .overwrite)
        #expect(
            try training.scratch.names("run") == [
                "README.md", "adapter_config.json", "adapter_model.safetensors", "loss.svg", "metrics.jsonl",
                "notes.txt",
                "training_config.yaml",
            ])
    }

    @Test(
        "is refused where it holds what no run has written",
        arguments: [
            ("README.md", []), ("loss.svg", []), ("model.safetensors", []), ("checkpoints/step-1/x", []),
            ("vocab.json", ["peft.method=full"]),
        ])
    func foreign(name: String, changes: [String]) throws {
        let training = try TinyTraining()
        try training.scratch.write("mine", to: "run/\(name)")
        for existing in [Trainer.Existing.refuse, .resume, .overwrite] {
            #expect(
                training.failure(changes, existing) == """
                    \(training.scratch("run")): error: holds '\(name.prefix { $0 != "/" })', which no run has written \
                    and this one would replace; choose another folder
                    """)
        }
        #expect(try training.scratch.text("run/\(name)") == "mine")
        if name == "vocab.json" { try training.run() }
    }

    @Test("has one run at a time")
    func locked() throws {
        let training = try TinyTraining()
        try FileSystem.createFolder(training.scratch("run"))
        let lock = try FolderLock(folder: training.scratch("run"))
        #expect(
            training.failure() == """
                \(training.scratch("run")): error: another run is using this folder (process \(getpid())): wait for its \
                end, or choose another output folder
                """)
        _ = consume lock
        try training.run()
    }

    @Test("is none of the run's inputs")
    func inputs() throws {
        let training = try TinyTraining()
        try training.run(stoppingAfter: 3)
        func refusal(_ input: String) -> String {
            "\(training.scratch(input)): error: training.output_dir is also an input of the run; choose another folder"
        }
        #expect(training.failure(into: "model") == refusal("model"))
        let checkpoint = "run/checkpoints/step-3"
        #expect(
            training.failure(["peft.init_from=\(training.scratch(checkpoint))"], .overwrite) == refusal(checkpoint))
    }

    @Test("keeps the newest checkpoints, as many as it may, and nothing unfinished")
    func limit() throws {
        let training = try TinyTraining()
        let changes = ["training.save_steps=2", "training.save_total_limit=2"]
        let run = try training.run(changes, stoppingAfter: 7)
        #expect(run.saved == [2, 4, 6, 7])
        #expect(try training.scratch.names("run/checkpoints") == ["step-6", "step-7"])
        for name in ["run/.README.md.partial", "run/checkpoints/.step-9.partial/model.safetensors"] {
            try training.scratch.write("half", to: name)
        }
        try training.run(changes, .resume)
        #expect(try training.scratch.names("run/checkpoints") == ["step-10", "step-12"])
        #expect(try !training.scratch.names("run").contains(".README.md.partial"))
    }
}
