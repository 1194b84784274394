/// Products with a deep sum and a small result, such as the way back through an output layer over a vocabulary: too few
/// tiles for all threads, unless the sum itself is shared out.
enum DepthSplitProduct {
    /// How many parts the sum over `k` is cut into, by the product's shape alone; 1 where its tiles are enough.
    static func parts(_ grid: TileGrid, depth: Int) -> Int {
        max(1, min(TileGrid.enough / grid.count, depth / shallowest))
    }

    /// C ← α · A · B + β · C as the sum, in order, of `parts` products over consecutive shares of k.
    static func run(
        _ a: Matrix, _ b: Matrix, into c: UnsafeMutablePointer<Float>, stride: Int, alpha: Float, beta: Float,
        grid: TileGrid, parts: Int, epilogue: ((Tile) -> Void)?
    ) {
        let (m, n, k) = (a.rows, b.columns, a.columns)
        let share = ((k + parts - 1) / parts + 15) & ~15
        let sums = Tensor(uninitialized: [parts, m, n])
        WorkerPool.shared.run(parts * grid.count) { index in
            let (part, tileIndex) = index.quotientAndRemainder(dividingBy: grid.count)
            let tile = grid[tileIndex]
            let first = part * share
            let depth = min(share, k - first)
            gemm(
                a.block(row: tile.rows.lowerBound, rows: tile.rows.count, column: first, columns: depth),
                b.block(row: first, rows: depth, column: tile.columns.lowerBound, columns: tile.columns.count),
                into: sums.data + (part * m + tile.rows.lowerBound) * n + tile.columns.lowerBound, stride: n,
                alpha: alpha, beta: 0)
        }
        WorkerPool.shared.run(over: m, grain: 32) { rows in
            for row in rows {
                let target = c + row * stride
                for column in 0..<n {
                    var sum: Float = 0
                    for part in 0..<parts { sum += sums.data[(part * m + row) * n + column] }
                    target[column] = beta == 0 ? sum : beta * target[column] + sum
                }
            }
            epilogue?(Tile(rows: rows, columns: 0..<n))
        }
    }

    /// The least depth that a part keeps, so that adding the parts up doesn't show.
    private static let shallowest = 2048
}
