import ArgumentParser
import Tensors

/// Times the training step against what the machine can do and, where one is at hand, against the reference.
@main
struct PeftBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "peft-bench",
        abstract: "Measure training steps, the limit that matrix products set, and the reference beside them.",
        subcommands: [
            CompareCommand.self, ReportCommand.self, StepCommand.self, PairCommand.self, CeilingCommand.self,
            ModelCommand.self, KeptCommand.self,
            StartCommand.self, TextCommand.self, DecodeCommand.self, RecordsGenerationCommand.self,
            EvaluationCommand.self,
            LabelsCommand.self, OptimizersCommand.self,
        ],
        defaultSubcommand: CompareCommand.self)
}

/// The size of a dense workload.
struct BatchOptions: ParsableArguments {
    @Option(help: "Sequences of a batch.")
    var batch = 4

    @Option(help: "Tokens of a sequence.")
    var length = 256

    @Option(help: "Tokens of a decoder's sequence, where the model has an encoder for the others.")
    var targets = 64

    @Option(help: "The rank of LoRA.")
    var rank = 8

    @Option(help: "Threads; by default one for each processor.")
    var threads = WorkerPool.shared.threadCount

    func apply() { WorkerPool.shared.threadCount = threads }
}
