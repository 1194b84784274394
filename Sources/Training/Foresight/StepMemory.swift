import Diagnostics
import Tensors

/// How much memory the tensors of a pass take, for batches of any size, known from passes of one or two small ones.
///
/// Whatever the batch, the same tensors come and go, and the sizes of those that depend on it grow with its rows. So two
/// small passes say of each tensor how large it is in another one, and what they take together at any time follows, other
/// than from the peaks of the two: a peak may lie elsewhere in a larger batch. Logits, which are made in chunks, don't grow so
/// and are told by their formula.
struct StepMemory {
    /// A pass that was watched.
    struct Observation {
        /// How many times a unit of rows it had.
        let units: Int
        /// The rows with a label.
        let labels: Int
        let trace: AllocationTrace
    }

    /// What tensors take before the pass begins.
    private let before: Int
    private let first: Observation
    private let second: Observation?
    private let vocabulary: Int

    /// - Parameters:
    ///   - second: One of more units; nil where only the first one's size is asked for.
    ///   - vocabulary: The outputs of the head.
    init(before: Int, _ first: Observation, _ second: Observation?, vocabulary: Int) {
        (self.before, self.first, self.second, self.vocabulary) = (before, first, second, vocabulary)
    }

    /// The bytes of all tensors at the worst moment of a pass of so many units, of which `labels` rows have a label.
    func peak(units: Double, labels: Int) -> Int {
        guard let second, units != Double(first.units) else { return before + first.trace.peak }
        let share = (units - Double(first.units)) / Double(second.units - first.units)
        func grown(_ one: Int, _ other: Int) -> Int {
            max(0, Int(clamping: (Double(one) + share * Double(other - one)).rounded()))
        }
        guard first.trace.events == second.trace.events else {
            return before + grown(first.trace.peak, second.trace.peak)
        }
        let chunks = [first.labels, second.labels, labels].map { logitsBytes($0) }
        return before
            + first.trace.peak { index in
                let (one, other) = (first.trace.sizes[index], second.trace.sizes[index])
                return one == chunks[0] && other == chunks[1] ? chunks[2] : grown(one, other)
            }
    }

    private func logitsBytes(_ labels: Int) -> Int {
        4 * vocabulary * logitsChunkRows(labels: labels, vocabulary: vocabulary)
    }
}
