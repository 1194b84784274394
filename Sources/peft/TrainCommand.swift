import ArgumentParser
import Configuration
import Datasets
import Diagnostics
import JSONText
import Ranks
import Training

/// Trains as a configuration says.
struct TrainCommand: RankedCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Fine-tune a model as a configuration says.",
        discussion: """
            The output folder receives the adapter (or the model), the resolved configuration, metrics.jsonl with a \
            line for each logged step, loss.svg with its curves, and checkpoints. Ctrl-C and SIGTERM finish the step and \
            save; a second Ctrl-C ends at once. Under mpirun the processes train together, as docs/distributed.md tells.

            EXAMPLES:
              peft train --config configs/demo.yaml
              peft train --config run.yaml --set peft.r=16 --set training.output_dir=runs/r16
              peft train --config run.yaml --resume
              peft train --config run.yaml --dry-run
              mpirun -n 4 peft train --config run.yaml
            """)

    @Option(
        help: ArgumentHelp("The run's configuration; docs/configuration.md explains every key.", valueName: "file"),
        transform: expandedPath)
    var config: String

    @Option(
        name: .customLong("set"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Put a value in place of the configuration's; may be repeated.", valueName: "key=value"))
    var overrides: [String] = []

    @Flag(help: "Go on from the newest checkpoint in the output folder.")
    var resume = false

    @Flag(help: "Delete the run that the output folder holds, and begin anew.")
    var overwrite = false

    @OptionGroup var otherBase: OtherBaseOption

    @Flag(help: "Go on with a run, with --resume, whose training data isn't what it was when the run began.")
    var otherData = false

    @Flag(
        help: "Load model and data, say what would train, print the configuration with all defaults, and stop.")
    var dryRun = false

    @Flag(
        help:
            "Print one JSON object about the run at its end; with --dry-run about what it would do, the first records token by token."
    )
    var json = false

    @OptionGroup var common: CommonOptions

    private static func json(
        _ plan: TrainingPlan, _ forecast: RunForecast, _ samples: [TokenSample]
    ) -> JSONValue {
        [
            "output_dir": .string(plan.outputFolder), "method": .string(plan.method), "steps": .integer(plan.stepCount),
            "trainable_parameters": .integer(plan.trainableCount), "total_parameters": .integer(plan.totalCount),
            "peak_memory_bytes": .integer(forecast.peakMemoryBytes),
            "available_memory_bytes": forecast.availableBytes.map(JSONValue.integer) ?? nil,
            "seconds": forecast.seconds.map(JSONValue.number) ?? nil, "tokens": .integer(forecast.tokens),
            "records": .integer(forecast.records), "dropped": .integer(forecast.dropped),
            "truncated": .integer(forecast.truncated),
            "examples": .array(
                samples.map { sample in
                    [
                        "file": sample.file.map(JSONValue.string) ?? nil,
                        "line": sample.line.map(JSONValue.integer) ?? nil,
                        "tokens": .array(
                            sample.tokens.map {
                                [
                                    "id": .integer(Int($0.id)), "text": .string($0.text),
                                    "learned": .boolean($0.isLearned),
                                ]
                            }),
                    ]
                }),
        ]
    }

    private static func json(_ summary: TrainingSummary, _ plan: TrainingPlan) -> JSONValue {
        [
            "output_dir": .string(summary.outputFolder), "method": .string(plan.method),
            "interrupted": .boolean(summary.wasInterrupted), "steps": .integer(summary.steps),
            "loss": summary.finalLoss.map(JSONValue.number) ?? nil,
            "eval_loss": summary.evaluationLoss.map(JSONValue.number) ?? nil,
            "trainable_parameters": .integer(plan.trainableCount), "total_parameters": .integer(plan.totalCount),
            "tokens": .integer(summary.tokens), "elapsed_seconds": .number(summary.elapsedSeconds),
            "peak_memory_bytes": .integer(summary.peakMemoryBytes),
            "best_step": summary.best.map { .integer($0.step) } ?? nil,
            "best_value": summary.best.map { .number($0.value) } ?? nil,
        ]
    }

    func validate() throws {
        if resume, overwrite { throw ValidationError("--resume and --overwrite exclude each other") }
    }

    func run() throws {
        common.apply()
        let ranks = Communicator.current
        let display = TrainingDisplay(drawsLoss: !json)
        var accepted: InputChanges = []
        if otherBase.otherBase { accepted.insert(.base) }
        if otherData { accepted.insert(.data) }
        let existing: Trainer.Existing = resume ? .resume : overwrite ? .overwrite : .refuse
        let trainer = try ranks.agree {
            let configuration = try RunConfiguration(
                ConfigDocument.load(yamlFile: config, overrides: overrides), warn: Console.report)
            return try Trainer.prepared(
                configuration, existing, accepting: accepted, ranks: ranks, observer: display)
        }
        if dryRun {
            let samples = try trainer.samples(json ? 8 : 2)
            let forecast = try trainer.forecast()
            // Only now it is known whether prompts are shared.
            let plan = trainer.plan()
            display.show(plan, forecast)
            if json {
                Console.line(Self.json(plan, forecast, samples).text(.indented))
            } else {
                if trainer.hasConversations { display.show(samples) }
                Console.write(trainer.resolvedYAML)
            }
            return
        }
        Interruption.catchSignals(isShared: ranks != nil, isAnswering: ranks.isFirst)
        let summary = try trainer.run(
            existing, shouldStop: { Interruption.isRequested })
        if json { Console.line(Self.json(summary, trainer.plan()).text(.indented)) }
        if summary.wasInterrupted { throw ExitCode(ExitStatus.interrupted.rawValue) }
    }
}
