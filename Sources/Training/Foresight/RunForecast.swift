import Batches
import Datasets
import Diagnostics
import Layers
import Methods
import Ranks
import Tensors

/// What a run will take, as far as that can be told before it begins.
public struct RunForecast: Sendable, Hashable {
    /// The most memory that the process will hold at one time, as `peak_memory_bytes` of metrics.jsonl tells it then.
    public let peakMemoryBytes: Int
    /// What there is for the process; nil where the system doesn't tell.
    public let availableBytes: Int?
    /// From the first step to the end, with evaluations and checkpoints; nil where no step could be tried.
    public let seconds: Double?
    /// Those that go through the model in all steps.
    public let tokens: Int
    /// Records of the training data, and those of them that are left out or cut.
    public let records: Int
    public let dropped: Int
    public let truncated: Int

    public var isTooLarge: Bool { availableBytes.map { peakMemoryBytes > $0 } ?? false }
}

extension Trainer {
    /// Tries what the run takes, without writing anything: passes of small batches tell the memory, and a few of the run's
    /// own steps, where there is memory enough for them, the time. What trains is no more what it was afterwards but for
    /// numbers that didn't change; the trainer can't run then.
    public func forecast() throws -> RunForecast {
        let counts = batches.dataset.counts
        try decideSharing()
        let shapes = try RunShapes(batches, steps: stepCount, accumulation: settings.accumulation)
        let available = [ProcessMemory.bytes, settings.memoryLimit].compactMap { $0 }.min()
        let memory = MemoryForecast(self)
        let isHopeless = available.map { memory.least > $0 } ?? false
        let peak = try isHopeless ? memory.least : memory.peak(shapes, of: batches)
        let fits = available.map { peak <= $0 } ?? true
        // Several processes would have to try the same steps.
        let seconds = try fits && ranks.count == 1 ? StepTiming(self, shapes).seconds() : nil
        return RunForecast(
            peakMemoryBytes: peak, availableBytes: available, seconds: seconds, tokens: shapes.tokens,
            records: counts.records, dropped: counts.dropped, truncated: counts.truncated)
    }

    /// What the gradients of all that trains take.
    var trainableBytes: Int { installation.trainable.reduce(0) { $0 + 4 * $1.count } }
}

extension Dataset {
    /// The examples of the pass with the most tokens, of passes of so many examples each.
    func largestPass(of size: Int) throws -> [Example] {
        let lengths = try lengths()
        var (largest, most) = (0, -1)
        for start in stride(from: 0, to: count, by: size) {
            let tokens = lengths[start..<min(count, start.addingClamping(size))].reduce(0) { $0 + Int($1) }
            if tokens > most { (largest, most) = (start, tokens) }
        }
        return try (largest..<min(count, largest.addingClamping(size))).map { try example($0) }
    }
}

/// The batches of a run by their tokens.
struct RunShapes {
    /// Of all steps.
    private(set) var tokens = 0
    /// The batches with the most tokens, some of them; of which most is computed depends on what their records share.
    private(set) var largest: [(epoch: Int, index: Int, tokens: Int)] = []
    private static let mostLargest = 16

    /// More places than this aren't gone through one by one; later epochs are taken to be like the first ones.
    private static let mostPlaces = 20_000_000

    init(_ batches: BatchSequence, steps: Int, accumulation: Int) throws {
        let lengths = try batches.dataset.lengths()
        let perEpoch = (batches.count + accumulation - 1) / accumulation
        var (step, epoch, seen, places) = (0, 0, 0, 0)
        while step < steps, places < Self.mostPlaces {
            let all = batches.batches(of: epoch)
            let stepsHere = min(perEpoch, steps - step)
            for index in 0..<min(batches.count, stepsHere.multipliedClamping(by: accumulation)) {
                let sum = all[index].reduce(0) { $0 + Int(lengths[Int($1)]) }
                seen += sum
                note((epoch, index, sum))
            }
            places += max(1, all.indices.count)
            step += stepsHere
            epoch += 1
        }
        tokens = step < steps ? Int(clamping: Double(seen) / Double(step) * Double(steps)) : seen
    }

    private mutating func note(_ place: (epoch: Int, index: Int, tokens: Int)) {
        if largest.count == Self.mostLargest {
            if place.tokens <= largest[largest.count - 1].tokens { return }
            largest.removeLast()
        }
        largest.insert(place, at: largest.firstIndex { $0.tokens < place.tokens } ?? largest.count)
    }
}
