import CVectors
import Diagnostics
import Glibc

/// The right operand of a product in our own kernels, [rows, columns], in any layout and format.
package struct BlockOperand {
    package enum Layout: Sendable, CaseIterable {
        /// One row after the other.
        case byRows
        /// One column after the other.
        case byColumns
        /// Panels of sixteen columns, one after the other: `PackedWeight`.
        case inPanels
        /// As the transpose of what lies in panels.
        case acrossPanels
    }

    let data: UnsafeRawPointer
    /// nil for 32-bit floats.
    let format: HalfFormat?
    let layout: Layout
    let rows: Int
    let columns: Int
    /// The distance in elements from one stored row, column or panel to the next.
    let stride: Int
    /// The weight whose codes are read instead of `data`, by columns as its transpose.
    let codes: peft_quantized?

    /// W of codes [outputs, inputs], or its transpose.
    init(_ codes: peft_quantized, isTransposed: Bool) {
        data = UnsafeRawPointer(codes.codes)
        (format, layout, stride) = (nil, isTransposed ? .byColumns : .byRows, codes.inputs)
        rows = isTransposed ? codes.inputs : codes.outputs
        columns = isTransposed ? codes.outputs : codes.inputs
        self.codes = codes
    }

    package init(
        _ data: UnsafeRawPointer, _ format: HalfFormat?, _ layout: Layout, rows: Int, columns: Int, stride: Int
    ) {
        codes = nil
        self.data = data
        self.format = format
        self.layout = layout
        self.rows = rows
        self.columns = columns
        self.stride = stride
    }

    init(_ matrix: Matrix) {
        self.init(
            matrix.data, nil, matrix.isTransposed ? .byColumns : .byRows, rows: matrix.rows, columns: matrix.columns,
            stride: matrix.stride)
    }

    /// The element of a row and a column; in panels that of the panel's beginning.
    func address(row: Int, column: Int) -> UnsafeRawPointer {
        let index =
            switch layout {
            case .byRows: row * stride + column
            case .byColumns: column * stride + row
            case .inPanels: column / 16 * stride + row * 16
            case .acrossPanels: row / 16 * stride + column * 16
            }
        return data + index * (format == nil ? 4 : 2)
    }

    var layoutCode: Int32 {
        switch layout {
        case .byRows: Int32(PEFT_BY_DEPTH)
        case .byColumns: Int32(PEFT_BY_COLUMNS)
        case .inPanels: Int32(PEFT_IN_PANELS)
        case .acrossPanels: Int32(PEFT_ACROSS_PANELS)
        }
    }

    var formatCode: Int32 {
        switch format {
        case nil: Int32(PEFT_FLOAT)
        case .bfloat16: Int32(PEFT_BFLOAT16)
        case .float16: Int32(PEFT_FLOAT16)
        }
    }
}

