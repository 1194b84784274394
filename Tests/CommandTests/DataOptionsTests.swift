import Foundation
import JSONText
import Testing

@Suite("Data of a run") struct DataOptionsTests {
    private let run: TinyRun
    private var folder: TemporaryFolder { run.folder }

    init() throws {
        run = try TinyRun()
        for (name, count) in [("part-1", 5), ("part-2", 7), ("part-10", 3)] {
            let records = (0..<count).map { #"{"q": "\#($0)", "a": "\#(String(repeating: "b", count: 1 + $0))"}"# }
            try run.folder.write(records.joined(separator: "\n") + "\n", to: "parts/\(name).jsonl")
        }
    }

    private func train(_ changes: [String], _ flags: [String] = [], input: String = "") throws -> Outcome {
        try RunningTool(run.arguments + changes.flatMap { ["--set", $0] } + flags, input: input).outcome()
    }

    private func adapter(_ place: String = "run") throws -> Data {
        try Data(contentsOf: folder.url.appending(path: "\(place)/adapter_model.safetensors"))
    }

    @Test("comes of all files that a pattern matches, sorted")
    func patterns() throws {
        let outcome = try train(["data.train=\(folder.path)/parts/*.jsonl", "training.max_steps=null"], ["--dry-run"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.errors.contains("\ntraining: 15 examples of 15 records, "))
        #expect(outcome.output.contains("  train: [\"\(folder.path)/parts/*.jsonl\"]\n"))
        let listed = try train(
            [
                "data.train=[\(folder.path)/parts/part-1.jsonl,\(folder.path)/parts/part-10.jsonl,\(folder.path)/parts/part-2.jsonl]"
            ])
        #expect(listed.status == 0, "\(listed.errors)")
        let matched = try train(["data.train=\(folder.path)/parts/*.jsonl", "training.output_dir=\(folder.path)/two"])
        #expect(matched.status == 0, "\(matched.errors)")
        #expect(try adapter() == adapter("two"))
    }

    @Test("comes as often as the weights of its files say")
    func weights() throws {
        let file = "\(folder.path)/parts/part-2.jsonl"
        let weighted = try train([
            "data.train=[{path: \(file), weight: 2}, {path: \(folder.path)/parts/part-1.jsonl, weight: 0.4}]",
            "training.max_steps=null", "training.num_train_epochs=1", "training.per_device_train_batch_size=1",
        ])
        #expect(weighted.status == 0, "\(weighted.errors)")
        #expect(weighted.errors.contains("\n16 steps, 16 an epoch, "))
        let config = try folder.text("run/training_config.yaml")
        #expect(config.contains("weight: 2}, {path: \(folder.path)/parts/part-1.jsonl, weight: 0.4}]\n"))
        // Weight 2 in the order of the files is the file twice.
        let order = ["data.shuffle=false", "training.max_steps=4"]
        #expect(try train(order + ["data.train=[{path: \(file), weight: 2}]"], ["--overwrite"]).status == 0)
        let twice = try train(order + ["data.train=[\(file),\(file)]", "training.output_dir=\(folder.path)/two"])
        #expect(twice.status == 0, "\(twice.errors)")
        #expect(try adapter() == adapter("two"))
    }

    @Test("comes by stdin, in several epochs, and the same again when a run is resumed")
    func standardInput() throws {
        let records = try folder.text("data.jsonl")
        #expect(try train(["training.max_steps=12"]).status == 0)
        let stdin = ["data.train=\"-\"", "training.output_dir=\(folder.path)/two"]
        let first = try train(stdin + ["training.save_steps=3"], input: records)
        #expect(first.status == 0, "\(first.errors)")
        // As long as the other one from there.
        let missing = try train(stdin + ["training.max_steps=12", "training.save_steps=3"], ["--resume"])
        #expect(missing.status == 65)
        #expect(
            missing.errors == """
                stdin: error: holds no records: data.train: "-" reads them from there, and reads the same ones anew when a \
                run is resumed

                """)
        let other = try train(
            stdin + ["training.max_steps=12"], ["--resume", "--quiet"],
            input: records.replacing("\"a\": \"0", with: "\"a\": \"7"))
        #expect(other.status == 65)
        #expect(other.errors.contains("the training data isn't what it was when the run began"))
        #expect(try train(stdin, ["--overwrite"], input: records).status == 0)
        #expect(try train(["training.output_dir=\(folder.path)/three"]).status == 0)
        #expect(try adapter("two") == adapter("three"))
        // Through a pipe, which can be read but once.
        let shell = Process()
        shell.executableURL = URL(filePath: "/bin/sh")
        shell.arguments = [
            "-c",
            "cat '\(folder.path)/data.jsonl' | '\(binary.path(percentEncoded: false))' train --config '\(run.configuration)' "
                + "--threads 1 --quiet --set 'data.train=\"-\"' --set 'training.output_dir=\(folder.path)/four'",
        ]
        try shell.run()
        shell.waitUntilExit()
        #expect(shell.terminationStatus == 0)
        #expect(try adapter("four") == adapter("three"))
    }

    @Test("leaves out a part that nothing is evaluated on either, and warns of it")
    func unusedFraction() throws {
        let outcome = try train([
            "data.train=\(folder.path)/parts/*.jsonl", "data.validation=null", "data.validation_fraction=0.2",
            "training.eval_strategy=no", "training.max_steps=1",
        ])
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(
            outcome.errors.contains(
                "--set data.validation_fraction=0.2: warning: data.validation_fraction: takes 3 of 15 examples from what is "
                    + "learned, and with training.eval_strategy: no nothing is evaluated on them: leave validation_fraction "
                    + "out to learn from all, or eval_strategy to evaluate\n"), "\(outcome.errors)")
        #expect(
            outcome.errors.contains(
                "\nvalidation_fraction 0.2: 3 records of data.train, drawn by the seed, are neither learned nor evaluated on; "
                    + "validation_records.jsonl names them\n"))
        #expect(try folder.text("run/validation_records.jsonl").split(separator: "\n").count == 3)
    }

