public import Batches
import Layers
public import Models
import Tensors

/// What one optimizer step did.
public struct StepResult: Sendable, Hashable {
    /// Σ −log p over the step's target tokens, in nats.
    public var lossSum = 0.0
    public var targetCount = 0
    /// Rows that went through the model.
    public var tokenCount = 0
    /// Before clipping.
    public var gradientNorm = 0.0
    public var learningRate = 0.0

    public var loss: Double { lossSum / Double(max(1, targetCount)) }
    /// Whether the loss and all gradients are numbers.
    public var isFinite: Bool { lossSum.isFinite && gradientNorm.isFinite }
}

/// Takes optimizer steps: forward and backward over the micro-batches, normalised by all their target tokens
/// together, then clipping and AdamW.
public struct StepRunner {
    public let model: any LanguageModel
    public let optimizer: AdamW
    public let seed: UInt64

    public init(model: any LanguageModel, optimizer: AdamW, seed: UInt64) {
        self.model = model
        self.optimizer = optimizer
        self.seed = seed
    }

    /// One step. Where the result isn't finite the parameters were left as they were.
    ///
    /// - Parameter firstPass: The number of the first micro-batch in the whole run, which names its random choices.
    public func step(_ batches: [TokenBatch], firstPass: Int, learningRate: Double) -> StepResult {
        var result = StepResult()
        result.learningRate = learningRate
        result.targetCount = batches.reduce(0) { $0 + $1.labelCount }
        let scale = 1 / Float(max(1, result.targetCount))
        for (index, batch) in batches.enumerated() {
            let context = ForwardContext.training(seed: seed, pass: UInt64(firstPass + index))
            let loss = model.loss(batch, scale: scale, context)
            result.lossSum += loss.sum
            result.tokenCount += batch.rowCount
            guard result.lossSum.isFinite else { return result }
            loss.tensor.backward()
        }
        result.gradientNorm = optimizer.gradientNorm()
        if result.isFinite { optimizer.step(learningRate: learningRate, gradientNorm: result.gradientNorm) }
        return result
    }
}
