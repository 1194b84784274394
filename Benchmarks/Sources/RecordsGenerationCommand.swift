import ArgumentParser
import Checkpoints
import Datasets
import Diagnostics
import Files
import JSONText
import Tensors
import Tokenizers
import Training

/// Times the generation that `peft eval --rouge` does: the distinct prompts of records, each continued by as many tokens
/// as its first completion has, since a random model never ends a text itself.
struct RecordsGenerationCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Time greedy generation for the prompts of records, as JSON.")

    @Option(help: "A model folder with a tokenizer.")
    var model: String

    @Option(help: "A JSONL file of mr and ref.")
    var data: String

    @Option(help: "Sequences side by side.")
    var batch = Generator.batchSize

    @Option(help: "Only the first prompts.")
    var count: Int?

    @Option(help: "Instead of the completions' lengths: tokens that each prompt gets.")
    var newTokens: Int?

    @Option(help: "Records shown before each prompt, of the data's end.")
    var shots = 0

    @Flag(help: "Compute what prompts begin with alike for each of them.")
    var separately = false

    @Option(help: "Threads; by default one for each processor.")
    var threads = WorkerPool.shared.threadCount

    @Option(help: "A file for the generated ids, a JSON list a prompt.")
    var output: String?

    func run() throws {
        WorkerPool.shared.threadCount = threads
        let base = try BaseModel.load(model, randomSeed: nil, warn: { _ in })
        let codec = try base.codec()
        let groups = try PromptGroup.load(
            paths: [data], prompt: Template("{mr}\n"), completion: Template("{ref}"), limit: nil)
        let chosen = groups.prefix(count ?? groups.count)
        let shown = groups.suffix(shots).map { $0.prompt.source + ($0.references.first ?? "") + FewShot.separator }
        let context = shots == 0 ? [] : codec.opening(shown.joined())
        let prompts = chosen.map { context + codec.given($0.prompt, isContinuation: shots > 0) }
        let limits = chosen.map {
            newTokens ?? codec.ids(of: $0.references.first ?? "", isContinuation: codec.answerOpening == nil).count + 1
        }
        let generator = Generator(
            model: base.model, endIDs: [],
            settings: GenerationSettings(maximumNewTokens: limits.max() ?? 0, sampling: nil), batchSize: batch,
            sharesBeginnings: !separately)
        _ = try generator.generate(
            Array(prompts.prefix(batch)), firstIndex: 0, limits: prompts.prefix(batch).map { _ in 2 })
        let start = ContinuousClock.now
        let texts = try generator.generate(prompts, firstIndex: 0, limits: limits)
        let seconds = start.duration(to: .now) / .seconds(1)
        if let output { try writeTokens(texts, to: output) }
        let newCount = texts.reduce(0) { $0 + $1.tokens.count }
        emit([
            "side": "peft", "measurement": "generation", "threads": .integer(threads), "batch": .integer(batch),
            "shots": .integer(shots), "shares": .boolean(!separately),
            "kernel": .string(Processor.matrixKernel),
            "records": .integer(groups.reduce(0) { $0 + $1.references.count }),
            "distinct_prompts": .integer(groups.count), "prompts": .integer(prompts.count),
            "prompt_tokens": .integer(prompts.reduce(0) { $0 + $1.count }), "new_tokens": .integer(newCount),
            "seconds": .number(seconds), "tokens_per_second": .number(Double(newCount) / seconds),
        ])
    }
}

/// A line for each prompt: the list of the ids that it got.
func writeTokens(_ texts: [Generation], to path: String) throws {
    let lines = texts.map { JSONValue.array($0.tokens.map { .integer(Int($0)) }).text(.compact) + "\n" }
    try AtomicFile.write(lines.joined(), to: path)
}
