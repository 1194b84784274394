import Batches
import Datasets
import Diagnostics
import Models
import Ranks
import Tensors

/// The most memory that a run takes, whatever the size of its batches: the one reckoning behind a dry run and behind a size
/// that is to be found.
final class MemoryForecast {
    private let trainer: Trainer
    private let probe: MemoryProbe
    /// The most that the process had before anything was tried: loading may take more than training.
    private let before = ProcessMemory.peakBytes
    /// Of batches too large to be tried, by whether gradients of others are there already.
    private var findings: [Bool: MemoryProbe.Finding] = [:]
    private var evaluationBytes: Int?
    /// Examples among which that is looked for which is most like the average.
    private static let sampleCount = 256

    init(_ trainer: Trainer) {
        self.trainer = trainer
        probe = MemoryProbe(trainer)
    }

    /// Gradients and state alone may be more than there is: then nothing can be tried.
    var least: Int { trainer.trainableBytes + trainer.residentStateBytes + ProcessMemory.residentBytes }

    /// The most bytes that the process holds in a run of these batches, which may be others than the trainer's.
    func peak(_ shapes: RunShapes, of batches: BatchSequence) throws -> Int {
        let plan = trainer.hiddenStatePlan(batchCount: batches.count)
        let isShared = try trainer.sharing(batchSize: batches.batchSize, plan).isShared
        let (examples, shape) = try largest(shapes, of: batches, isShared: isShared)
        let accumulates = min(trainer.settings.accumulation, batches.count) > 1
        let finding =
            try shape.tokens <= MemoryProbe.fewRows
            ? probe.tried(examples, .training(isShared: isShared, accumulates: accumulates))
            : scalable(accumulates: accumulates)
        return max(before, max(finding.peak(shape), try evaluation()) + (plan?.ordinaryBytes ?? 0))
    }

    private func scalable(accumulates: Bool) throws -> MemoryProbe.Finding {
        if let known = findings[accumulates] { return known }
        let dataset = trainer.batches.dataset
        let step = max(1, dataset.count / Self.sampleCount)
        let sample = try stride(from: 0, to: dataset.count, by: step).map { try dataset.example($0) }
        let found = probe.scalable(sample, .training(isShared: false, accumulates: accumulates))
        findings[accumulates] = found
        return found
    }

    private func evaluation() throws -> Int {
        if let evaluationBytes { return evaluationBytes }
        guard let validation = trainer.validation else { return 0 }
        let pass = try validation.largestPass(of: trainer.settings.evaluationBatchSize)
        let isShared = trainer.settings.sharesInEvaluation
        let shape = probe.shape(pass, isShared: isShared)
        let finding =
            shape.tokens <= MemoryProbe.fewRows
            ? probe.tried(pass, .evaluation(isShared: isShared))
            : probe.scalable(pass, .evaluation(isShared: false))
        let bytes = finding.peak(shape)
        evaluationBytes = bytes
        return bytes
    }

    /// What a process computes at one time of the batch of which that is most, among those with the most tokens.
    private func largest(
        _ shapes: RunShapes, of batches: BatchSequence, isShared: Bool
    ) throws -> (examples: [Example], shape: BatchShape) {
        var found = (examples: [Example](), shape: BatchShape())
        for place in shapes.largest {
            let examples = try batches.examples(epoch: place.epoch, index: place.index)
            let lengths = examples.map(\.passCount)
            for rank in 0..<trainer.ranks.count {
                let share = Array(examples[rankShare(of: lengths, rank: rank, count: trainer.ranks.count)])
                if share.isEmpty { continue }
                let shape = probe.shape(share, isShared: isShared)
                if shape.tokens > found.shape.tokens { found = (share, shape) }
            }
        }
        return found
    }
}
