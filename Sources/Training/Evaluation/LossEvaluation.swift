import Batches
public import Datasets
import Layers
import Glibc
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
/// `examplesPerPass` examples.
///
/// - Parameters:
///   - ranks: The ranks that share the passes out, each of which gets the whole result; no bit depends on them.
///   - onProgress: Called now and then with the number of examples done.
/// - Throws: `Problem` with file and line where a record can't be used, and where the loss is no number.
public func evaluateLoss(
    of model: any LanguageModel, on dataset: Dataset, rowsPerPass: Int, examplesPerPass: Int = .max,
    ranks: Communicator? = nil, onProgress: (Int) throws -> Void
) throws -> LossSummary {
    let summary = try measureLoss(
        of: model, on: dataset, rowsPerPass: rowsPerPass, examplesPerPass: examplesPerPass, ranks: ranks,
        onProgress: onProgress)
    if !summary.sum.isFinite { throw nonFiniteResult("the loss", of: model) }
    return summary
}

/// The same, whatever the loss is.
///
/// - Parameter kept: The states that each pass goes on from, in their order.
func measureLoss(
    of model: any LanguageModel, on dataset: Dataset, rowsPerPass: Int, examplesPerPass: Int, ranks: Communicator?,
    startingFrom kept: ((TokenBatch) throws -> KeptStates)? = nil, onProgress: (Int) throws -> Void
) throws -> LossSummary {
    var summary = LossSummary()
    try forEachPass(over: dataset, rowsPerPass: rowsPerPass, examplesPerPass: examplesPerPass, ranks: ranks) {
        examples in
        let batch = model.batch(examples)
        let loss = model.loss(batch, scale: 1, .inference(startingFrom: try kept?(batch)))
        return [loss.sum, Double(loss.count)]
    } consume: { examples, loss in
        summary.sum += loss[0]
        summary.tokens += Int(loss[1])
        summary.examples += examples.count
    } onProgress: {
        try onProgress(summary.examples)
    }
    return summary
}
