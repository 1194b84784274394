/// Examples of about the same length together, as `transformers`' LengthGroupedSampler does it: another order is cut into
/// stretches of min(n / (4 b), 50) · b examples for batches of b, each of which is sorted, longest first; and the longest of
/// all begins the epoch, so that it shows at once whether there is memory enough.
package struct LengthGroupedOrder: ExampleOrder {
    private let order: any ExampleOrder
    private let lengths: [Int32]
    private let batchSize: Int

    /// - Parameters:
    ///   - lengths: Of each example.
    ///   - batchSize: The examples of an optimizer step.
    package init(_ order: any ExampleOrder, lengths: [Int32], batchSize: Int) {
        (self.order, self.lengths, self.batchSize) = (order, lengths, batchSize)
    }

    package var count: Int { order.count }

    package func indices(epoch: Int) -> [Int32] {
        var indices = order.indices(epoch: epoch)
        let size = max(1, min(indices.count / 4 / batchSize, 50)).multipliedReportingOverflow(by: batchSize)
        let stretch = size.overflow ? indices.count : min(size.partialValue, indices.count)
        guard stretch > 0 else { return indices }
        for start in stride(from: 0, to: indices.count, by: stretch) {
            let range = start..<min(start + stretch, indices.count)
            // Equal lengths keep their order, as in Python.
            let sorted = indices[range].enumerated().sorted { first, second in
                let (one, other) = (lengths[Int(first.element)], lengths[Int(second.element)])
                return one == other ? first.offset < second.offset : one > other
            }
            indices.replaceSubrange(range, with: sorted.map(\.element))
        }
        let firsts = stride(from: 0, to: indices.count, by: stretch)
        let longest = firsts.max { lengths[Int(indices[$0])] < lengths[Int(indices[$1])] } ?? 0
        // The first of equals.
        let place = firsts.first { lengths[Int(indices[$0])] == lengths[Int(indices[longest])] } ?? 0
        indices.swapAt(0, place)
        return indices
    }
}
