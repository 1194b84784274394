/// Which examples come together in the batches of each epoch; the same for the same settings wherever and whenever.
package protocol BatchPlan: Sendable {
    /// The number of batches, the same in every epoch.
    var count: Int { get }
    /// The examples of a batch, on average where they have not all as many.
    var typicalSize: Int { get }
    /// How examples stand together by their prompts; nil where they don't.
    var grouping: PromptGrouping? { get }

    func batches(epoch: Int) -> EpochBatches
}

/// The batches of an epoch, one behind the other.
package struct EpochBatches: Sendable, Hashable {
    /// Examples by their numbers in the data set.
    package let indices: [Int32]
    /// Where in `indices` each batch begins, and the end of the last one.
    package let bounds: [Int]

    package init(indices: [Int32], bounds: [Int]) {
        (self.indices, self.bounds) = (indices, bounds)
    }

    package subscript(index: Int) -> ArraySlice<Int32> { indices[bounds[index]..<bounds[index + 1]] }
}

/// In which order the examples of a data set come in each epoch.
package protocol ExampleOrder: Sendable {
    /// The number of places, the same in every epoch; an example may stand in several.
    var count: Int { get }
    /// How examples stand together by their prompts; nil where they don't.
    var grouping: PromptGrouping? { get }

    func indices(epoch: Int) -> [Int32]
}

extension BatchPlan {
    package var grouping: PromptGrouping? { nil }
}

extension ExampleOrder {
    package var grouping: PromptGrouping? { nil }
}
