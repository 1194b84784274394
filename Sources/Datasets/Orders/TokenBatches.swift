import Diagnostics

/// Batches of as many examples, one behind the other in an order, as have at most so many tokens together.
///
/// What is in them is settled once, so that every epoch has as many; epochs after the first have them in another order
/// where that is wanted.
package struct TokenBatches: BatchPlan {
    private let first: EpochBatches
    private let shuffles: Bool
    private let seed: UInt64

    /// - Parameters:
    ///   - lengths: Of each example, none of them more than `limit`.
    ///   - shuffles: Whether later epochs have the batches in another order.
    package init(_ order: any ExampleOrder, lengths: [Int32], limit: Int, shuffles: Bool, seed: UInt64) {
        let indices = order.indices(epoch: 0)
        var bounds = [0]
        var tokens = 0
        for (place, index) in indices.enumerated() {
            let length = Int(lengths[Int(index)])
            require(length <= limit, "TokenBatches: \(length) tokens in batches of \(limit)")
            if tokens + length > limit {
                bounds.append(place)
                tokens = 0
            }
            tokens += length
        }
        first = EpochBatches(indices: indices, bounds: bounds + [indices.count])
        (self.shuffles, self.seed) = (shuffles, seed)
    }

    package var count: Int { first.bounds.count - 1 }
    package var typicalSize: Int { max(1, (first.indices.count + count - 1) / max(1, count)) }

    package func batches(epoch: Int) -> EpochBatches {
        if epoch == 0 || !shuffles { return first }
        var indices: [Int32] = []
        var bounds = [0]
        for batch in permutation(of: count, seed: seed, epoch: epoch) {
            indices += first[Int(batch)]
            bounds.append(indices.count)
        }
        return EpochBatches(indices: indices, bounds: bounds)
    }
}
