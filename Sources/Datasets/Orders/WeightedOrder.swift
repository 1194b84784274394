/// An order of examples whose files have weights: one of weight 2 comes twice in an epoch, of weight 0.5 every other epoch.
///
/// Of the part of a weight behind the point, an epoch takes so many of the file's examples, rounded, and the next one goes on
/// behind them, in an order that the seed gives, so that all have their turn.
package struct WeightedOrder: ExampleOrder {
    package let count: Int
    private let files: [(examples: Range<Int>, whole: Int, part: Int)]
    private let shuffles: Bool
    private let seed: UInt64

    /// - Parameter files: Examples by their numbers, and the weight of each.
    package init(_ files: [(examples: Range<Int>, weight: Double)], shuffles: Bool, seed: UInt64) {
        self.files = files.map { examples, weight in
            let whole = Int(weight)
            return (examples, whole, Int(((weight - Double(whole)) * Double(examples.count)).rounded()))
        }
        count = self.files.reduce(0) { $0 + $1.whole * $1.examples.count + $1.part }
        (self.shuffles, self.seed) = (shuffles, seed)
    }

    package func indices(epoch: Int) -> [Int32] {
        var indices: [Int32] = []
        for (number, file) in files.enumerated() {
            for _ in 0..<file.whole { indices += file.examples.map { Int32($0) } }
            guard file.part > 0 else { continue }
            let order = permutation(of: file.examples.count, seed: seed &+ UInt64(number) &+ 1, epoch: 0)
            let start = epoch % order.count * (file.part % order.count) % order.count
            let part = (0..<file.part).map { order[(start + $0) % order.count] }
            indices += (shuffles ? part : part.sorted()).map { $0 + Int32(file.examples.lowerBound) }
        }
        if !shuffles { return indices }
        return permutation(of: indices.count, seed: seed, epoch: epoch).map { indices[Int($0)] }
    }
}
