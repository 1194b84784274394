import ArgumentParser
import Checkpoints
import Diagnostics
import Files
import Glibc
import JSONText
import Tensors

/// Times how soon the tool itself is there: its help, a look at a file, the first training step.
struct StartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start", abstract: "Time the tool's start, as JSON.")

    @Option(help: "The tool.")
    var peft: String

    @Option(help: "A model folder.")
    var model: String

    @Option(help: "A JSONL file of mr and ref.")
    var data: String

    @Option(help: "How often each command is run.")
    var repetitions = 15

    @Option(help: "Threads that train.")
    var threads: Int

    func run() throws {
        func seconds(_ arguments: [String]) throws -> Double {
            median(
                try (0..<repetitions).map { _ in try runChild([peft] + arguments, stream: 1, isSilent: true).seconds })
        }
        let help = try seconds(["--help"])
        let inspectFile = try seconds(["inspect", FileSystem.join(model, "model.safetensors")])
        let inspectFolder = try seconds(["inspect", model])
        let scratch = model + "-start"
        try FileSystem.createFolder(scratch)
        let (config, records) = (FileSystem.join(scratch, "run.yaml"), FileSystem.join(scratch, "records.jsonl"))
        try AtomicFile.write(try repeatedRecords(), to: records)
        try AtomicFile.write(
            """
            model: {path: "\(model)"}
            data: {train: "\(records)", prompt: "{mr}\\n", completion: "{ref}", shuffle: false}
            peft: {method: lora, r: 8, lora_alpha: 16, target_modules: [c_attn]}
            training: {output_dir: "\(scratch)/run", max_steps: \(steps), logging_steps: 1, learning_rate: 2.0e-4}

            """, to: config)
        var first: [Double] = []
        var step: [Double] = []
        for _ in 0..<3 {
            let run = try runChild(
                [peft, "train", "--config", config, "--overwrite", "--threads", "\(threads)"], stream: 2)
            let times = run.lines.filter { $0.text.hasPrefix("step ") && $0.text.contains("loss") }.map(\.seconds)
            guard times.count >= steps else { throw Problem("\(peft) train showed \(times.count) steps") }
            first.append(times[0])
            step.append(median(zip(times.dropFirst(), times).map { $0 - $1 }))
        }
        emit([
            "side": "peft", "kernel": .string(Processor.matrixKernel), "help_seconds": .number(help),
            "inspect_file_seconds": .number(inspectFile),
            "inspect_folder_seconds": .number(inspectFolder), "first_step_seconds": .number(median(first)),
            "step_seconds": .number(median(step)), "start_seconds": .number(median(first) - median(step)),
        ])
    }

    private var steps: Int { 6 }

    /// The first eight records again and again, so that every step is the same work: 4,000 in all, to be read as any.
    private func repeatedRecords() throws -> String {
        guard let file = fopen(data, "r") else { throw Problem("can't be read", file: data, exitStatus: .missingInput) }
        defer { fclose(file) }
        var block = ""
        var line = [CChar](repeating: 0, count: 1 << 16)
        for _ in 0..<8 where fgets(&line, Int32(line.count), file) != nil {
            block += String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        return String(repeating: block, count: 500)
    }
}
