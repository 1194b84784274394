import Diagnostics

/// Batches of so many examples, as an order has them; the last may be smaller.
package struct EqualBatches: BatchPlan {
    private let order: any ExampleOrder
    private let size: Int

    package init(_ order: any ExampleOrder, size: Int) {
        require(size > 0, "EqualBatches: batches of \(size) examples")
        (self.order, self.size) = (order, size)
    }

    package var typicalSize: Int { size }
    package var grouping: PromptGrouping? { order.grouping }
    package var count: Int { (order.count + size - 1) / size }

    package func batches(epoch: Int) -> EpochBatches {
        EpochBatches(
            indices: order.indices(epoch: epoch),
            bounds: Array(stride(from: 0, to: order.count, by: size)) + [order.count])
    }
}
