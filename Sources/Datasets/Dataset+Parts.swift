import Batches
import Diagnostics

extension Dataset {
    /// Leaves out a part of the examples, drawn by a seed: the rest and that part, both in the order of the files.
    ///
    /// - Parameter fraction: Above 0 and below 1; the part has so many of the examples, rounded up as scikit-learn does.
    /// - Throws: `Problem` where one of the two would be empty.
    package func split(fraction: Double, seed: UInt64) throws -> (rest: Dataset, part: Dataset) {
        let size = Int((fraction * Double(count)).rounded(.up))
        guard size < count else {
            throw Problem(
                "of \(count == 1 ? "1 example" : "\(count) examples") \(size) would be evaluated on, and none is left to "
                    + "learn from", key: "data.validation_fraction")
        }
        // Not the order in which epochs go through the data.
        let drawn = permutation(of: count, seed: ~seed, epoch: 0)
        let part = drawn.prefix(size).map { Int($0) }.sorted()
        let rest = drawn.dropFirst(size).map { Int($0) }.sorted()
        return (
            try Dataset(self, rest, countsDropped: true), try Dataset(self, part, countsDropped: false)
        )
    }

    /// The tokens of each example that go through the model.
    package func lengths() throws -> [Int32] {
        try (0..<count).map { Int32(clamping: try example($0).passCount) }
    }

    /// The examples of each file, by their numbers; nil where they are blocks.
    package var examplesOfFiles: [Range<Int>]? {
        if isInBlocks { return nil }
        var start = 0
        return records.ends.map { end in
            let next = kept.map { kept in kept[start...].firstIndex { $0 >= end } ?? kept.count } ?? end
            defer { start = next }
            return start..<next
        }
    }

    /// The number of the block that an example is; nil where examples are records.
    package func block(of index: Int) -> Int? { isInBlocks ? kept.map { Int($0[index]) } ?? index : nil }
}
