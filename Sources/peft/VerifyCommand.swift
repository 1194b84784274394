import ArgumentParser
import Diagnostics
import JSONText
import Training

/// Repeats steps of a run, and says whether the same comes of them.
struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Repeat steps of a run, and say whether the same bits come of them.",
        discussion: """
            Steps are repeated from a checkpoint, or from the beginning, up to the newest checkpoint, whose numbers must \
            then be those that come out, as must the losses in metrics.jsonl on the way. Where they aren't, what is known to \
            be different is told: the base model, the tokenizer, the data, settings, the kernels of the processor. A run \
            without checkpoints is repeated from its beginning, and compared with its losses and its result. Nothing in \
            the run's folder is changed. The status is 0 for the same bits and 65 for others.

            EXAMPLES:
              peft verify runs/demo
              peft verify runs/demo --steps 20 --json
            """)

    @Argument(help: ArgumentHelp("The output folder of a run.", valueName: "run"), transform: expandedPath)
    var folder: String

    @Option(help: ArgumentHelp("Repeat at most so many steps.", valueName: "n"))
    var steps: Int?

    @Flag(help: "Print one JSON object.")
    var json = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let steps, steps < 1 { throw ValidationError("--steps must be at least 1, got \(steps)") }
    }

    func run() throws {
        common.apply()
        let report = try Trainer.verify(folder, steps: steps, observer: TrainingDisplay(drawsLoss: false))
        Console.showStatus("")
        Console.line(json ? report.json.text(.indented) : report.text)
        if !report.isSame {
            Console.finish()
            throw ExitCode(ExitStatus.badData.rawValue)
        }
    }
}
