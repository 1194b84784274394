/// The longest common subsequence of two sequences, 64 cells of its table at a time.
///
/// M. Crochemore et al., "A fast and practical bit-vector algorithm for the longest common subsequence problem" (2001).
/// With T[i][j] the length for the first i of `rows` and the first j of `columns`, bit j − 1 of row i is 0 where
/// T[i][j] = T[i][j − 1] + 1. A row follows from the one before and the mask of the columns equal to its item:
/// V' = (V + (V & mask)) | (V & ~mask).
struct LongestCommonSubsequence {
    private let rows: [Int32]
    private let columns: [Int32]
    private let wordCount: Int
    /// Row i at `i * wordCount`, from row 0 on, where every bit is 1; the last row alone when only the length is asked.
    private var bits: [UInt64]

    /// How many items the longest common subsequence has.
    static func length(_ rows: [Int32], _ columns: [Int32]) -> Int {
        let table = LongestCommonSubsequence(rows: rows, columns: columns, keepsRows: false)
        return table.zeroCount(row: 0, columns: columns.count)
    }

    /// The indices into `rows` of one longest common subsequence, descending: the one that rouge_score reads out, which
    /// from the end takes what is equal, and else leaves the column only where T[i][j − 1] > T[i − 1][j].
    static func indices(_ rows: [Int32], _ columns: [Int32]) -> [Int] {
        let table = LongestCommonSubsequence(rows: rows, columns: columns, keepsRows: true)
        var indices: [Int] = []
        var i = rows.count
        var j = columns.count
        while i > 0 && j > 0 {
            if rows[i - 1] == columns[j - 1] {
                indices.append(i - 1)
                i -= 1
                j -= 1
            } else if table.zeroCount(row: i, columns: j - 1) > table.zeroCount(row: i - 1, columns: j) {
                j -= 1
            } else {
                i -= 1
            }
        }
        return indices
    }

    private init(rows: [Int32], columns: [Int32], keepsRows: Bool) {
        self.rows = rows
        self.columns = columns
        let wordCount = (columns.count + 63) / 64
        self.wordCount = wordCount

        var maskOffsets: [Int32: Int] = [:]
        var masks: [UInt64] = []
        for (j, item) in columns.enumerated() {
            let offset: Int
            if let known = maskOffsets[item] {
                offset = known
            } else {
                offset = masks.count
                maskOffsets[item] = offset
                masks += repeatElement(0, count: wordCount)
            }
            masks[offset + j / 64] |= 1 << UInt64(j % 64)
        }

        var bits = [UInt64](repeating: .max, count: wordCount * (keepsRows ? rows.count + 1 : 1))
        for (i, item) in rows.enumerated() {
            let from = keepsRows ? i * wordCount : 0
            let to = keepsRows ? from + wordCount : 0
            let mask = maskOffsets[item]
            var carry: UInt64 = 0
            for word in 0..<wordCount {
                let v = bits[from + word]
                guard let mask else {
                    bits[to + word] = v
                    continue
                }
                let m = masks[mask + word]
                let (partial, overflow) = v.addingReportingOverflow(v & m)
                let (sum, carryOverflow) = partial.addingReportingOverflow(carry)
                carry = overflow || carryOverflow ? 1 : 0
                bits[to + word] = sum | (v & ~m)
            }
        }
        self.bits = bits
    }

    /// T[row][columns]: the zeros among the first `columns` bits of the row.
    private func zeroCount(row: Int, columns: Int) -> Int {
        var count = 0
        let start = row * wordCount
        for word in 0..<(columns / 64) { count += (~bits[start + word]).nonzeroBitCount }
        if columns % 64 > 0 {
            count += (~bits[start + columns / 64] & ((1 << UInt64(columns % 64)) - 1)).nonzeroBitCount
        }
        return count
    }
}
