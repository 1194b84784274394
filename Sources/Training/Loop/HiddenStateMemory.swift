import Diagnostics
import Files
import Tensors

/// Room for rows of hidden states, one behind the other, in memory and what is beyond a bound in a scratch file.
final class HiddenStateMemory {
    private let scratch: ScratchMemory
    private let width: Int
    private let rowCount: Int
    private var used = 0

    /// - Throws: A `Problem` where the folder has no room for what the memory may not hold.
    init(rows: Int, width: Int, ordinaryBytes: Int, folder: String) throws {
        self.width = width
        rowCount = rows
        scratch = try ScratchMemory(folder: folder, byteCount: rows * width * 4, ordinaryBytes: ordinaryBytes)
    }

    /// Copies rows to where they stay, and tells where that is.
    func append(_ states: Tensor) -> Range<Int> {
        let rows = used..<used + states.rowCount
        require(
            states.columnCount == width && rows.upperBound <= rowCount,
            "HiddenStateMemory: \(states.shape) behind \(used) of \(rowCount) rows of \(width)")
        pointer(used).update(from: states.data, count: states.count)
        used = rows.upperBound
        return rows
    }

    /// Some rows, copied one behind the other.
    func rows(_ ranges: [Range<Int>]) -> Tensor {
        let states = Tensor(uninitialized: [ranges.reduce(0) { $0 + $1.count }, width])
        var next = states.data
        for range in ranges {
            next.update(from: pointer(range.lowerBound), count: range.count * width)
            next += range.count * width
        }
        return states
    }

    private func pointer(_ row: Int) -> UnsafeMutablePointer<Float> {
        scratch.base.assumingMemoryBound(to: Float.self) + row * width
    }
}
