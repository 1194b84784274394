import Diagnostics
import Methods

/// The memory that training needs whatever the batches are.
package struct TrainingMemory: Sendable, Hashable {
    /// How many numbers train.
    package var trainableCount: Int
    /// The optimizer's state, wherever it lies.
    package var stateBytes: Int
    /// Whether that is in a scratch file.
    package var isPaged: Bool

    package init(trainableCount: Int, stateBytes: Int, isPaged: Bool) {
        (self.trainableCount, self.stateBytes, self.isPaged) = (trainableCount, stateBytes, isPaged)
    }

    init(_ optimizer: any Optimizer) {
        self.init(
            trainableCount: optimizer.parameters.reduce(0) { $0 + $1.count }, stateBytes: optimizer.state.byteCount,
            isPaged: type(of: optimizer).isPaged)
    }

    /// What to say where a machine hasn't got as much; nil where it has.
    package func shortage(available: Double) -> String? {
        let values = Double(trainableCount) * 8
        let state = Double(stateBytes)
        let needed = values + (isPaged ? 0 : state)
        if needed <= available { return nil }
        let summary =
            "\(gigabytes(needed)) are needed for what trains and its gradients"
            + (isPaged ? "" : ", \(gigabytes(state)) of them for the optimizer's state,")
            + " and this machine has \(gigabytes(available))"
        return isPaged
            ? summary : summary + ": adamw_8bit remembers a quarter of AdamW's state, and paged_adamw_8bit on the disk"
    }
}
