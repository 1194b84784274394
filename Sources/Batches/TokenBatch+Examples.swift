import Diagnostics

extension TokenBatch {
    /// The examples one behind the other, as decoders read them; last tokens from which nothing is predicted are no rows.
    /// Sources, which all have or none, stand beside them, one for each.
    public init(_ examples: [Example]) {
        let sources = examples.compactMap(\.source)
        require(
            sources.isEmpty || sources.count == examples.count,
            "TokenBatch: \(sources.count) sources for \(examples.count) examples")
        let rows = examples.reduce(0) { $0 + $1.rowCount }
        var tokens: [Int32] = []
        var positions: [Int32] = []
        var labels: [Int32] = []
        var offsets = [0]
        var values: [Float] = []
        tokens.reserveCapacity(rows)
        positions.reserveCapacity(rows)
        labels.reserveCapacity(rows)
        for example in examples {
            let length = example.rowCount
            tokens += example.tokens.prefix(length)
            positions += 0..<Int32(length)
            for span in example.targets {
                labels += repeatElement(Self.ignored, count: (offsets.last ?? 0) + span.lowerBound - 1 - labels.count)
                labels += example.tokens[span]
            }
            if let label = example.label {
                labels += repeatElement(Self.ignored, count: length - 1)
                switch label {
                case .category(let number): labels.append(number)
                case .value(let value):
                    labels.append(0)
                    values.append(value)
                }
            }
            offsets.append(tokens.count)
        }
        self.init(tokens: tokens, positions: positions, offsets: offsets, labels: labels)
        self.values = values
        wholeLength = examples.map(\.tokens.count).max()
        if !sources.isEmpty { source = SourceRows(sources).repeated }
    }
}
