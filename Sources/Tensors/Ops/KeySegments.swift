/// The keys of an attention as segments of rows, and which of them each sequence of queries sees.
struct KeySegments {
    /// Where each segment begins, and the end of the last.
    let offsets: [Int]
    /// For each sequence its segments, one behind the other; nil where it is the one of its own number.
    let chains: [[Int]]?
    /// How many keys each sequence sees.
    let counts: [Int]
    /// The most of these.
    let longest: Int

    init(offsets: [Int], chains: [[Int]]?) {
        (self.offsets, self.chains) = (offsets, chains)
        func count(_ segment: Int) -> Int { offsets[segment + 1] - offsets[segment] }
        counts =
            chains?.map { $0.reduce(0) { $0 + count($1) } } ?? offsets.indices.dropLast().map { count($0) }
        longest = counts.max() ?? 0
    }

    /// The segments that a sequence sees, one behind the other.
    func chain(of sequence: Int) -> [Int] { chains?[sequence] ?? [sequence] }

    func rows(of segment: Int) -> Range<Int> { offsets[segment]..<offsets[segment + 1] }

    /// Rows for what sequences have of segments that one before them has too.
    struct LaterReaders {
        /// For each sequence and segment of its chain the first of its rows; nil where it is the first to have the segment.
        var places: [[Int?]] = []
        var rowCount = 0
        /// The rows of keys that have others, and these in the order of the sequences.
        var sums: [(row: Int, others: [Int])] = []
    }

    var laterReaders: LaterReaders {
        guard let chains else { return LaterReaders(places: counts.map { _ in [nil] }) }
        var found = LaterReaders()
        var readers: [[Int]?] = Array(repeating: nil, count: offsets.count - 1)
        for chain in chains {
            var places: [Int?] = []
            for segment in chain {
                if readers[segment] == nil {
                    readers[segment] = []
                    places.append(nil)
                } else {
                    readers[segment]?.append(found.rowCount)
                    places.append(found.rowCount)
                    found.rowCount += rows(of: segment).count
                }
            }
            found.places.append(places)
        }
        for (segment, starts) in readers.enumerated() {
            guard let starts, !starts.isEmpty else { continue }
            for (place, row) in rows(of: segment).enumerated() { found.sums.append((row, starts.map { $0 + place })) }
        }
        return found
    }

    /// Whether every segment stands in a chain, and behind the same one in each.
    static func areTrees(_ chains: [[Int]], segmentCount: Int) -> Bool {
        var parents = [Int?](repeating: nil, count: max(0, segmentCount))
        for chain in chains {
            if chain.isEmpty { return false }
            var parent = -1
            for segment in chain {
                guard parents.indices.contains(segment), parents[segment] ?? parent == parent else { return false }
                parents[segment] = parent
                parent = segment
            }
        }
        return parents.allSatisfy { $0 != nil }
    }
}
