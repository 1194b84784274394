public import Batches
import Diagnostics
import Synchronization

/// The micro-batches of a data set, epoch after epoch; any of them can be asked for at any time.
///
/// The order depends on the seed and the epoch alone.
public final class BatchSequence: Sendable {
    public let dataset: Dataset
    public let batchSize: Int
    private let shuffles: Bool
    private let seed: UInt64
    /// The order of the epoch asked for last.
    private let order: Mutex<(epoch: Int, indices: [Int32])?>

    public init(dataset: Dataset, batchSize: Int, shuffles: Bool, seed: UInt64) {
        require(batchSize > 0, "BatchSequence: batches of \(batchSize) examples")
        self.dataset = dataset
        self.batchSize = batchSize
        self.shuffles = shuffles
        self.seed = seed
        order = Mutex(nil)
    }

    /// The number of batches of an epoch; the last may be smaller.
    public var count: Int { (dataset.count + batchSize - 1) / batchSize }

    /// The examples of batch `index` of `epoch`, both counted from 0, as indices into the data set.
    public func indices(epoch: Int, index: Int) -> [Int] {
        require(index >= 0 && index < count, "BatchSequence: batch \(index) of \(count)")
        return order(of: epoch)[index * batchSize..<min((index + 1) * batchSize, dataset.count)].map { Int($0) }
    }

    /// The examples themselves. Throws a `Problem` with file and line where a record can't be used any more.
    public func examples(epoch: Int, index: Int) throws -> [Example] {
        try indices(epoch: epoch, index: index).map { try dataset.example($0) }
    }

    private func order(of epoch: Int) -> [Int32] {
        order.withLock { order in
            if let order, order.epoch == epoch { return order.indices }
            let indices =
                shuffles
                ? permutation(of: dataset.count, seed: seed, epoch: epoch)
                : Array(0..<Int32(dataset.count))
            order = (epoch, indices)
            return indices
        }
    }
}
