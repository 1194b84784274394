import COpenBLAS
import Diagnostics

/// A matrix in memory: `rows` × `columns` as the product sees it, stored by rows, or by columns where `isTransposed`.
package struct Matrix {
    package var data: UnsafePointer<Float>
    package var rows: Int
    package var columns: Int
    /// The distance in elements from one stored row to the next.
    package var stride: Int
    package var isTransposed: Bool

    package init(
        _ data: UnsafePointer<Float>, rows: Int, columns: Int, stride: Int? = nil, isTransposed: Bool = false
    ) {
        self.data = data
        self.rows = rows
        self.columns = columns
        self.stride = stride ?? (isTransposed ? rows : columns)
        self.isTransposed = isTransposed
    }

    package func block(row: Int, rows: Int, column: Int, columns: Int) -> Matrix {
        let start = isTransposed ? column * stride + row : row * stride + column
        return Matrix(data + start, rows: rows, columns: columns, stride: stride, isTransposed: isTransposed)
    }
}

/// A block of a product's result that has just been computed and is still in cache.
public struct Tile {
    public var rows: Range<Int>
    public var columns: Range<Int>

    package init(rows: Range<Int>, columns: Range<Int>) {
        self.rows = rows
        self.columns = columns
    }
}

/// C ← α · A · B + β · C, with A [m, k], B [k, n], C [m, n] of row stride `stride`, on all threads.
///
/// C is cut into tiles by its shape alone and each tile is one single-threaded product over the whole of k, so the bits
/// of the result don't depend on the number of threads. `epilogue` is called for each tile right after it is done, by
/// the thread that computed it.
///
/// - Parameter byRow: Whether a row of C has the same bits whatever rows are beside it, as long as they are few.
package func multiply(
    _ a: Matrix, _ b: Matrix, into c: UnsafeMutablePointer<Float>, stride: Int, alpha: Float, beta: Float,
    byRow: Bool = true, epilogue: ((Tile) -> Void)? = nil
) {
    require(a.columns == b.rows, "multiply: [\(a.rows), \(a.columns)] by [\(b.rows), \(b.columns)]")
    let (m, n, k) = (a.rows, b.columns, a.columns)
    if m == 0 || n == 0 { return }
    let operand = SkinnyOperand(b)
    if SkinnyProduct.suits(a, by: operand, byRow: byRow) {
        return SkinnyProduct.run(a, operand, into: c, stride: stride, alpha: alpha, beta: beta, epilogue: epilogue)
    }
    if BlockProduct.suits(beta: beta) && alpha == 1 {
        return BlockProduct.run(
            a, BlockOperand(b), into: c, stride: stride, adding: beta == 1, epilogue: epilogue)
    }
    let grid = TileGrid(rows: m, columns: n, depth: k)
    let parts = DepthSplitProduct.parts(grid, depth: k)
    if parts > 1 {
        return DepthSplitProduct.run(
            a, b, into: c, stride: stride, alpha: alpha, beta: beta, grid: grid, parts: parts, epilogue: epilogue)
    }
    WorkerPool.shared.run(grid.count) { index in
        let tile = grid[index]
        let left = a.block(row: tile.rows.lowerBound, rows: tile.rows.count, column: 0, columns: k)
        let right = b.block(row: 0, rows: k, column: tile.columns.lowerBound, columns: tile.columns.count)
        let target = c + tile.rows.lowerBound * stride + tile.columns.lowerBound
        gemm(left, right, into: target, stride: stride, alpha: alpha, beta: beta)
        epilogue?(tile)
    }
}

/// The same as one part of a larger work, so on the calling thread alone.
package func gemm(
    _ a: Matrix, _ b: Matrix, into c: UnsafeMutablePointer<Float>, stride: Int, alpha: Float, beta: Float
) {
    require(
        // One of the numbers is larger than OpenBLAS counts where all their bits together are; none is negative.
        a.columns == b.rows
            && UInt(bitPattern: a.rows | b.columns | a.columns | a.stride | b.stride | stride) <= 0x7FFF_FFFF,
        "gemm: [\(a.rows), \(a.columns)] by [\(b.rows), \(b.columns)], rows \(a.stride), \(b.stride), \(stride) apart")
    if !a.isTransposed && a.rows <= SkinnyProduct.rowLimit {
        return gemmByRow(a, b, into: c, stride: stride, alpha: alpha, beta: beta)
    }
    cblas_sgemm(
        Int32(PEFTBlasRowMajor), Int32(a.isTransposed ? PEFTBlasTrans : PEFTBlasNoTrans),
        Int32(b.isTransposed ? PEFTBlasTrans : PEFTBlasNoTrans), Int32(a.rows), Int32(b.columns), Int32(a.columns),
        alpha, a.data, Int32(a.stride), b.data, Int32(b.stride), beta, c, Int32(stride))
}

/// The same, each row of C with the same bits whatever rows are beside it; for some rows only.
package func gemmByRow(
    _ a: Matrix, _ b: Matrix, into c: UnsafeMutablePointer<Float>, stride: Int, alpha: Float, beta: Float
) {
    SkinnyProduct.run(a, SkinnyOperand(b), into: c, stride: stride, alpha: alpha, beta: beta, epilogue: nil)
}

/// How a result is cut: tiles large enough that packing the operands doesn't show, small enough to stay in the second
/// level of cache with their epilogue, and enough of them that a handful of threads finish together.
struct TileGrid {
    let rows: Int
    let columns: Int
    let tileRows: Int
    let tileColumns: Int
    let rowTiles: Int

    /// Fewer tiles than threads leave some idle; eight serve 2, 4 and 8 threads evenly.
    static let enough = 8

    var count: Int { rowTiles * ((columns + tileColumns - 1) / tileColumns) }

    init(rows: Int, columns: Int, depth: Int) {
        self.rows = rows
        self.columns = columns
        if Double(rows) * Double(columns) * Double(depth) < 0x1p18 {
            tileRows = rows
            tileColumns = columns
        } else {
            // Each row of tiles copies the whole of B: of an output layer's that costs more than high tiles do.
            let isVast = max(columns, depth) >= 1 << 14
            let tall = min(rows, Self.share(rows, atMost: isVast ? 352 : 256, multiple: 16))
            tileRows = tall
            let rowTiles = (rows + tall - 1) / tall
            // Narrow tiles cost some of the product's rate, but a deep sum can be shared out instead.
            let widths = depth >= 1 << 14 ? [768] : [384, 192, 96]
            let width = widths.first { rowTiles * ((columns + $0 - 1) / $0) >= Self.enough } ?? widths[widths.count - 1]
            tileColumns = min(columns, Self.share(columns, atMost: width, multiple: 16))
        }
        rowTiles = (rows + tileRows - 1) / tileRows
    }

    /// The size of equal shares of `total`, each at most `limit` and a multiple of `multiple`.
    static func share(_ total: Int, atMost limit: Int, multiple: Int) -> Int {
        let shares = (total + limit - 1) / limit
        let size = (total + shares - 1) / shares
        return (size + multiple - 1) / multiple * multiple
    }

    subscript(index: Int) -> Tile {
        // Tiles of one column share their block of B, usually the weight, in cache.
        let (column, row) = index.quotientAndRemainder(dividingBy: rowTiles)
        return Tile(
            rows: row * tileRows..<min(rows, (row + 1) * tileRows),
            columns: column * tileColumns..<min(columns, (column + 1) * tileColumns))
    }
}
