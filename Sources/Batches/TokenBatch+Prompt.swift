import Diagnostics

extension TokenBatch {
    /// The batch with positions from `positionOffset` on instead of 0, and with the first `count` virtual tokens in front
    /// of each sequence that `isBeginning` and goes on from no other, without labels.
    ///
    /// - Parameter positionOffset: At least `count`; the virtual tokens' positions end where the others begin.
    /// - Returns: The batch, and the row of it that each row of this one has become.
    public func prepending(
        virtualTokens count: Int, positionOffset: Int, whereBeginning isBeginning: (Int) -> Bool
    ) -> (batch: TokenBatch, rows: [Int]) {
        require(positionOffset >= count, "TokenBatch: \(count) virtual tokens before position \(positionOffset)")
        var result = TokenBatch(tokens: [], positions: [], offsets: [0], labels: [])
        var rows: [Int] = []
        rows.reserveCapacity(rowCount)
        for sequence in 0..<sequenceCount {
            if isBeginning(sequence), parents.isEmpty || parents[sequence] == nil {
                result.tokens += (0..<count).map(Self.virtualToken)
                result.positions += (positionOffset - count..<positionOffset).map(Int32.init)
                result.labels += repeatElement(Self.ignored, count: count)
            }
            let own = offsets[sequence]..<offsets[sequence + 1]
            rows += own.indices.map { result.tokens.count + $0 - own.lowerBound }
            result.tokens += tokens[own]
            result.positions += positions[own].map { $0 + Int32(positionOffset) }
            result.labels += labels[own]
            result.offsets.append(result.tokens.count)
        }
        result.connect(parents)
        result.values = values
        result.wholeLength = wholeLength
        return (result, rows)
    }
}