    @Test("leaves out a part to be evaluated on, and says which records these are")
    func fraction() throws {
        let changes = [
            "data.train=\(folder.path)/parts/*.jsonl", "data.validation=null", "data.validation_fraction=0.2",
            "training.eval_steps=3", "model={path: \(try run.trainedModel())}",
        ]
        let outcome = try train(changes)
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.errors.contains("\ntraining: 12 examples of 12 records, "))
        #expect(outcome.errors.contains("\nvalidation: 3 examples of 3 records, "))
        #expect(
            outcome.errors.contains(
                "\nvalidation_fraction 0.2: 3 records of data.train, drawn by the seed, are evaluated on and not learned; "
                    + "validation_records.jsonl names them\n"))
        let named = try folder.text("run/validation_records.jsonl").split(separator: "\n")
        #expect(named.count == 3 && Set(named).count == 3)
        // They make the validation data of a run that has them in a file.
        var records: [String] = []
        for line in named {
            let node = try JSONNode.parse(String(line))
            let text = try String(contentsOfFile: node.string("file"), encoding: .utf8)
            records.append(String(text.split(separator: "\n")[try node.integer("line") - 1]))
        }
        try folder.write(records.joined(separator: "\n") + "\n", to: "left.jsonl")
        let loss = try RunningTool([
            "eval", "--adapter", "\(folder.path)/run", "--data", "\(folder.path)/left.jsonl", "--json", "--threads",
            "1",
        ]).outcome()
        let line = try #require(
            try folder.text("run/metrics.jsonl").split(separator: "\n").last { $0.contains("eval_loss") })
        let (theirs, ours) = try (
            JSONNode.parse(loss.output).number("loss"), JSONNode.parse(String(line)).number("eval_loss")
        )
        #expect(abs(theirs - ours) < 1e-5)
        #expect(try train(changes + ["training.output_dir=\(folder.path)/two"]).status == 0)
        #expect(try folder.text("two/validation_records.jsonl") == folder.text("run/validation_records.jsonl"))
        #expect(try train(changes, ["--overwrite"]).status == 0)
    }

    @Test("comes in batches of so many tokens, and of about the same length")
    func batches() throws {
        let outcome = try train([
            "data.train=\(folder.path)/parts/*.jsonl", "training.train_batch_tokens=24", "training.max_steps=null",
            "training.per_device_train_batch_size=null", "training.num_train_epochs=2", "training.logging_steps=1",
        ])
        #expect(outcome.status == 0, "\(outcome.errors)")
        let steps = try folder.text("run/metrics.jsonl").split(separator: "\n").map { try JSONNode.parse(String($0)) }
            .filter { try $0.optionalNumber("loss") != nil }
        var before = 0
        for step in steps {
            let tokens = try step.integer("tokens")
            #expect(tokens - before <= 24)
            before = tokens
        }
        #expect(outcome.errors.contains("\n\(steps.count) steps, \(steps.count / 2) an epoch, "))
        let grouped = try train(
            [
                "data.train=\(folder.path)/parts/*.jsonl", "training.train_sampling_strategy=group_by_length",
                "training.max_steps=2",
            ], ["--overwrite"])
        #expect(grouped.status == 0, "\(grouped.errors)")
        let old = try train([
            "data.train=\(folder.path)/parts/*.jsonl", "training.group_by_length=true", "training.max_steps=2",
            "training.output_dir=\(folder.path)/two",
        ])
        #expect(old.status == 0, "\(old.errors)")
        #expect(try adapter() == adapter("two"))
    }

    @Test("that can't be is told of")
    func problems() throws {
        let parts = folder.path + "/parts"
        let cases: [(changes: [String], status: Int32, message: String)] = [
            (
                ["data.train=\(parts)/*.csv"], 65,
                "--set data.train=\(parts)/*.csv: error: data.train: no file matches '\(parts)/*.csv'\n"
            ),
            (
                ["data.train=[{path: \(parts)/part-1.jsonl, weight: 0}]"], 65,
                "--set data.train=[{path: \(parts)/part-1.jsonl, weight: 0}]: error: data.train: must be more than 0.0, got 0\n"
            ),
            (
                ["data.train=[{path: \(parts)/part-1.jsonl, share: 1}]"], 65,
                "--set data.train=[{path: \(parts)/part-1.jsonl, share: 1}]: error: data.train: a file has a path and a "
                    + "weight, and no 'share'\n"
            ),
            (
                ["data.train=[{weight: 1}]"], 65,
                "--set data.train=[{weight: 1}]: error: data.train: names no file: a path is missing beside the weight\n"
            ),
            (["data.train=[]"], 65, "--set data.train=[]: error: data.train: missing: name the file to train on\n"),
            (
                ["data.validation=\"-\""], 65,
                "--set data.validation=\"-\": error: data.validation: stdin can be the training data alone: name a file\n"
            ),
            (
                ["data.train=[\"-\",\"-\"]"], 65,
                "--set data.train=[\"-\",\"-\"]: error: data.train: has '-' twice, and stdin is there once\n"
            ),
            (
                ["data.validation_fraction=0.5"], 65,
                "--set data.validation_fraction=0.5: error: data.validation_fraction: can't be used together with "
                    + "validation, which names files\n"
            ),
            (
                ["data.validation_fraction=1", "data.validation=null"], 65,
                "--set data.validation_fraction=1: error: data.validation_fraction: must be less than 1, got 1.0\n"
            ),
            (
                ["data.validation_fraction=0.99", "data.validation=null", "data.train=\(parts)/part-10.jsonl"], 65,
                "error: data.validation_fraction: of 3 examples 3 would be evaluated on, and none is left to learn from\n"
            ),
            (
                ["training.train_batch_tokens=30"], 65,
                "--set training.train_batch_tokens=30: error: training.train_batch_tokens: can't be used together with "
                    + "per_device_train_batch_size\n"
            ),
            (
                [
                    "training.train_batch_tokens=6", "training.per_device_train_batch_size=null",
                    "data.train=\(parts)/part-2.jsonl",
                ], 65,
                "\(parts)/part-2.jsonl:7:1: error: has 9 tokens, more than the 6 of a batch (training.train_batch_tokens)\n"
            ),
            (
                ["training.train_sampling_strategy=random", "data.shuffle=false"], 65,
                "--set training.train_sampling_strategy=random: error: training.train_sampling_strategy: random draws the "
                    + "order of the records, and data.shuffle: false keeps it: give one of them\n"
            ),
            (
                ["training.group_by_length=true", "data.shuffle=false"], 65,
                "--set training.group_by_length=true: error: training.group_by_length: group_by_length draws the order of "
                    + "the records, and data.shuffle: false keeps it: give one of them\n"
            ),
            (
                ["training.train_sampling_strategy=sequential", "training.group_by_length=true"], 65,
                "--set training.group_by_length=true: error: training.group_by_length: is true beside "
                    + "train_sampling_strategy: sequential\n"
            ),
        ]
        for (changes, status, message) in cases {
            let outcome = try train(changes)
            #expect(outcome.status == status && outcome.errors == message, "\(outcome.errors)")
        }
    }
}
