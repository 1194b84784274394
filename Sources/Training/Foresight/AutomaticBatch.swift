import Batches
import Configuration
import Datasets
import Diagnostics
public import Ranks
import Tensors

/// The largest batch that memory allows, by the same reckoning as a dry run's, and without trying any that is too large.
struct AutomaticBatch {
    let size: Int
    /// What is said of it.
    let note: String

    /// Of what is free, so much is taken where no limit is given: other processes grow too.
    private static let share = 0.9
    /// More than this makes no step any faster.
    private static let most = 65_536

    /// - Parameter trial: A run with any batch.
    /// - Throws: `Problems` where not even one example fits.
    init(_ trial: Trainer) throws {
        let settings = trial.settings
        let free = ProcessMemory.bytes.map { Int(Double($0) * Self.share) }
        let budget = settings.memoryLimit ?? free ?? .max
        let source = settings.memoryLimit == nil ? "that are free" : "that training.memory_limit allows"
        let dataset = trial.batches.dataset
        let memory = MemoryForecast(trial)
        func tooMuch(_ bytes: Int) -> Problems {
            Problems([
                trial.configuration.trainingSection.problem(
                    "even batches of one example take about \(megabytes(bytes)), more than the \(megabytes(budget)) "
                        + "\(source): gradient_checkpointing: true, a smaller data.max_length, optim: adamw_8bit or a "
                        + "method that trains less need less", at: "per_device_train_batch_size")
            ])
        }
        if memory.least > budget { throw tooMuch(memory.least) }
        func peak(_ size: Int) throws -> Int {
            var configuration = trial.configuration
            configuration.setBatchSize(size)
            let batches = BatchSequence(dataset: dataset, try configuration.batchPlan(for: dataset, rankCount: 1))
            let shapes = try RunShapes(
                batches, steps: settings.stepCount(batches: batches.count), accumulation: settings.accumulation)
            return try memory.peak(shapes, of: batches)
        }
        var low = 1
        var known = try peak(low)
        if known > budget { throw tooMuch(known) }
        var high = min(dataset.count, Self.most) + 1
        while high - low > 1 {
            let middle = (low + high) / 2
            let bytes = try peak(middle)
            if bytes <= budget { (low, known) = (middle, bytes) } else { high = middle }
        }
        size = low
        note =
            "per_device_train_batch_size auto: \(low), which takes about \(megabytes(known)) of the "
            + (budget == .max ? "memory" : "\(megabytes(budget)) \(source)")
    }
}

/// Bytes for people.
func megabytes(_ bytes: Int) -> String {
    bytes < 9_950_000_000
        ? "\((Double(bytes) / 1e6).rounded().clampedText) MB" : "\((Double(bytes) / 1e9).rounded().clampedText) GB"
}

extension Double {
    fileprivate var clampedText: String { Int(clamping: self).grouped }
}

extension Trainer {
    /// A trainer for a configuration that may leave the size of batches open: then it is found first, or is the one that the
    /// run had which is resumed.
    public static func prepared(
        _ configuration: RunConfiguration, _ existing: Existing, accepting accepted: InputChanges,
        ranks: Communicator?, observer: any TrainingObserver
    ) throws -> Trainer {
        guard configuration.training.isBatchAutomatic else {
            return try Trainer(configuration, accepting: accepted, ranks: ranks, observer: observer)
        }
        if ranks.count > 1 {
            throw Problems([
                configuration.trainingSection.problem(
                    "auto is for one process: give a number where several train together",
                    at: "per_device_train_batch_size")
            ])
        }
        let (size, note) = try batchSize(configuration, existing, accepting: accepted)
        let trainer = try Trainer(
            configuration.with(batchSize: size), accepting: accepted, ranks: ranks, observer: observer)
        trainer.notes.append(note)
        return trainer
    }

    private static func batchSize(
        _ configuration: RunConfiguration, _ existing: Existing, accepting accepted: InputChanges
    ) throws -> (Int, note: String) {
        if existing == .resume, let size = RunFolder.batchSize(in: configuration.training.outputFolder) {
            return (size, "per_device_train_batch_size auto: \(size), as the run began")
        }
        // What the trial leaves lies scattered, and the run's tensors would find little of it that fits.
        defer { BufferPool.shared.releaseUnused() }
        let found = try AutomaticBatch(
            Trainer(configuration, accepting: accepted, ranks: nil, observer: SilentObserver()))
        return (found.size, found.note)
    }
}
