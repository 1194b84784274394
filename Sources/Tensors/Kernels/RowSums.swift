/// target[j] = Σᵢ term(i, j) over `rows` rows, added to what `target` holds where `adding`; `term` gives `count` columns,
/// at most eight, from j on.
///
/// Rows are summed in blocks of a fixed size whose sums are then added in order, so the result doesn't depend on the
/// number of threads, and rounding errors grow with the block and the number of blocks rather than with the rows.
@inline(__always)
func sumOverRows(
    rows: Int, width: Int, into target: UnsafeMutablePointer<Float>, adding: Bool,
    _ term: (_ row: Int, _ column: Int, _ count: Int) -> Lanes
) {
    WorkerPool.shared.run(over: (width + 7) / 8, grain: 8) { range in
        for lane in range {
            let column = lane * 8
            let count = min(8, width - column)
            var sum = Lanes(repeating: 0)
            var row = 0
            while row < rows {
                let end = min(rows, row + 64)
                var partial = Lanes(repeating: 0)
                while row < end {
                    partial += term(row, column, count)
                    row += 1
                }
                sum += partial
            }
            if adding { sum += Lanes(target + column, count: count, otherwise: 0) }
            sum.store(target + column, count: count)
        }
    }
}

extension UnsafeMutablePointer<Float> {
    /// The `count` elements from `index` on, at most eight, and zeros.
    @inline(__always) func lanes(_ index: Int, count: Int) -> Lanes {
        count == 8 ? lanes(index) : Lanes(self + index, count: count, otherwise: 0)
    }
}
