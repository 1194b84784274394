/// What is added to attention's scores by the distance between key and query, such as T5's relative positions (Raffel et
/// al. 2020, section 2.1): the score of query i and key j of head h gets table[h, j − p + origin], where p is the place of
/// the query among the keys, as far from their end as the query is from the end of its sequence.
public struct AttentionBias {
    /// [heads, distances]
    public let table: Tensor
    /// The column of distance 0.
    public let origin: Int

    public init(table: Tensor, origin: Int) {
        self.table = table
        self.origin = origin
    }

    /// Whether the table has every distance between the keys and the queries of sequences of these lengths.
    func covers(_ heads: AttentionHeads, queryCount: Int, keyCount: Int) -> Bool {
        table.shape.count == 2 && table.rowCount == heads.count && (queryCount == 0 || origin >= keyCount - 1)
            && table.columnCount - origin >= queryCount
    }

    /// The term of distance 0 of a head; its neighbours are those of the distances beside it.
    func center(head: Int) -> UnsafePointer<Float> {
        UnsafePointer(table.data + head * table.columnCount + origin)
    }
}
