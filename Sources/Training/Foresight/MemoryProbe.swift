import Batches
import Datasets
import Layers
import Methods
import Models
import Tensors

/// Finds out what a run takes in memory, by passes of small batches forward and back, without a step: nothing is learned.
struct MemoryProbe {
    private let trainer: Trainer
    /// Rows of a batch that is itself tried.
    private static let fewRows = 1024
    /// Rows of the smaller of two batches that tell of larger ones: enough for products to go as they do in those.
    private static let trialRows = 400

    /// What was found.
    struct Finding {
        /// The process without its tensors.
        let processBytes: Int
        let stateBytes: Int
        let memory: StepMemory
        /// The shape of one unit of `memory`.
        let unit: BatchShape

        /// The most memory that the process holds in a pass of this shape.
        func peak(_ shape: BatchShape) -> Int {
            let units = Double(shape.tokens) / Double(max(1, unit.tokens))
            return processBytes + stateBytes + memory.peak(units: units, labels: shape.labels)
        }
    }

    init(_ trainer: Trainer) { self.trainer = trainer }

    /// - Parameters:
    ///   - examples: Of the largest batch.
    ///   - isScalable: Whether larger batches will be asked for; otherwise a small one is tried as it is.
    ///   - trains: Whether the pass goes back too.
    func find(_ examples: [Example], isScalable: Bool, trains: Bool) -> Finding {
        let whole = shape(examples, trains: trains)
        if whole.tokens <= Self.fewRows, !isScalable {
            let (before, trace) = self.trace(batch(examples, trains), trains)
            return finding(
                StepMemory(
                    before: before, .init(units: 1, labels: whole.labels, trace: trace), nil,
                    vocabulary: trainer.base.model.head.base.outputSize), unit: whole)
        }
        let unit = typical(of: examples, BatchShape(examples)).shortened(to: Self.fewRows / 2)
        let shape = BatchShape([unit])
        let count = max(1, (Self.trialRows + shape.tokens - 1) / shape.tokens)
        func observation(_ units: Int) -> (Int, StepMemory.Observation) {
            let (before, trace) = self.trace(
                trainer.base.model.batch(Array(repeating: unit, count: units)), trains)
            return (before, .init(units: units, labels: units * shape.labels, trace: trace))
        }
        let (_, first) = observation(count)
        let (before, second) = observation(2 * count)
        return finding(
            StepMemory(
                before: before, first, second, vocabulary: trainer.base.model.head.base.outputSize), unit: shape)
    }

    /// What the run computes of these examples in a pass.
    func shape(_ examples: [Example], trains: Bool) -> BatchShape {
        BatchShape(examples, as: batch(examples, trains))
    }

    /// The batch of which most is computed, among those with the most tokens.
    func largest(_ shapes: RunShapes, of batches: BatchSequence) throws -> [Example] {
        var (found, most) = ([Example](), -1)
        for place in shapes.largest {
            let examples = try batches.examples(epoch: place.epoch, index: place.index)
            let tokens = shape(examples, trains: true).tokens
            if tokens > most { (found, most) = (examples, tokens) }
        }
        return found
    }

    private func batch(_ examples: [Example], _ trains: Bool) -> TokenBatch {
        trainer.base.model.batch(
            examples, sharingPrompts: trains ? trainer.sharing.isShared : trainer.settings.sharesInEvaluation)
    }

    private func finding(_ memory: StepMemory, unit: BatchShape) -> Finding {
        let pool = BufferPool.shared
        return Finding(
            processBytes: max(0, ProcessMemory.residentBytes - pool.liveBytes - pool.unusedBytes),
            stateBytes: trainer.optimizer.state.byteCount,
            memory: memory, unit: unit)
    }

    /// The example that is most like the batch's average.
    private func typical(of examples: [Example], _ whole: BatchShape) -> Example {
        func distance(_ example: Example) -> Int {
            let shape = BatchShape([example])
            return abs(shape.tokens * whole.examples - whole.tokens) + abs(shape.labels * whole.examples - whole.labels)
                + abs(shape.sources * whole.examples - whole.sources)
        }
        return examples.min { distance($0) < distance($1) } ?? examples[0]
    }

    /// What one pass takes beyond what tensors have before it.
    private func trace(_ batch: TokenBatch, _ trains: Bool) -> (before: Int, AllocationTrace) {
        let model = trainer.base.model
        guard trains else {
            let before = BufferPool.shared.liveBytes
            return (
                before,
                BufferPool.shared.tracing {
                    withoutGradients { _ = model.loss(batch, scale: 1, .inference()) }
                }
            )
        }
        func pass(_ batch: TokenBatch) {
            let context = ForwardContext.training(
                seed: trainer.settings.seed, pass: 0, isCheckpointing: trainer.settings.isCheckpointing,
                labelSmoothing: trainer.settings.labelSmoothing, noiseAlpha: trainer.settings.noiseAlpha)
            model.loss(batch, scale: 1, context).tensor.backward()
        }
        defer { trainer.optimizer.clearGradients() }
        // From the second micro-batch of a step on the gradients of the first are there.
        if min(trainer.settings.accumulation, trainer.batches.count) > 1 { pass(batch) }
        let before = BufferPool.shared.liveBytes
        return (
            before,
            BufferPool.shared.tracing {
                pass(batch)
                trainer.installation.regularization()?.backward()
            }
        )
    }
}
