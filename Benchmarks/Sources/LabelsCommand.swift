import ArgumentParser
import Batches
import Datasets
import JSONText
import Layers
import Models
import Tensors
import Tokenizers
import Training

/// Times how a language model is asked for labels behind shown records, beside a pass for each text and label.
struct LabelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "labels", abstract: "Time labels that a language model is asked for behind records, as JSON.")

    @Option(help: "A model folder with a tokenizer.")
    var model: String

    @Option(help: "A JSONL file of mr and ref; the food of mr is the label of ref.")
    var data: String

    @Option(help: "Records shown before each text, of the data's end.")
    var shots = 5

    @Option(help: "Only the first texts.")
    var count = 32

    @Option(help: "How many of them are asked in passes of their own too.")
    var separate = 4

    @Option(help: "Threads; by default one for each processor.")
    var threads = WorkerPool.shared.threadCount

    private static let labels = ["Chinese", "English", "Fast food", "French", "Indian", "Italian", "Japanese"]

    func run() throws {
        WorkerPool.shared.threadCount = threads
        let base = try BaseModel.load(model, randomSeed: nil, warn: { _ in })
        let codec = try base.codec()
        let groups = try PromptGroup.load(
            paths: [data], prompt: Template("{ref}\n"), completion: Template("{mr}"), limit: nil)
        let shown = groups.suffix(shots).enumerated().map {
            $1.prompt.source + Self.labels[$0 % Self.labels.count] + FewShot.separator
        }
        let isContinuation = codec.answerOpening == nil
        let context = shots == 0 ? [] : codec.opening(shown.joined())
        let texts = groups.prefix(count).map {
            context + codec.given($0.prompt, isContinuation: shots > 0) + (isContinuation ? [] : codec.suffix)
        }
        let endings = Self.labels.map { codec.ids(of: $0, isContinuation: isContinuation) }
        let (apart, together) = (Array(texts.prefix(separate)), texts)
        func separately() -> [[Double]] {
            apart.map { text in
                endings.map { ending in
                    let batch = base.model.batch([codec.example(given: text, wanted: ending)])
                    return base.model.loss(batch, scale: 1, .inference()).sum
                }
            }
        }
        func shared() -> [[Double]] {
            let asked = LabelPrompting(
                base.model, opening: codec.answerOpening,
                texts: Array(together.prefix(LabelPrompting.textsAtOnce)))
            var losses: [[Double]] = []
            while losses.count < together.count {
                let end = asked.passEnd(together, from: losses.count)
                losses += asked.losses(behind: together[losses.count..<end], endings: endings)
            }
            return losses
        }
        _ = base.model.loss(
            base.model.batch([codec.example(given: texts[0], wanted: endings[0])]), scale: 1, .inference())
        let start = ContinuousClock.now
        let ours = shared()
        let middle = ContinuousClock.now
        let others = separately()
        let end = ContinuousClock.now
        let rates = [
            Double(together.count) / (start.duration(to: middle) / .seconds(1)),
            Double(apart.count) / (middle.duration(to: end) / .seconds(1)),
        ]
        let differences = zip(ours, others).flatMap { zip($0, $1).map { abs($0 - $1) / $1 } }
        emit([
            "side": "peft", "measurement": "labels", "threads": .integer(threads), "shots": .integer(shots),
            "kernel": .string(Processor.matrixKernel), "labels": .integer(endings.count),
            "shown_tokens": .integer(context.count), "tokens": .integer(texts.reduce(0) { $0 + $1.count }),
            "texts_per_second": .number(rates[0]), "separate_texts_per_second": .number(rates[1]),
            "ratio": .number(rates[0] / rates[1]), "largest_relative_difference": .number(differences.max() ?? 0),
        ])
    }
}
