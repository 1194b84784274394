import ArgumentParser
import Datasets
import Diagnostics
import Files
import JSONText
import Metrics
import Tensors
import Training

/// Times an evaluation with all measures of texts and a file of predictions beside the generation of the same texts alone, whole
/// processes both.
struct EvaluationCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate", abstract: "Time peft eval with all measures beside peft generate, as JSON.")

    @Option(help: "The tool.")
    var peft: String

    @Option(help: "A model folder with a tokenizer.")
    var model: String

    @Option(help: "A JSONL file of mr and ref.")
    var data: String

    @Option(help: "Only the first records.")
    var limit: Int?

    @Option(help: "Tokens that each prompt gets.")
    var newTokens = 32

    @Option(help: "How often both are timed.")
    var rounds = 2

    @Option(help: "Threads.")
    var threads = WorkerPool.shared.threadCount

    func run() throws {
        let groups = try PromptGroup.load(
            paths: [data], prompt: Template("{mr}"), completion: Template("{ref}"), limit: limit)
        let scratch = model + "-evaluation"
        try FileSystem.createFolder(scratch)
        let prompts = FileSystem.join(scratch, "prompts.jsonl")
        let lines = groups.map { JSONValue.object([.init("mr", .string($0.prompt.source))]).text(.compact) + "\n" }
        try AtomicFile.write(lines.joined(), to: prompts)
        let common = [
            "--base", model, "--prompt", "{mr}\\n", "--max-new-tokens", "\(newTokens)", "--threads", "\(threads)",
        ]
        let evaluation =
            [
                peft, "eval", "--data", data, "--completion", "{ref}", "--no-loss", "--metrics",
                textMetrics.map { $0.name }.joined(separator: ","), "--overwrite", "--json", "--save-predictions",
                FileSystem.join(scratch, "predictions.jsonl"),
            ] + common + (limit.map { ["--limit", "\($0)"] } ?? [])
        let generation = [peft, "generate", "--data", prompts, "--json"] + common
        var seconds: (evaluation: [Double], generation: [Double]) = ([], [])
        for _ in 0..<rounds {
            seconds.generation.append(try runChild(generation, stream: 1, isSilent: true).seconds)
            seconds.evaluation.append(try runChild(evaluation, stream: 1, isSilent: true).seconds)
        }
        // One more of those that came first, so that a machine that slows down does so for both.
        seconds.generation.append(try runChild(generation, stream: 1, isSilent: true).seconds)
        emit([
            "side": "peft", "measurement": "evaluation", "kernel": .string(Processor.matrixKernel),
            "threads": .integer(threads), "prompts": .integer(groups.count), "new_tokens": .integer(newTokens),
            "evaluation_seconds": .number(median(seconds.evaluation)),
            "generation_seconds": .number(median(seconds.generation)),
            "ratio": .number(median(seconds.evaluation) / median(seconds.generation)),
        ])
    }
}
