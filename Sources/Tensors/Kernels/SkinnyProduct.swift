/// Products of a few rows with a large matrix, as a language model makes for each new token: the time goes into reading
/// the matrix once from memory, in the order in which it lies there, on all threads.
///
/// Each row of the result is summed in an order that depends on the matrix alone, so a row has the same bits whatever
/// rows are multiplied beside it, and however many threads work.
enum SkinnyProduct {
    /// With more rows than this packing the matrix pays off.
    static let rowLimit = 16

    /// Whether `multiply` leaves this product to `run`.
    static func suits(_ a: Matrix, _ b: Matrix) -> Bool { a.rows <= rowLimit && !a.isTransposed }

    /// C ← α · A · B + β · C; `epilogue` as in `multiply`.
    static func run(
        _ a: Matrix, _ b: Matrix, into c: UnsafeMutablePointer<Float>, stride: Int, alpha: Float, beta: Float,
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
        _ a: Matrix, _ b: Matrix, into c: UnsafeMutablePointer<Float>, stride: Int, alpha: Float, beta: Float,
        epilogue: ((Tile) -> Void)?
    ) {
        let (m, n, k) = (a.rows, b.columns, a.columns)
        let columnsPerPart = max(8, min(512, grain * 2 / max(1, k)) & ~7)
        WorkerPool.shared.run(over: n, grain: columnsPerPart) { columns in
            var j = columns.lowerBound
            while j < columns.upperBound {
                let count = min(4, columns.upperBound - j)
                let right = b.data + j * b.stride
                for i in 0..<m {
                    let left = a.data + i * a.stride
                    let target = c + i * stride + j
                    if count == 4 {
                        let sums = products(left, right, b.stride, k)
                        for column in 0..<4 {
                            target[column] = alpha * sums[column] + (beta == 0 ? 0 : beta * target[column])
                        }
                    } else {
                        for column in 0..<count {
                            // The same function on four times the same column, for the same order of the sum.
                            let sum = products(left, right + column * b.stride, 0, k)[0]
                            target[column] = alpha * sum + (beta == 0 ? 0 : beta * target[column])
                        }
                    }
                }
                j += count
            }
            epilogue?(Tile(rows: 0..<m, columns: columns))
        }
    }

    /// x · y for four vectors y, `stride` apart.
    @inline(__always)
    private static func products(
        _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ stride: Int, _ count: Int
    ) -> SIMD4<Float> {
        let zero = Lanes(repeating: 0)
        var (s0, s1, s2, s3) = (zero, zero, zero, zero)
        var (t0, t1, t2, t3) = (zero, zero, zero, zero)
        let (y1, y2, y3) = (y + stride, y + 2 * stride, y + 3 * stride)
        var i = 0
        while i + 16 <= count {
            let (u, v) = (x.lanes(i), x.lanes(i + 8))
            s0.addProduct(u, y.lanes(i))
            s1.addProduct(u, y1.lanes(i))
            s2.addProduct(u, y2.lanes(i))
            s3.addProduct(u, y3.lanes(i))
            t0.addProduct(v, y.lanes(i + 8))
            t1.addProduct(v, y1.lanes(i + 8))
            t2.addProduct(v, y2.lanes(i + 8))
            t3.addProduct(v, y3.lanes(i + 8))
            i += 16
        }
        if i + 8 <= count {
            let u = x.lanes(i)
            s0.addProduct(u, y.lanes(i))
            s1.addProduct(u, y1.lanes(i))
            s2.addProduct(u, y2.lanes(i))
            s3.addProduct(u, y3.lanes(i))
            i += 8
        }
        var sums = SIMD4<Float>((s0 + t0).total, (s1 + t1).total, (s2 + t2).total, (s3 + t3).total)
        while i < count {
            sums.addProduct(SIMD4(y[i], y1[i], y2[i], y3[i]), SIMD4(repeating: x[i]))
            i += 1
        }
        return sums
    }

    // MARK: B stored by rows: each part reads some rows whole and sums them into a row of its own.

    /// Into how many parts the depth is cut; few, because each leaves a row of sums behind.
    private static let depthParts = 16

