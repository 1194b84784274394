import CVectors
import Diagnostics

/// The large matrix of such a product, [rows, columns] as `Matrix` has it: 32-bit floats, or the upper halves of such (BF16).
struct SkinnyOperand {
    let data: UnsafeRawPointer
    let isHalf: Bool
    let rows: Int
    let columns: Int
    let stride: Int
    let isTransposed: Bool

    init(_ matrix: Matrix) {
        (data, isHalf) = (UnsafeRawPointer(matrix.data), false)
        (rows, columns, stride) = (matrix.rows, matrix.columns, matrix.stride)
        isTransposed = matrix.isTransposed
    }

    init(upperHalves: UnsafePointer<UInt16>, rows: Int, columns: Int, isTransposed: Bool) {
        (data, isHalf) = (UnsafeRawPointer(upperHalves), true)
        (self.rows, self.columns, stride) = (rows, columns, isTransposed ? rows : columns)
        self.isTransposed = isTransposed
    }
}

/// Products of a few rows with a large matrix, as a language model makes for each new token: the time goes into reading
/// the matrix once from memory, in the order in which it lies there, on all threads.
///
/// Each row of the result is summed in an order that depends on the matrix alone, so a row has the same bits whatever
/// rows are multiplied beside it, and however many threads work.
package enum SkinnyProduct {
    /// With more rows than this the large products' engine takes over.
    package static let rowLimit = 16
    /// Where B lies by rows, its kernel serves a prompt's rows as well.
    package static let promptLimit = 128

    /// Whether `multiply` leaves this product to `run`.
    ///
    /// - Parameter byRow: Whether a row's bits must not depend on others, for which alone a prompt's rows are multiplied here.
    static func suits(_ a: Matrix, by b: SkinnyOperand, byRow: Bool) -> Bool {
        !a.isTransposed && a.rows <= (b.isTransposed || !byRow ? rowLimit : promptLimit)
    }

    /// C ← α · A · B + β · C; `epilogue` as in `multiply`.
    static func run(
        _ a: Matrix, _ b: SkinnyOperand, into c: UnsafeMutablePointer<Float>, stride: Int, alpha: Float, beta: Float,
        epilogue: ((Tile) -> Void)?
    ) {
        if b.isTransposed {
            byColumns(a, b, into: c, stride: stride, alpha: alpha, beta: beta, epilogue: epilogue)
        } else {
            byDepth(a, b, into: c, stride: stride, alpha: alpha, beta: beta, epilogue: epilogue)
        }
    }

    /// Weights that one part of the work reads, so that handing it out doesn't show.
    private static let grain = 1 << 14

    // MARK: B stored by columns: every column is a row of memory, and an element of C is the product of two of them.

    private static func byColumns(
        _ a: Matrix, _ b: SkinnyOperand, into c: UnsafeMutablePointer<Float>, stride: Int, alpha: Float, beta: Float,
        epilogue: ((Tile) -> Void)?
    ) {
        // Large matrices in 128 parts or so: each waits for memory when it begins.
        let columnsPerPart = max(6, grain * 2 / max(1, a.columns) / 6 * 6, b.columns / 128 / 6 * 6)
        WorkerPool.shared.run(over: b.columns, grain: min(columnsPerPart, 504)) { columns in
            let tile = Tile(rows: 0..<a.rows, columns: columns)
            var part = part(of: a, b, tile, into: c, stride: stride, alpha: alpha, beta: beta)
            peft_product_by_columns(&part)
            epilogue?(tile)
        }
    }

    /// What the kernels need to know for one tile of C.
    private static func part(
        of a: Matrix, _ b: SkinnyOperand, _ tile: Tile, into c: UnsafeMutablePointer<Float>, stride: Int, alpha: Float,
        beta: Float
    ) -> peft_product {
        let (row, column) = (tile.rows.lowerBound, tile.columns.lowerBound)
        let start = column * (b.isTransposed ? b.stride : 1) * (b.isHalf ? 2 : 4)
        return peft_product(
            a: a.data + row * a.stride, a_stride: a.stride, b: b.data + start, b_stride: b.stride,
            b_is_half: b.isHalf ? 1 : 0, c: c + row * stride + column, c_stride: stride, rows: tile.rows.count,
            columns: tile.columns.count, depth: a.columns, alpha: alpha, beta: beta)
    }

    // MARK: B stored by rows: each part reads some rows whole and sums them into a row of its own.

    /// Into how many parts the depth is cut; few, because each leaves a row of sums behind.
    private static let depthParts = 16

    private static func byDepth(
        _ a: Matrix, _ b: SkinnyOperand, into c: UnsafeMutablePointer<Float>, stride: Int, alpha: Float, beta: Float,
        epilogue: ((Tile) -> Void)?
    ) {
        let (n, k) = (b.columns, a.columns)
        let share = max((k + depthParts - 1) / depthParts, grain / max(1, n))
        let depth = max(8, (share + 7) & ~7)
        if a.rows > 1 {
            return byBlocks(a, b, into: c, stride: stride, alpha: alpha, beta: beta, step: depth, epilogue: epilogue)
        }
        let parts = max(1, (k + depth - 1) / depth)
        let width = (n + 7) & ~7
        let scratch = TensorStorage(shape: [parts, width])
        defer { withExtendedLifetime(scratch) {} }
        let sums = scratch.base
        let order = OrderedParts(count: parts)
        WorkerPool.shared.run(parts) { part in
            sumRows(a, b, part * depth..<min(k, (part + 1) * depth), into: sums + part * width)
            order.finish(part) { next in
                if next > 0 { addInPlace(sums + next * width, to: sums, count: width) }
                guard next == parts - 1 else { return }
                for j in Swift.stride(from: 0, to: n, by: 8) {
                    let sum = sums.lanes(j) * alpha
                    if j + 8 <= n {
                        c.setLanes(j, beta == 0 ? sum : sum + beta * c.lanes(j))
                    } else {
                        for lane in 0..<n - j {
                            c[j + lane] = beta == 0 ? sum[lane] : sum[lane] + beta * c[j + lane]
                        }
                    }
                }
                epilogue?(Tile(rows: 0..<1, columns: 0..<n))
            }
        }
    }

    /// The same sums for several rows: each part sums all steps of the depth for a block of C.
    private static func byBlocks(
        _ a: Matrix, _ b: SkinnyOperand, into c: UnsafeMutablePointer<Float>, stride: Int, alpha: Float, beta: Float,
        step: Int, epilogue: ((Tile) -> Void)?
    ) {
        let (m, n) = (a.rows, b.columns)
        let height = min(m, 128)
        let width = n >= 1536 ? 96 : 48
        let across = (n + width - 1) / width
        WorkerPool.shared.run((m + height - 1) / height * across) { index in
            let (row, column) = (index / across * height, index % across * width)
            let tile = Tile(rows: row..<min(m, row + height), columns: column..<min(n, column + width))
            var part = part(of: a, b, tile, into: c, stride: stride, alpha: alpha, beta: beta)
            let isDone = peft_product_by_depth(&part, step) != 0
            if !isDone { endWithoutMemory("the copy of a product's operand") }
            epilogue?(tile)
        }
    }

    /// sums ← the rows `range` of B, weighed by A's one row; eight rows at a time, so that the sums are seldom touched,
    /// while memory sends what comes next.
    private static func sumRows(
        _ a: Matrix, _ b: SkinnyOperand, _ range: Range<Int>, into sums: UnsafeMutablePointer<Float>
    ) {
        if b.isHalf {
            let data = b.data
            sumRows(a, b, range, into: sums, prefetch: { peft_prefetch(data + 2 * $0) }) {
                Lanes(upperHalves: data + 2 * $0)
            } element: {
                Float(bitPattern: UInt32(data.loadUnaligned(fromByteOffset: 2 * $0, as: UInt16.self)) << 16)
            }
        } else {
            let data = b.data.assumingMemoryBound(to: Float.self)
            sumRows(a, b, range, into: sums, prefetch: { peft_prefetch(data + $0) }) {
                data.lanes($0)
            } element: {
                data[$0]
            }
        }
    }

    @inline(__always)
    private static func sumRows(
        _ a: Matrix, _ b: SkinnyOperand, _ range: Range<Int>, into sums: UnsafeMutablePointer<Float>,
        prefetch: (Int) -> Void, lanes: (Int) -> Lanes, element: (Int) -> Float
    ) {
        let n = b.columns
        // Columns that share a line of memory of 64 bytes are asked for once.
        let perLine = b.isHalf ? 32 : 16
        let lead = min(n, perLine * 16)
        sums.update(repeating: 0, count: n)
        var first = range.lowerBound
        while first < range.upperBound {
            let count = min(8, range.upperBound - first)
            let start = first * b.stride
            let left = a.data + first
            var j = 0
            if count == 8 {
                while j + 16 <= n {
                    if j % perLine == 0 {
                        // What is read a little later: further on in these rows, or where they end, in the next ones.
                        let ahead = j + lead
                        let isHere = ahead < n
                        let coming = isHere ? start + ahead : start + 8 * b.stride + ahead - n
                        let comingCount = isHere ? 8 : min(8, range.upperBound - first - 8)
                        for row in 0..<comingCount { prefetch(coming + row * b.stride) }
                    }
                    var (p, q) = (sums.lanes(j), sums.lanes(j + 8))
                    for row in 0..<8 {
                        let x = Lanes(repeating: left[row])
                        p.addProduct(lanes(start + row * b.stride + j), x)
                        q.addProduct(lanes(start + row * b.stride + j + 8), x)
                    }
                    sums.setLanes(j, p)
                    sums.setLanes(j + 8, q)
                    j += 16
                }
            }
            while j < n {
                var sum = sums[j]
                for row in 0..<count { sum.addProduct(element(start + row * b.stride + j), left[row]) }
                sums[j] = sum
                j += 1
            }
            first += count
        }
    }
}
