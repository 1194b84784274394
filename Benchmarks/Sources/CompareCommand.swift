import ArgumentParser
import Checkpoints
import Diagnostics
import FoundationEssentials
import Glibc
import JSONText

/// Runs every workload in processes of their own, ours and the reference's in turn, and reports medians and ratios.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Measure everything in turn and write a report.")

    @Option(help: "A model folder; both sides load it.")
    var model: String

    @Option(help: "The reference's Python, with torch, transformers and peft; without it only our side is measured.")
    var reference: String?

    @Option(help: "The reference's program.")
    var script = "Benchmarks/reference.py"

    @Option(help: "A JSONL file of mr and ref; without it there is no workload of records.")
    var data: String?

    @Option(help: "How often each side of each workload is run.")
    var rounds = 3

    @Option(help: "Steps that count, of each run.")
    var steps = 3

    @Option(help: "Workloads; all by default.")
    var only: [Workload] = []

    @Option(help: "The folder for results.json and results.md.")
    var output = "benchmarks-out"

    @OptionGroup var size: BatchOptions

    /// What selects OpenBLAS's kernels from outside.
    private static let kernelVariables = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"]

    func run() throws {
        let workloads = (only.isEmpty ? Workload.allCases : only).filter { $0 != .records || data != nil }
        let isSet = Self.kernelVariables.contains { ProcessInfo.processInfo.environment[$0] != nil }
        // As the environment has it, and, where that says something, as it is without.
        let settings: [[String]] = isSet ? [[], Self.kernelVariables] : [[]]
        var report = Report(size: size, rounds: rounds, steps: steps)
        for removing in settings {
            say("bench: ceiling\(removing.isEmpty ? "" : " without \(removing.joined(separator: ", "))")")
            let ceiling = try child(["ceiling"] + sizeArguments(.lora), removing: removing)
            report.addCeiling(ceiling.summary)
        }
        for round in 1...max(1, rounds) {
            for workload in workloads {
                for removing in settings {
                    let choice = removing.isEmpty ? "" : ", OpenBLAS's own choice of kernels"
                    say("bench: round \(round) of \(rounds): \(workload.rawValue), ours\(choice)")
                    let dataArguments = data.map { workload == .records ? ["--data", $0] : [] } ?? []
                    let result = try child(
                        ["step", workload.rawValue, "--steps", "\(steps)"] + sizeArguments(workload) + dataArguments,
                        removing: removing)
                    report.add(result, workload)
                }
                if let reference {
                    say("bench: round \(round) of \(rounds): \(workload.rawValue), the reference")
                    let dataArguments = data.map { workload == .records ? ["--data", $0] : [] } ?? []
                    let result = try runChild(
                        [reference, script] + workload.referenceArguments + ["--steps", "\(steps)"]
                            + sizeArguments(workload) + dataArguments, removing: [])
                    report.add(result, workload)
                }
            }
        }
        try FileSystem.createFolder(output)
        let path = FileSystem.join(output, "results.json")
        let before = FileSystem.isFile(path) ? try JSONNode.load(path: path) : nil
        let text = report.markdown(comparedWith: before)
        try AtomicFile.write(report.json.text(.indented) + "\n", to: path)
        try AtomicFile.write(text, to: FileSystem.join(output, "results.md"))
        print(text, terminator: "")
    }

    private func child(_ arguments: [String], removing: [String]) throws -> ChildResult {
        try runChild([CommandLine.arguments[0]] + arguments, removing: removing)
    }

    private func sizeArguments(_ workload: Workload) -> [String] {
        [
            "--model", model, "--threads", "\(size.threads)", "--batch", "\(workload == .records ? 8 : size.batch)",
            "--length", "\(size.length)",
        ]
    }
}
