public import Batches
public import Layers
public import Methods
public import Models
public import Ranks
import Tensors

/// What one optimizer step did.
public struct StepResult: Sendable, Hashable {
    /// Σ −log p over the step's target tokens, in nats, and the method's regularization once for each of them.
    public var lossSum = 0.0
    public var targetCount = 0
    /// The tokens that it was about, and those of them that were computed; the others begin records as these do.
    public var tokenCount = 0
    public var computedCount = 0
    /// Before clipping.
    public var gradientNorm = 0.0
    public var learningRate = 0.0

    public var loss: Double { lossSum / Double(max(1, targetCount)) }
    /// Whether the loss and all gradients are numbers.
    public var isFinite: Bool { lossSum.isFinite && gradientNorm.isFinite }
}

/// Takes optimizer steps: forward and backward over the micro-batches, normalised by all their target tokens
/// together, then clipping and the optimizer's update.
public struct StepRunner {
    public let model: any LanguageModel
    public let installation: any Installation
    public let optimizer: any Optimizer
    public let seed: UInt64
    public let isCheckpointing: Bool
    /// The ranks that take each step together; nil for this process alone.
    public let ranks: Communicator?
    private let labelSmoothing: Double
    private let noiseAlpha: Double

    /// - Parameters:
    ///   - isCheckpointing: Computes blocks again on the way back instead of keeping what that needs: less memory, more
    ///     time, the same bits.
    ///   - labelSmoothing: The share of each label that goes to all of them alike.
    ///   - noiseAlpha: How much noise the embeddings of tokens get; 0 for none.
    public init(
        model: any LanguageModel, installation: any Installation, optimizer: any Optimizer, seed: UInt64,
        isCheckpointing: Bool = false, ranks: Communicator? = nil, labelSmoothing: Double = 0, noiseAlpha: Double = 0
    ) {
        self.model = model
        self.installation = installation
        self.optimizer = optimizer
        self.seed = seed
        self.isCheckpointing = isCheckpointing
        self.ranks = ranks
        self.labelSmoothing = labelSmoothing
        self.noiseAlpha = noiseAlpha
    }

    /// One step. Where the result isn't finite the parameters were left as they were.
    ///
    /// - Parameters:
    ///   - batches: This rank's parts of the micro-batches, which may be empty.
    ///   - firstPass: The number of the first micro-batch in the whole run, which names its random choices.
    public func step(_ batches: [TokenBatch], firstPass: Int, learningRate: Double) -> StepResult {
        step(batches, firstPass: firstPass, learningRate: learningRate) { _ in nil }
    }

    /// The same from states that are kept.
    ///
    /// - Parameter kept: The states that a micro-batch goes on from, by its number among these; nil where it begins with
    ///   its tokens.
    public func step(
        _ batches: [TokenBatch], firstPass: Int, learningRate: Double, startingFrom kept: (Int) throws -> KeptStates?
    ) rethrows -> StepResult {
        var result = StepResult()
        result.learningRate = learningRate
        result.targetCount = ranks.sum(batches.reduce(0) { $0 + $1.labelCount })
        let scale = 1 / Float(max(1, result.targetCount))
        for (index, batch) in batches.enumerated() where batch.sequenceCount > 0 {
            let context = ForwardContext.training(
                seed: seed, pass: UInt64((firstPass + index) * ranks.count + ranks.rank),
                isCheckpointing: isCheckpointing, startingFrom: try kept(index), labelSmoothing: labelSmoothing,
                noiseAlpha: noiseAlpha)
            let loss = model.loss(batch, scale: scale, context)
            result.lossSum += loss.sum
            result.tokenCount += batch.tokenCount
            result.computedCount += batch.computedCount
            guard result.lossSum.isFinite else { break }
            loss.tensor.backward()
        }
        if result.lossSum.isFinite, ranks.isFirst, let term = installation.regularization() {
            result.lossSum += Double(term.data[0]) * Double(result.targetCount)
            term.backward()
        }
        ranks.combine(&result, gradientsOf: optimizer.parameters)
        guard result.lossSum.isFinite else { return result }
        result.gradientNorm = optimizer.gradientNorm()
        guard result.isFinite else { return result }
        let clipping = optimizer.step(learningRate: learningRate, gradientNorm: result.gradientNorm)
        installation.afterStep(OptimizerStep(index: optimizer.stepCount - 1, gradientScale: clipping))
        optimizer.clearGradients()
        return result
    }
}
