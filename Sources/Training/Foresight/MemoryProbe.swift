import Batches
import Datasets
import Layers
import Methods
import Models
import Tensors

/// Finds out what a run takes in memory, by passes of small batches forward and back, without a step: nothing is learned.
struct MemoryProbe {
    private let trainer: Trainer
    /// Rows up to which a batch is itself tried.
    static let fewRows = 1024
    /// Rows of the smaller of two batches that tell of larger ones: enough for products to go as they do in those.
    private static let trialRows = 400

    /// What a pass is for.
    enum Purpose {
        /// - Parameters:
        ///   - isShared: Whether what examples begin with in common is computed once.
        ///   - accumulates: Whether gradients of other micro-batches of the step are there already.
        case training(isShared: Bool, accumulates: Bool)
        case evaluation(isShared: Bool)

        var isShared: Bool {
            switch self {
            case .training(let isShared, _), .evaluation(let isShared): isShared
            }
        }
    }

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

    /// Tries a small batch as it is.
    func tried(_ examples: [Example], _ purpose: Purpose) -> Finding {
        let batch = batch(examples, isShared: purpose.isShared)
        let shape = BatchShape(examples, as: batch)
        let (before, trace) = trace(batch, purpose)
        return finding(
            StepMemory(
                before: before, .init(units: 1, labels: shape.labels, trace: trace), nil, vocabulary: vocabulary),
            unit: shape)
    }

    /// Tries two small batches of what is most like the average of some examples, which tell of batches of any size.
    func scalable(_ examples: [Example], _ purpose: Purpose) -> Finding {
        let unit = typical(of: examples, BatchShape(examples)).shortened(to: Self.fewRows / 2)
        let shape = BatchShape([unit])
        let count = max(1, (Self.trialRows + shape.tokens - 1) / shape.tokens)
        func observation(_ units: Int) -> (Int, StepMemory.Observation) {
            let (before, trace) = trace(batch(Array(repeating: unit, count: units), isShared: false), purpose)
            return (before, .init(units: units, labels: units * shape.labels, trace: trace))
        }
        let (_, first) = observation(count)
        let (before, second) = observation(2 * count)
        return finding(StepMemory(before: before, first, second, vocabulary: vocabulary), unit: shape)
    }

    /// What is computed of these examples in a pass.
    func shape(_ examples: [Example], isShared: Bool) -> BatchShape {
        BatchShape(examples, as: batch(examples, isShared: isShared))
    }

    private var vocabulary: Int { trainer.base.model.head.base.outputSize }

    private func batch(_ examples: [Example], isShared: Bool) -> TokenBatch {
        trainer.base.model.batch(examples, sharingPrompts: isShared)
    }

    private func finding(_ memory: StepMemory, unit: BatchShape) -> Finding {
        let pool = BufferPool.shared
        return Finding(
            processBytes: max(0, ProcessMemory.residentBytes - pool.liveBytes - pool.unusedBytes),
            stateBytes: trainer.residentStateBytes, memory: memory, unit: unit)
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
    private func trace(_ batch: TokenBatch, _ purpose: Purpose) -> (before: Int, AllocationTrace) {
        let model = trainer.base.model
        guard case .training(_, let accumulates) = purpose else {
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
        if accumulates { pass(batch) }
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
