extension TokenBatch {
    /// What a beginning must have to be shared. A sequence of its own costs an attention more, and beginnings of a single
    /// token, as the mark that a family puts in front of every text, aren't worth that.
    package struct SharingLimits {
        /// The fewest rows of it.
        package var rows: Int
        /// The fewest rows that needn't be computed for all that have it.
        package var savedRows: Int

        package init(rows: Int, savedRows: Int) { (self.rows, self.savedRows) = (rows, savedRows) }

        static let measured = SharingLimits(rows: 2, savedRows: 8)
    }

    /// The examples as `init(_:)` lays them, but what several begin with is there once: as a sequence that they go on from,
    /// and that may itself go on from another. These come first, the examples' own sequences behind them in their order.
    ///
    /// Rows are the same where their tokens are, all in front of them, and their labels, which count once for each example.
    public init(sharing examples: [Example]) { self.init(sharing: examples, .measured) }

    package init(sharing examples: [Example], _ limits: SharingLimits) {
        self.init(examples)
        let shared = SharedBeginnings(self, limits)
        if shared.segments.isEmpty { return }
        let whole = self
        tokens.removeAll(keepingCapacity: true)
        positions.removeAll(keepingCapacity: true)
        labels.removeAll(keepingCapacity: true)
        offsets = [0]
        var connected: [Int?] = []
        func add(_ rows: Range<Int>, of example: Int, behind parent: Int?, count: Int) {
            let start = whole.offsets[example]
            let own = start + rows.lowerBound..<start + rows.upperBound
            tokens += whole.tokens[own]
            positions += whole.positions[own]
            labels += whole.labels[own]
            counts += repeatElement(count, count: own.count)
            offsets.append(tokens.count)
            connected.append(parent)
        }
        for segment in shared.segments {
            add(segment.rows, of: segment.example, behind: segment.parent, count: segment.count)
        }
        for (example, parent) in shared.parents.enumerated() {
            let start = parent.map { shared.segments[$0].rows.upperBound } ?? 0
            add(start..<whole.offsets[example + 1] - whole.offsets[example], of: example, behind: parent, count: 1)
        }
        connect(connected)
        savedCount = whole.rowCount - rowCount
    }
}

/// What the sequences of a batch begin with in common, as trees; the last row of each is its own.
struct SharedBeginnings {
    /// Rows that several sequences have.
    struct Segment {
        /// The segment in front of this one.
        let parent: Int?
        /// One of the sequences, which of its rows they are, and how many have them.
        let example: Int
        let rows: Range<Int>
        let count: Int
    }

    /// Each behind its parent.
    private(set) var segments: [Segment] = []
    /// The segment that each sequence goes on from; nil for one that shares nothing.
    private(set) var parents: [Int?]

    init(_ batch: TokenBatch, _ limits: TokenBatch.SharingLimits) {
        parents = Array(repeating: nil, count: batch.sequenceCount)
        // Token and label of each row in one number.
        let rows = (0..<batch.sequenceCount).map { sequence in
            (batch.offsets[sequence]..<max(batch.offsets[sequence], batch.offsets[sequence + 1] - 1)).map { row in
                UInt64(UInt32(bitPattern: batch.tokens[row])) << 32 | UInt64(UInt32(bitPattern: batch.labels[row]))
            }
        }
        let order = rows.indices.sorted { a, b in
            rows[a].lexicographicallyPrecedes(rows[b]) || rows[a] == rows[b] && a < b
        }
        if order.count < 2 { return }
        // What each has in common with the next one.
        let common = zip(order, order.dropFirst()).map { a, b in zip(rows[a], rows[b]).prefix { $0 == $1 }.count }
        // Neighbours in `order`, and the segment in front of what they have.
        var open: [(range: Range<Int>, parent: Int?)] = [(order.indices, nil)]
        while let (range, parent) = open.popLast() {
            let start = parent.map { segments[$0].rows.upperBound } ?? 0
            let borders = range.dropLast()
            guard let shortest = borders.map({ common[$0] }).min() else {
                parents[order[range.lowerBound]] = parent
                continue
            }
            var parent = parent
            let length = shortest - start
            if length >= limits.rows, length * (range.count - 1) >= limits.savedRows {
                segments.append(
                    Segment(
                        parent: parent, example: order[range.lowerBound], rows: start..<shortest, count: range.count))
                parent = segments.count - 1
            }
            var first = range.lowerBound
            for border in borders where common[border] == shortest {
                open.append((first..<border + 1, parent))
                first = border + 1
            }
            open.append((first..<range.upperBound, parent))
        }
    }
}