    private static func byDepth(
        _ a: Matrix, _ b: Matrix, into c: UnsafeMutablePointer<Float>, stride: Int, alpha: Float, beta: Float,
        epilogue: ((Tile) -> Void)?
    ) {
        let (m, n, k) = (a.rows, b.columns, a.columns)
        let share = max((k + depthParts - 1) / depthParts, grain / max(1, n))
        let depth = max(8, (share + 7) & ~7)
        let parts = max(1, (k + depth - 1) / depth)
        let width = (n + 7) & ~7
        let scratch = TensorStorage(count: parts * m * width)
        defer { withExtendedLifetime(scratch) {} }
        let sums = scratch.base
        WorkerPool.shared.run(parts) { part in
            sumRows(a, b, part * depth..<min(k, (part + 1) * depth), into: sums + part * m * width, stride: width)
        }
        WorkerPool.shared.run(over: n, grain: max(64, grain / (parts * m)) & ~7) { columns in
            for i in 0..<m {
                let target = c + i * stride
                var j = columns.lowerBound
                while j < columns.upperBound {
                    var sum = sums.lanes(i * width + j)
                    for part in 1..<max(1, parts) { sum += sums.lanes((part * m + i) * width + j) }
                    sum *= alpha
                    if j + 8 <= columns.upperBound {
                        target.setLanes(j, beta == 0 ? sum : sum + beta * target.lanes(j))
                    } else {
                        for lane in 0..<columns.upperBound - j {
                            target[j + lane] = beta == 0 ? sum[lane] : sum[lane] + beta * target[j + lane]
                        }
                    }
                    j += 8
                }
            }
            epilogue?(Tile(rows: 0..<m, columns: columns))
        }
    }

    /// sums ← the rows `range` of B, weighed by A's columns; eight rows at a time, so that the sums are seldom touched.
    private static func sumRows(
        _ a: Matrix, _ b: Matrix, _ range: Range<Int>, into sums: UnsafeMutablePointer<Float>, stride: Int
    ) {
        let (m, n) = (a.rows, b.columns)
        sums.update(repeating: 0, count: m * stride)
        var first = range.lowerBound
        while first < range.upperBound {
            let count = min(8, range.upperBound - first)
            let rows = b.data + first * b.stride
            var j = 0
            while j + 16 <= n {
                if count == 8 {
                    var i = 0
                    while i + 4 <= m {
                        let left = a.data + i * a.stride + first
                        let target = sums + i * stride + j
                        var (p0, q0) = (target.lanes(0), target.lanes(8))
                        var (p1, q1) = (target.lanes(stride), target.lanes(stride + 8))
                        var (p2, q2) = (target.lanes(2 * stride), target.lanes(2 * stride + 8))
                        var (p3, q3) = (target.lanes(3 * stride), target.lanes(3 * stride + 8))
                        for row in 0..<8 {
                            let (v, w) = (rows.lanes(row * b.stride + j), rows.lanes(row * b.stride + j + 8))
                            let x0 = Lanes(repeating: left[row])
                            let x1 = Lanes(repeating: left[a.stride + row])
                            let x2 = Lanes(repeating: left[2 * a.stride + row])
                            let x3 = Lanes(repeating: left[3 * a.stride + row])
                            p0.addProduct(v, x0)
                            q0.addProduct(w, x0)
                            p1.addProduct(v, x1)
                            q1.addProduct(w, x1)
                            p2.addProduct(v, x2)
                            q2.addProduct(w, x2)
                            p3.addProduct(v, x3)
                            q3.addProduct(w, x3)
                        }
                        target.setLanes(0, p0)
                        target.setLanes(8, q0)
                        target.setLanes(stride, p1)
                        target.setLanes(stride + 8, q1)
                        target.setLanes(2 * stride, p2)
                        target.setLanes(2 * stride + 8, q2)
                        target.setLanes(3 * stride, p3)
                        target.setLanes(3 * stride + 8, q3)
                        i += 4
                    }
                    while i < m {
                        let left = a.data + i * a.stride + first
                        let target = sums + i * stride + j
                        var (p, q) = (target.lanes(0), target.lanes(8))
                        for row in 0..<8 {
                            let x = Lanes(repeating: left[row])
                            p.addProduct(rows.lanes(row * b.stride + j), x)
                            q.addProduct(rows.lanes(row * b.stride + j + 8), x)
                        }
                        target.setLanes(0, p)
                        target.setLanes(8, q)
                        i += 1
                    }
                } else {
                    for i in 0..<m {
                        let left = a.data + i * a.stride + first
                        let target = sums + i * stride + j
                        var (p, q) = (target.lanes(0), target.lanes(8))
                        for row in 0..<count {
                            let x = Lanes(repeating: left[row])
                            p.addProduct(rows.lanes(row * b.stride + j), x)
                            q.addProduct(rows.lanes(row * b.stride + j + 8), x)
                        }
                        target.setLanes(0, p)
                        target.setLanes(8, q)
                    }
                }
                j += 16
            }
            for i in 0..<m {
                let left = a.data + i * a.stride + first
                for column in j..<max(j, n) {
                    var sum = sums[i * stride + column]
                    for row in 0..<count { sum.addProduct(rows[row * b.stride + column], left[row]) }
                    sums[i * stride + column] = sum
                }
            }
            first += count
        }
    }
}
