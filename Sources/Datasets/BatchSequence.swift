public import Batches
import Diagnostics
import Synchronization

/// The micro-batches of a data set, epoch after epoch; any of them can be asked for at any time.
///
/// Which examples are in them depends on their plan and the epoch alone.
public final class BatchSequence: Sendable {
    public let dataset: Dataset
    private let plan: any BatchPlan
    /// Those of the epoch asked for last.
    private let latest: Mutex<(epoch: Int, batches: EpochBatches)?>

    package init(dataset: Dataset, _ plan: any BatchPlan) {
        self.dataset = dataset
        self.plan = plan
        count = plan.count
        batchSize = plan.typicalSize
        grouping = plan.grouping
        latest = Mutex(nil)
    }

    /// The number of batches of an epoch.
    public let count: Int
    /// The examples of a batch, on average where they have not all as many.
    public let batchSize: Int
    /// How examples stand together by their prompts; nil where they don't.
    public let grouping: PromptGrouping?

    /// The examples of batch `index` of `epoch`, both counted from 0, as indices into the data set.
    public func indices(epoch: Int, index: Int) -> [Int] {
        require(index >= 0 && index < count, "BatchSequence: batch \(index) of \(count)")
        return batches(of: epoch)[index].map { Int($0) }
    }

    /// The examples themselves. Throws a `Problem` with file and line where a record can't be used any more.
    public func examples(epoch: Int, index: Int) throws -> [Example] {
        try indices(epoch: epoch, index: index).map { try dataset.example($0) }
    }

    package func batches(of epoch: Int) -> EpochBatches {
        latest.withLock { latest in
            if let latest, latest.epoch == epoch { return latest.batches }
            let batches = plan.batches(epoch: epoch)
            latest = (epoch, batches)
            return batches
        }
    }
}
