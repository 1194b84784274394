import ArgumentParser
import Configuration
import Diagnostics
import Files
import FoundationEssentials
import Glibc
import JSONText
import Tensors
import Training

/// What trains the end of a model, so that a run keeps the hidden states below.
enum KeptCase: String, CaseIterable, ExpressibleByArgument, Sendable {
    /// The last two blocks and the final norm.
    case layers
    /// LoRA of rank 8 on queries and values of the upper third.
    case third
    /// A classifier's head alone.
    case head

    var name: String {
        switch self {
        case .layers: "the last two blocks"
        case .third: "LoRA in the upper third"
        case .head: "a classifier's head alone"
        }
    }

    /// Lines of a run's configuration.
    func settings(layers: Int) -> String {
        let pairs = #"data: {train: records.jsonl, prompt: "{mr}\n", completion: "{ref}"}"#
        switch self {
        case .layers: return pairs + "\npeft: {method: last_layers, layers: 2}"
        case .third:
            let upper = (layers - layers / 3..<layers).map { "\($0)" }.joined(separator: ", ")
            return pairs + "\npeft: {method: lora, r: 8, lora_alpha: 16, layers_to_transform: [\(upper)]}"
        case .head:
            return """
                task: sequence_classification
                data: {train: records.jsonl, text: "{mr}\\n{ref}", label: "{label}"}
                peft: {method: last_layers, layers: 0, final_norm: false, head: true}
                """
        }
    }
}

/// Two epochs of short runs that keep hidden states and ones that don't, in turn, in one process: the steps of the second
/// epoch.
struct KeptCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kept", abstract: "Time the second epoch's steps with hidden states kept and without, as JSON.")

    @Argument(help: "layers, third or head.")
    var part: KeptCase

    @Option(help: "A model folder; its dropouts are set to 0.")
    var model: String

    @Option(help: "A JSONL file of mr and ref.")
    var data: String

    @Option(help: "Steps of an epoch.")
    var steps = 6

    @Option(help: "Runs of each kind.")
    var rounds = 2

    @OptionGroup var size: BatchOptions

    func run() throws {
        size.apply()
        let folder = FileManager.default.temporaryDirectory.appending(path: "peft-bench-kept-\(getpid())").path()
        try FileSystem.createFolder(folder)
        defer { try? FileSystem.remove(folder) }
        let layers = try prepare(folder)
        var seconds: (plain: [Double], kept: [Double]) = ([], [])
        var note = ""
        for round in 0..<rounds {
            for keeping in ["off", "auto"] {
                let text = """
                    model: {path: \(folder)/model}
                    \(part.settings(layers: layers).replacing("records.jsonl", with: "\(folder)/records.jsonl"))
                    training:
                      output_dir: \(folder)/\(keeping)-\(round)
                      num_train_epochs: 2
                      per_device_train_batch_size: 8
                      keep_hidden_states: \(keeping)
                      save_steps: 1000000
                    """
                let watch = StepWatch()
                let run = try RunConfiguration(ConfigDocument.parse(yaml: text, overrides: []), warn: { _ in })
                _ = try Trainer(run, observer: watch).run(.refuse, shouldStop: { false })
                let found = watch.seconds.dropFirst(steps)
                if keeping == "off" { seconds.plain += found } else { seconds.kept += found }
                note = watch.note ?? note
            }
        }
        emit([
            "side": "peft", "measurement": "kept", "case": .string(part.rawValue),
            "kernel": .string(Processor.matrixKernel), "threads": .integer(size.threads),
            "seconds": .array(seconds.plain.map { .number($0) }),
            "kept_seconds": .array(seconds.kept.map { .number($0) }), "median_seconds": .number(median(seconds.plain)),
            "median_kept_seconds": .number(median(seconds.kept)),
            "ratio": .number(median(seconds.plain) / median(seconds.kept)), "note": .string(note),
        ])
    }

    /// Puts a model without dropout and the first records, with labels of their own, into a folder.
    ///
    /// - Returns: The model's blocks.
    private func prepare(_ folder: String) throws -> Int {
        try FileSystem.createFolder("\(folder)/model")
        for name in try FileSystem.names(in: model) where name != "config.json" {
            symlink(FileSystem.realPath("\(model)/\(name)"), "\(folder)/model/\(name)")
        }
        let members = try JSONNode.load(path: "\(model)/config.json").asObject()
        let still = members.map { member in
            member.key.hasSuffix("dropout") || member.key.hasSuffix("pdrop") || member.key == "dropout_rate"
                ? JSONValue.Member(member.key, 0) : .init(member.key, member.value.plain)
        }
        try AtomicFile.write(JSONValue.object(still).text(.compact), to: "\(folder)/model/config.json")
        let lines = try FileSystem.text(of: data).split(separator: "\n").prefix(8 * steps).enumerated()
        try AtomicFile.write(
            lines.map { #"{"label": "\#($0 % 2 == 0 ? "even" : "odd")", \#($1.dropFirst())\#n"# }.joined(),
            to: "\(folder)/records.jsonl")
        let counts = members.filter { ["n_layer", "num_hidden_layers", "num_layers"].contains($0.key) }
        return try counts.first.map { try $0.value.asInteger() } ?? 0
    }
}

/// Takes the time of each step.
private final class StepWatch: TrainingObserver {
    private var last = ContinuousClock.now
    private(set) var seconds: [Double] = []
    private(set) var note: String?

    func started(_ plan: TrainingPlan) {
        note = plan.notes.first { $0.hasPrefix("hidden states") }
        last = .now
    }
    func progressed(step: Int, of total: Int, loss: Double, tokensPerSecond: Double, secondsLeft: Double) {
        seconds.append(last.duration(to: .now) / .seconds(1))
        last = .now
    }
}
