import Metrics
import Testing

@Suite("The longest common subsequence") struct LongestCommonSubsequenceTests {
    /// The table cell by cell, and rouge_score's way through it.
    private func indices(_ rows: [Int32], _ columns: [Int32]) -> [Int] {
        var table = [[Int]](repeating: [Int](repeating: 0, count: columns.count + 1), count: rows.count + 1)
        for i in rows.indices {
            for j in columns.indices {
                table[i + 1][j + 1] =
                    rows[i] == columns[j] ? table[i][j] + 1 : max(table[i][j + 1], table[i + 1][j])
            }
        }
        var (i, j, found) = (rows.count, columns.count, [Int]())
        while i > 0 && j > 0 {
            if rows[i - 1] == columns[j - 1] {
                found.append(i - 1)
                i -= 1
                j -= 1
            } else if table[i][j - 1] > table[i - 1][j] {
                j -= 1
            } else {
                i -= 1
            }
        }
        return found
    }

    /// Numbers below `bound`, small ones more often, as words are.
    private func items(_ count: Int, below bound: UInt64, _ state: inout UInt64) -> [Int32] {
        (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let limit = state >> 60 < 8 ? min(bound, 3) : bound
            return Int32((state >> 33) % limit)
        }
    }

    @Test(
        "is the one that rouge_score finds, whatever part of the table is kept",
        arguments: [(0, 5), (5, 0), (1, 1), (7, 63), (64, 64), (65, 129), (200, 700), (700, 200)])
    func blocks(rowCount: Int, columnCount: Int) {
        var state = UInt64(rowCount * 1000 + columnCount)
        for bound in [2, 5, 40, 1000] as [UInt64] {
            let rows = items(rowCount, below: bound, &state)
            let columns = items(columnCount, below: bound, &state)
            let expected = indices(rows, columns)
            #expect(LongestCommonSubsequence.length(rows, columns) == expected.count)
            #expect(LongestCommonSubsequence.indices(rows, columns) == expected)
            for height in [1, 2, 7, 26] {
                #expect(LongestCommonSubsequence.indices(rows, columns, blockHeight: height) == expected)
            }
        }
    }
}
