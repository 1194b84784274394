import Glibc
import Layers
import Tensors

/// T5's bias of scores by the distance from a query to a key, for each head (Raffel et al. 2020, section 2.1): a table of
/// buckets, of which half are for single distances and the others for ranges that grow geometrically up to `maximum`.
final class RelativePositions {
    /// [buckets, heads]
    let table: Embedding
    private let isBidirectional: Bool
    private let maximum: Int

    /// - Parameters:
    ///   - isBidirectional: Whether queries see what comes after them, for which half of the buckets are.
    ///   - maximum: The distance from which on all are in the last bucket.
    init(table: Embedding, isBidirectional: Bool, maximum: Int) {
        self.table = table
        self.isBidirectional = isBidirectional
        self.maximum = maximum
    }

    /// The bias for sequences of at most `count` keys.
    func bias(keys count: Int) -> AttentionBias {
        let farthest = max(1, count) - 1
        let rows = table((-farthest...farthest).map { Int32(bucket(of: $0)) })
        return AttentionBias(table: tableColumns(rows, (0..<table.width).map { Int32($0) }), origin: farthest)
    }

    /// The bucket of a key that stands `distance` behind the query, or before it where that is negative.
    func bucket(of distance: Int) -> Int {
        var count = table.entryCount
        var (first, length) = (0, max(0, -distance))
        if isBidirectional {
            count /= 2
            if distance > 0 { first = count }
            length = abs(distance)
        }
        let exact = count / 2
        if length < exact { return first + length }
        // In single precision step by step, as torch has it: some distances lie on a bucket's border.
        let scale = Float(log(Double(maximum) / Double(exact)))
        let share = logf(Float(length) / Float(exact)) / scale * Float(count - exact)
        return first + min(count - 1, exact + Int(share))
    }
}
