/// The longest common subsequence of two sequences, 64 cells of its table at a time.
///
/// M. Crochemore et al., "A fast and practical bit-vector algorithm for the longest common subsequence problem" (2001).
/// With T[i][j] the length for the first i of `rows` and the first j of `columns`, bit j − 1 of row i is 0 where
/// T[i][j] = T[i][j − 1] + 1. A row follows from the one before and the mask of the columns equal to its item:
/// V' = (V + (V & mask)) | (V & ~mask).
///
/// Time grows with rows · columns / 64; memory with the columns alone where the length is asked, and with
/// √rows · columns / 64 where a subsequence is read out.
package struct LongestCommonSubsequence {
    private let rows: [Int32]
    private let columns: [Int32]
    private var masks: ColumnMasks
    /// The rows of a block of the table, one behind the other; a single one where only the length is asked.
    private var bits: [UInt64] = []

    /// How many items the longest common subsequence has.
    package static func length(_ rows: [Int32], _ columns: [Int32]) -> Int {
        var table = LongestCommonSubsequence(rows, columns)
        table.bits = table.firstRow
        for row in rows.indices { table.advance(row, from: 0, to: 0) }
        return table.zeroCount(slot: 0, columns: columns.count)
    }

    /// The indices into `rows` of one longest common subsequence, descending: the one that rouge_score reads out, which
    /// from the end takes what is equal, and else leaves the column only where T[i][j − 1] > T[i − 1][j].
    package static func indices(_ rows: [Int32], _ columns: [Int32]) -> [Int] {
        indices(rows, columns, blockHeight: blockHeight(rows.count, wordCount: ColumnMasks.wordCount(columns.count)))
    }

    /// The same with the table kept in blocks of so many rows; no result depends on it.
    package static func indices(_ rows: [Int32], _ columns: [Int32], blockHeight: Int) -> [Int] {
        var table = LongestCommonSubsequence(rows, columns)
        return table.readOut(blockHeight)
    }

    /// All rows where they are few; else about as many as there are blocks.
    private static func blockHeight(_ rowCount: Int, wordCount: Int) -> Int {
        if rowCount * wordCount <= 1 << 16 { return max(rowCount, 1) }
        return Int(Double(rowCount).squareRoot().rounded(.up))
    }

    private init(_ rows: [Int32], _ columns: [Int32]) {
        self.rows = rows
        self.columns = columns
        masks = ColumnMasks(columns)
    }

    private var firstRow: [UInt64] { [UInt64](repeating: .max, count: masks.wordCount) }

    private mutating func readOut(_ blockHeight: Int) -> [Int] {
        let wordCount = masks.wordCount
        let blockCount = max(1, (rows.count + blockHeight - 1) / blockHeight)
        // The row that each block begins with.
        var beginnings = firstRow
        bits = firstRow
        for row in 0..<(blockCount - 1) * blockHeight {
            advance(row, from: 0, to: 0)
            if (row + 1) % blockHeight == 0 { beginnings += bits }
        }
        bits = [UInt64](repeating: 0, count: (min(blockHeight, rows.count) + 1) * wordCount)
        var indices: [Int] = []
        var (i, j) = (rows.count, columns.count)
        for block in (0..<blockCount).reversed() {
            let start = block * blockHeight
            if i <= start || j == 0 { continue }
            for word in 0..<wordCount { bits[word] = beginnings[block * wordCount + word] }
            for row in start..<i { advance(row, from: row - start, to: row - start + 1) }
            while i > start && j > 0 {
                if rows[i - 1] == columns[j - 1] {
                    indices.append(i - 1)
                    i -= 1
                    j -= 1
                } else if zeroCount(slot: i - start, columns: j - 1) > zeroCount(slot: i - 1 - start, columns: j) {
                    j -= 1
                } else {
                    i -= 1
                }
            }
        }
        return indices
    }

    /// Makes the table's row behind `row` items, in slot `to`, from the one before, in slot `from`.
    private mutating func advance(_ row: Int, from: Int, to: Int) {
        let wordCount = masks.wordCount
        bits.withUnsafeMutableBufferPointer { bits in
            guard let base = bits.baseAddress else { return }
            let (v, next) = (base + from * wordCount, base + to * wordCount)
            masks.withMask(of: rows[row]) { mask in
                guard let mask else {
                    if from != to { next.update(from: v, count: wordCount) }
                    return
                }
                var carry: UInt64 = 0
                for word in 0..<wordCount {
                    let (v, m) = (v[word], mask[word])
                    let (partial, overflow) = v.addingReportingOverflow(v & m)
                    let (sum, carryOverflow) = partial.addingReportingOverflow(carry)
                    carry = overflow || carryOverflow ? 1 : 0
                    next[word] = sum | (v & ~m)
                }
            }
        }
    }

    /// T[i][columns] of the row in `slot`: the zeros among its first `columns` bits.
    private func zeroCount(slot: Int, columns: Int) -> Int {
        var count = 0
        let start = slot * masks.wordCount
        for word in 0..<(columns / 64) { count += (~bits[start + word]).nonzeroBitCount }
        if columns % 64 > 0 {
            count += (~bits[start + columns / 64] & ((1 << UInt64(columns % 64)) - 1)).nonzeroBitCount
        }
        return count
    }
}

