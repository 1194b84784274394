import Batches
public import Datasets
import Glibc
import Layers
public import Models
public import Ranks
import Tensors

/// A model's loss over a data set.
public struct LossSummary: Sendable, Hashable {
    /// Σ −log p over all target tokens, in nats.
    public var sum = 0.0
    /// The number of target tokens.
    public var tokens = 0
    public var examples = 0

    public init() {}

    /// The mean over the target tokens.
    public var loss: Double { sum / Double(tokens) }
    public var perplexity: Double { exp(loss) }
}

/// Computes the loss over every example of a data set, in passes of about `rowsPerPass` tokens and at most
/// `examplesPerPass` examples; what those of a pass begin with in common is computed once.
///
/// - Parameters:
///   - ranks: The ranks that share the passes out, each of which gets the whole result; no bit depends on them.
///   - known: What an evaluation that was interrupted had, to the bit; nothing without.
///   - onSummary: Called now and then with what there is, which may be gone on from.
///   - onProgress: Called now and then with the number of examples done.
/// - Throws: `Problem` with file and line where a record can't be used, and where the loss is no number.
public func evaluateLoss(
    of model: any LanguageModel, on dataset: Dataset, rowsPerPass: Int, examplesPerPass: Int = .max,
    goingOn known: LossSummary = LossSummary(), ranks: Communicator? = nil,
    onSummary: (LossSummary) throws -> Void = { _ in }, onProgress: (Int) throws -> Void
) throws -> LossSummary {
    let summary = try measureLoss(
        of: model, on: dataset, rowsPerPass: rowsPerPass, examplesPerPass: examplesPerPass, sharingPrompts: true,
        goingOn: known, ranks: ranks, sharesBeginnings: true, onSummary: onSummary, onProgress: onProgress)
    if !summary.sum.isFinite { throw nonFiniteResult("the loss", of: model) }
    return summary
}

/// The same, whatever the loss is.
///
/// - Parameters:
///   - sharesBeginnings: Whether what prompts begin with alike, records that are shown before each say, is computed once; the
///     last digits of the loss depend on it.
///   - kept: The states that each pass goes on from, in their order.
func measureLoss(
    of model: any LanguageModel, on dataset: Dataset, rowsPerPass: Int, examplesPerPass: Int, sharingPrompts: Bool,
    goingOn known: LossSummary = LossSummary(), ranks: Communicator?, sharesBeginnings: Bool,
    startingFrom kept: ((TokenBatch) throws -> KeptStates)? = nil,
    labelSmoothing: Double = 0, onSummary: (LossSummary) throws -> Void = { _ in },
    onProgress: (Int) throws -> Void
) throws -> LossSummary {
    var summary = known
    // Of the first examples, so that all ranks have the same.
    var prompts: [[Int32]] = []
    if sharesBeginnings, !model.hasEncoder {
        var count = 0
        while prompts.count < LabelPrompting.textsAtOnce, prompts.count < dataset.count, count < rowsPerPass {
            let prompt = try dataset.example(prompts.count).prompt
            count += prompt.count
            prompts.append(prompt)
        }
    }
    let common = CommonBeginning(of: prompts, model, keepsBits: false)
    func shared(_ example: Example) -> Int {
        common?.count(in: example.prompt, atMost: example.prompt.count - 1) ?? 0
    }
    // Keys and values of all layers stay where the pass goes on from others.
    func rows(_ example: Example) -> Int {
        common == nil ? example.passCount : 4 * (example.passCount - shared(example))
    }
    try forEachPass(
        over: dataset, rowsPerPass: rowsPerPass, examplesPerPass: examplesPerPass, behind: known.examples,
        ranks: ranks, rows: rows
    ) { examples in
        let loss: Loss
        if let common {
            let counts = examples.map(shared)
            let cache = model.makeCache(prompts: [], capacity: 0)
            for (example, count) in zip(examples, counts) {
                let text = Array(example.tokens.prefix(example.rowCount))
                cache.append(
                    count == 0
                        ? model.makeCache(prompts: [text], capacity: text.count)
                        : common.cache(for: text, sharing: count, capacity: text.count))
            }
            loss = model.loss(
                TokenBatch(examples, behind: counts), scale: 1, .inference(cache: cache, labelSmoothing: labelSmoothing)
            )
        } else {
            let batch = model.batch(examples, sharingPrompts: sharingPrompts)
            loss = model.loss(
                batch, scale: 1, .inference(startingFrom: try kept?(batch), labelSmoothing: labelSmoothing))
        }
        return [loss.sum, Double(loss.count)]
    } consume: { _, examples, loss in
        summary.sum += loss[0]
        summary.tokens += Int(loss[1])
        summary.examples += examples.count
    } onProgress: {
        try onSummary(summary)
        try onProgress(summary.examples)
    }
    return summary
}

extension Example {
    /// What comes before all that is learned.
    fileprivate var prompt: [Int32] { Array(tokens.prefix(targets.first?.lowerBound ?? 0)) }
}
