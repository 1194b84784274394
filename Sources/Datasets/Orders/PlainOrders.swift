/// The order of the files.
package struct FileOrder: ExampleOrder {
    package let count: Int

    package init(count: Int) { self.count = count }

    package func indices(epoch: Int) -> [Int32] { Array(0..<Int32(count)) }
}

/// Another order in each epoch, all of them equally likely.
package struct RandomOrder: ExampleOrder {
    package let count: Int
    private let seed: UInt64

    package init(count: Int, seed: UInt64) { (self.count, self.seed) = (count, seed) }

    package func indices(epoch: Int) -> [Int32] { permutation(of: count, seed: seed, epoch: epoch) }
}
