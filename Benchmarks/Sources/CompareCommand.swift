import ArgumentParser
import Checkpoints
import Diagnostics
import Files
import FoundationEssentials
import Glibc
import JSONText

/// Runs every measurement in processes of their own, ours and the reference's in turn, and reports medians and ratios.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare", abstract: "Measure everything in turn and write a report.")

    @Option(help: "A model folder; both sides load it. Next to it may lie FOLDER-bf16, FOLDER-355m and FOLDER-774m.")
    var model: String

    @Option(help: "The reference's Python, with torch, transformers and peft; without it only our side is measured.")
    var reference: String?

    @Option(help: "The folder of the reference's programs.")
    var scripts = "Benchmarks"

    @Option(help: "A JSONL file of mr and ref to train on.")
    var data: String

    @Option(help: "Another one, to generate from.")
    var evaluationData: String

    @Option(help: "A text to tokenize.")
    var text: String

    @Option(help: "The tool, for the times of its start.")
    var peft: String?

    @Option(help: "How often each side of each measurement is run, at most.")
    var rounds = 3

    @Option(help: "Steps that count, of each run.")
    var steps = 3

    @Option(parsing: .upToNextOption, help: "Parts or measurements, separated by commas or spaces; all by default.")
    var only: [String] = []

    @OptionGroup var report: ReportOptions

    @OptionGroup var size: BatchOptions

    /// What selects OpenBLAS's kernels from outside.
    private static let kernelVariables = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"]

    func run() throws {
        let paths = BenchPaths(
            scripts: scripts, model: model, halfModel: beside("bf16"), mediumModel: beside("355m"),
            largeModel: beside("774m"), data: data, evaluationData: evaluationData, text: text, peft: peft)
        let all = Measurement.all(paths, size, steps: steps)
        let names = only.flatMap { $0.split(separator: ",").map(String.init) }
        let model = String(model.split(separator: "/").last ?? "")
        let isFamily = !Results.isGPT2(model)
        let chosen = try select(
            all,
            names.isEmpty && isFamily
                ? Results.hasEncoder(model) ? Measurement.ofEncoders : Measurement.ofFamilies : names)
        let isSet = Self.kernelVariables.contains { ProcessInfo.processInfo.environment[$0] != nil }
        // As the environment has it, and, where that says something, as it is without.
        let settings: [[String]] = isSet ? [[], Self.kernelVariables] : [[]]
        var results = Results(
            processor: processorName(), model: model, threads: size.threads,
            batch: size.batch, length: size.length)
        if Results.hasEncoder(model) { results.targets = size.targets }
        for round in 1...max(1, rounds) {
            for group in Self.groups(chosen.filter { round <= $0.rounds }) {
                for removing in settings.prefix(group[0].dependsOnKernels ? settings.count : 1) {
                    for measurement in group {
                        measure(measurement, round, [CommandLine.arguments[0]] + measurement.ours, removing, &results)
                        if measurement.id == "records" { addRecordsCeiling(round, removing, &results) }
                    }
                }
                for measurement in group {
                    guard let reference, let arguments = measurement.reference else { continue }
                    measure(measurement, round, [reference] + arguments, nil, &results)
                }
            }
            // A run takes long enough to be broken off.
            try report.keep(results)
        }
        try report.write(results, isComplete: names.isEmpty)
    }

    /// What is measured together under one setting of kernels before it is under the next.
    private static func groups(_ measurements: [Measurement]) -> [[Measurement]] {
        measurements.reduce(into: []) { groups, measurement in
            if measurement.isPaired, let last = groups.indices.last {
                groups[last].append(measurement)
            } else {
                groups.append([measurement])
            }
        }
    }

    /// Adds a sample. What fails is said and left out, so that it doesn't cost the others.
    ///
    /// - Parameter removing: What is taken out of our side's environment; nil for the reference.
    private func measure(
        _ measurement: Measurement, _ round: Int, _ arguments: [String], _ removing: [String]?, _ results: inout Results
    ) {
        let side = removing.map { $0.isEmpty ? "ours" : "ours, OpenBLAS's own choice of kernels" } ?? "the reference"
        say("bench: round \(round): \(measurement.id), \(side)")
        do {
            let run = try runChild(arguments, removing: removing ?? [])
            let summary = try run.summary()
            if run.otherWork > Results.busy {
                say(
                    "bench: the machine is busy: others took \(fixed(100 * run.otherWork, 0)) % of its time meanwhile, so "
                        + "this figure is none")
            }
            results.samples.append(
                Sample(
                    id: measurement.id, round: round, kernel: removing == nil ? nil : try summary.string("kernel"),
                    peakBytes: run.peakBytes, secondsToFirstLine: run.lines.first?.seconds ?? .nan,
                    otherWork: run.otherWork, summary: summary))
        } catch {
            say("bench: \(measurement.id) failed: \(error)")
        }
    }

    private func beside(_ suffix: String) -> String? {
        let folder = "\(model)-\(suffix)"
        return FileSystem.isFolder(folder) ? folder : nil
    }

    /// The products of the records' steps have as many rows as the batches had on average.
    private func addRecordsCeiling(_ round: Int, _ removing: [String], _ results: inout Results) {
        guard let sample = results.samples.last, sample.id == "records", let rows = sample.number("rows"),
            let targets = sample.number("targets")
        else { return }
        let arguments = [
            "ceiling", "--adapters-only", "--model", model, "--threads", "\(size.threads)", "--rows",
            "\(Int(rows.rounded()))", "--targets", "\(Int(targets.rounded()))",
        ]
        let measurement = Measurement(id: "ceiling-records", part: "ceiling", ours: arguments)
        measure(measurement, round, [CommandLine.arguments[0]] + arguments, removing, &results)
    }
}