/// C (+)= A · B in our own kernels: A's rows are read where they lie, its columns are copied into rows, and a block of B is
/// copied into panels of sixteen columns, small enough for cache, once for many rows.
///
/// The depth is cut into blocks by its length alone, and an element's products are summed block by block in their order.
/// So it has the same bits whatever rows and columns are beside it, in whatever layout and format B is, and however many
/// threads work.
package enum BlockProduct {
    /// Whether large products run here instead of in OpenBLAS's kernels: on x86-64, where they are ahead by 5 % and more with
    /// vectors of eight floats and of sixteen. `PEFT_KERNELS=own` or `blas` chooses by hand, to compare them; `avx2` has all
    /// kernels take vectors of eight floats, as where there are no wider ones.
    package static let isPreferred: Bool = {
        switch getenv("PEFT_KERNELS").map({ String(cString: $0) }) {
        case "own", "avx2": return true
        case "blas": return false
        default:
            #if arch(x86_64)
            return true
            #else
            return false
            #endif
        }
    }()

    /// Whether a weight's product runs here, however many rows it has.
    static func suits(beta: Float) -> Bool { isPreferred && (beta == 0 || beta == 1) }

    /// The most of the depth that is summed at once: a panel of it and some rows of A fill the first level of cache; of numbers of
    /// half the bytes twice as many, because C is read and written for each block of the depth.
    private static let deepest = 384
    /// The most rows whose block of A is kept in the second level of cache.
    private static let highest = 96

    /// C ← A · B, or C + A · B where `adding`; `epilogue` as in `multiply`.
    ///
    /// - Parameter isRounding: Whether A's and B's elements are rounded to BF16 first, which needs
    ///   `Processor.hasBFloat16Products`.
    package static func run(
        _ a: Matrix, _ b: BlockOperand, into c: UnsafeMutablePointer<Float>, stride: Int, adding: Bool,
        isRounding: Bool = false, epilogue: ((Tile) -> Void)?
    ) {
        require(
            a.columns == b.rows,
            "BlockProduct: [\(a.rows), \(a.columns)] by [\(b.rows), \(b.columns)]")
        let (m, n, k) = (a.rows, b.columns, a.columns)
        if m == 0 || n == 0 { return }
        let isCoded = b.codes != nil
        let step =
            k == 0 ? 16 : TileGrid.share(k, atMost: isRounding ? 2 * deepest : deepest, multiple: isCoded ? 64 : 16)
        let cut =
            a.isTransposed
            ? cutCopyingBoth(rows: m, columns: n)
            : cut(
                rows: m, columns: n, depth: k, unit: isCoded ? 64 : 48, widest: isRounding ? 2 * widest : widest)
        let across = (n + cut.columns - 1) / cut.columns
        WorkerPool.shared.run((m + cut.rows - 1) / cut.rows * across) { index in
            let (row, column) = (index / across * cut.rows, index % across * cut.columns)
            let columns = column..<min(n, column + cut.columns)
            let rows = row..<min(m, row + cut.rows)
            let height = TileGrid.share(rows.count, atMost: highest, multiple: 6)
            let panels = isCoded ? TensorStorage(shape: [Panel.padded(columns.count) * min(step, k)]) : nil
            var first = 0
            repeat {
                let depth = min(step, k - first)
                if let panels {
                    b.unpack(rows: first..<first + depth, columns: columns, isScaled: true, to: panels.base)
                }
                for start in Swift.stride(from: rows.lowerBound, to: rows.upperBound, by: height) {
                    let tile = Tile(rows: start..<min(rows.upperBound, start + height), columns: columns)
                    var block = peft_block(
                        a: a.data + (a.isTransposed ? first * a.stride + start : start * a.stride + first),
                        a_stride: a.stride, a_by_columns: a.isTransposed ? 1 : 0,
                        b: b.address(row: first, column: column), b_stride: b.stride, b_format: b.formatCode,
                        b_layout: b.layoutCode, c: c + start * stride + column, c_stride: stride, rows: tile.rows.count,
                        columns: columns.count, depth: depth, depth_after: k - first - depth,
                        adds: adding || first > 0 ? 1 : 0, copies: start == rows.lowerBound ? 1 : 0)
                    if let panels { block.takePanels(panels.base, isCopying: isRounding && start == rows.lowerBound) }
                    let isDone = (isRounding ? peft_half_block_product(&block) : peft_block_product(&block)) != 0
                    if !isDone { endWithoutMemory("the copy of a product's operand") }
                    if first + depth == k { epilogue?(tile) }
                }
                first += depth
            } while first < k
        }
    }

    /// How C is shared out, by its shape alone, for a handful of threads: columns enough that reading A again for others
    /// doesn't show, and as many rows as there are, so that B is copied once, unless threads had nothing to do. What is done
    /// with a finished tile may have other bits in another one, so that the number of threads has no say.
    ///
    /// - Parameter unit: What the parts' columns are multiples of.
    private static func cut(
        rows: Int, columns: Int, depth: Int, unit: Int, widest: Int
    ) -> (rows: Int, columns: Int) {
        if Double(rows) * Double(columns) * Double(depth) < 0x1p17 { return (rows, columns) }
        let threads = TileGrid.enough
        let least = (rows + 1023) / 1024
        var best = (rows: rows, columns: unit, cost: Double.infinity)
        for width in stride(from: widest / unit * unit, through: unit, by: -unit) {
            for down in least...max(least, min(least + 7, rows / 48)) {
                let height = TileGrid.share(rows, atMost: (rows + down - 1) / down, multiple: 6)
                let parts = (rows + height - 1) / height * ((columns + width - 1) / width)
                // A is read again for each part, B copied: as if a part had some more columns and rows.
                let part = Double(height + copyingRows) * Double(width + readingColumns)
                let cost = Double((parts + threads - 1) / threads) * part
                if cost < best.cost { best = (height, width, cost) }
            }
        }
        return (best.rows, best.columns)
    }

    /// A block of B of so many columns leaves room for one of A in the second level of cache; of half the bytes, of twice as
    /// many.
    private static let widest = 192
    /// What copying B costs for each part, in rows, and reading A, in columns.
    private static let (copyingRows, readingColumns) = (30, 8)

    /// The same where A is copied too, row by row out of its columns.
    private static func cutCopyingBoth(rows: Int, columns: Int) -> (rows: Int, columns: Int) {
        let width = min(columns, TileGrid.share(columns, atMost: 384, multiple: 16))
        let across = (columns + width - 1) / width
        let down = max((rows + 383) / 384, min((TileGrid.enough + across - 1) / across, (rows + 95) / 96))
        return (TileGrid.share(rows, atMost: (rows + down - 1) / down, multiple: 6), width)
    }
}

extension BlockOperand {
    /// Some rows and columns of coded numbers as floats, in panels of sixteen columns.
    func unpack(
        rows: Range<Int>, columns: Range<Int>, isScaled: Bool, to panels: UnsafeMutablePointer<Float>
    ) {
        guard var codes else { return }
        if layout == .byColumns {
            peft_unpack_by_inputs(
                &codes, rows.lowerBound, rows.count, columns.lowerBound, columns.count, isScaled ? 1 : 0, panels)
        } else {
            peft_unpack_by_outputs(&codes, rows.lowerBound, rows.count, columns.lowerBound, columns.count, panels)
        }
    }
}

extension peft_block {
    /// Reads the right operand from panels of floats as high as the block is deep.
    mutating func takePanels(_ panels: UnsafePointer<Float>, isCopying: Bool) {
        (b, b_stride, copies) = (UnsafeRawPointer(panels), 16 * depth, isCopying ? 1 : 0)
        (b_format, b_layout) = (Int32(PEFT_FLOAT), Int32(PEFT_IN_PANELS))
    }
}