/// For each item the columns that hold it, as bits.
///
/// The masks of items that are at as many places as a mask has words are kept, at most 64 of them; the others are put
/// together from the places when they are asked for. So the memory is that of the columns, and no mask takes longer than
/// a row of the table.
private struct ColumnMasks {
    private enum Source {
        /// Where the words of the mask begin.
        case kept(Int)
        case places(Range<Int>)
    }

    static func wordCount(_ columnCount: Int) -> Int { (columnCount + 63) / 64 }

    let wordCount: Int
    /// Kept masks, one behind the other.
    private var words: [UInt64] = []
    /// The columns of the other items, one item's behind the other's.
    private var places: [Int32] = []
    private var sources: [Int32: Source] = [:]
    /// The mask that was put together last; all 0 but for `lastPlaces`.
    private var made: [UInt64]
    private var lastPlaces = 0..<0

    init(_ columns: [Int32]) {
        wordCount = Self.wordCount(columns.count)
        made = [UInt64](repeating: 0, count: wordCount)
        var counts: [Int32: Int] = [:]
        for item in columns { counts[item, default: 0] += 1 }
        var ends: [Int32: Int] = [:]
        for (column, item) in columns.enumerated() {
            let count = counts[item] ?? 0
            switch sources[item] {
            case .kept(let start): words[start + column / 64] |= 1 << UInt64(column % 64)
            case .places:
                let end = ends[item] ?? 0
                places[end] = Int32(column)
                ends[item] = end + 1
            case nil where count >= wordCount:
                sources[item] = .kept(words.count)
                words += repeatElement(0, count: wordCount)
                words[words.count - wordCount + column / 64] = 1 << UInt64(column % 64)
            case nil:
                sources[item] = .places(places.count..<places.count + count)
                ends[item] = places.count + 1
                places += repeatElement(Int32(column), count: count)
            }
        }
    }

    /// Calls `body` with the mask of an item; with nil where no column holds it.
    mutating func withMask(of item: Int32, _ body: (UnsafePointer<UInt64>?) -> Void) {
        switch sources[item] {
        case nil: body(nil)
        case .kept(let start):
            words.withUnsafeBufferPointer { words in body(words.baseAddress.map { $0 + start }) }
        case .places(let range):
            for place in places[lastPlaces] { made[Int(place) / 64] = 0 }
            for place in places[range] { made[Int(place) / 64] |= 1 << UInt64(place % 64) }
            lastPlaces = range
            made.withUnsafeBufferPointer { body($0.baseAddress) }
        }
    }
}
