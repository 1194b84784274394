import Synchronization
import Tensors
import TestSupport
import Testing

@Suite("Products in our own kernels") struct BlockProductTests {
    /// C [rows, columns], four elements further from row to row than it has columns.
    private struct Case: CustomStringConvertible {
        let rows: Int
        let depth: Int
        let columns: Int
        static let gap = 4
        var description: String { "\(rows) × \(depth) × \(columns)" }
        var left: [Float] { noise(rows * depth, seed: 3) }
        /// [depth, columns]
        var right: [Float] { noise(depth * columns, seed: 4) }
    }

    private static let cases: [Case] = [
        (1, 1, 1), (2, 16, 8), (3, 17, 9), (4, 5, 16), (5, 40, 17), (6, 769, 50), (7, 385, 97), (13, 64, 48),
        (1, 800, 131), (97, 130, 31), (200, 50, 1160), (1030, 20, 40), (11, 16390, 100), (250, 390, 100),
    ].map { Case(rows: $0.0, depth: $0.1, columns: $0.2) }

    /// B as a layout and a format have it.
    private static func stored(
        _ test: Case, _ values: [Float], _ layout: BlockOperand.Layout
    ) -> (elements: [Float], stride: Int) {
        let (depth, columns) = (test.depth, test.columns)
        switch layout {
        case .byRows: return (values, columns)
        case .byColumns:
            return ((0..<columns).flatMap { j in (0..<depth).map { values[$0 * columns + j] } }, depth)
        case .inPanels:
            var panels = [Float](repeating: 0, count: (columns + 15) / 16 * 16 * depth)
            for k in 0..<depth {
                for j in 0..<columns { panels[j / 16 * 16 * depth + k * 16 + j % 16] = values[k * columns + j] }
            }
            return (panels, 16 * depth)
        case .acrossPanels:
            var panels = [Float](repeating: 0, count: (depth + 15) / 16 * 16 * columns)
            for k in 0..<depth {
                for j in 0..<columns { panels[k / 16 * 16 * columns + j * 16 + k % 16] = values[k * columns + j] }
            }
            return (panels, 16 * columns)
        }
    }

    private static func product(
        _ test: Case, rows: Range<Int>? = nil, _ layout: BlockOperand.Layout, _ format: HalfFormat? = nil,
        start: Float = .nan, adding: Bool = false, byColumns: Bool = false, isRounding: Bool = false,
        epilogue: ((Tile) -> Void)? = nil
    ) -> [Float] {
        let rows = rows ?? 0..<test.rows
        let stride = test.columns + Case.gap
        let c = Tensor(repeating: start, [rows.count, stride])
        let (elements, distance) = stored(test, test.right, layout)
        let halves = elements.map { format == .float16 ? Float16($0).bitPattern : UInt16($0.bitPattern >> 16) }
        let byRows = test.left
        let left =
            byColumns ? (0..<test.depth).flatMap { k in (0..<test.rows).map { byRows[$0 * test.depth + k] } } : byRows
        left.withUnsafeBufferPointer { a in
            elements.withUnsafeBytes { floats in
                halves.withUnsafeBytes { halves in
                    guard let a = a.baseAddress, let floats = floats.baseAddress, let halves = halves.baseAddress
                    else { return }
                    BlockProduct.run(
                        Matrix(
                            a + rows.lowerBound * (byColumns ? 1 : test.depth), rows: rows.count, columns: test.depth,
                            stride: byColumns ? test.rows : test.depth, isTransposed: byColumns),
                        BlockOperand(
                            format == nil ? floats : halves, format, layout, rows: test.depth, columns: test.columns,
                            stride: distance), into: c.data, stride: stride, adding: adding,
                        isRounding: isRounding, epilogue: epilogue)
                }
            }
        }
        let values = c.values
        let gaps = (0..<rows.count).flatMap { values[($0 * stride + test.columns)..<(($0 + 1) * stride)] }
        #expect(gaps.allSatisfy { $0.bitPattern == start.bitPattern }, "\(test): written beside C")
        return (0..<rows.count).flatMap { values[$0 * stride..<$0 * stride + test.columns] }
    }

    /// c = a · b with the elements of `b` as a format has them.
    private static func expected(
        _ test: Case, _ format: HalfFormat?, start: Double, isRounding: Bool = false
    ) -> [Double] {
        func taken(_ value: Float) -> Double { Double(isRounding ? Self.rounded(value) : value) }
        let a = test.left.map(taken)
        let b: [Double] = test.right.map {
            switch format {
            case nil: taken($0)
            case .bfloat16: taken(Float(bitPattern: $0.bitPattern & 0xFFFF_0000))
            case .float16: taken(Float(Float16($0)))
            }
        }
        var c = [Double](repeating: start, count: test.rows * test.columns)
        for i in 0..<test.rows {
            for k in 0..<test.depth {
                let factor = a[i * test.depth + k]
                for j in 0..<test.columns { c[i * test.columns + j] += factor * b[k * test.columns + j] }
            }
        }
        return c
    }

    @Test("agree with sums in double precision, in every format", arguments: cases.indices)
    func values(index: Int) {
        let test = Self.cases[index]
        for format in [nil, HalfFormat.bfloat16, .float16] {
            let found = Self.product(test, .byRows, format, start: 0.25, adding: true)
            let expected = Self.expected(test, format, start: 0.25)
            #expect(largestDifference(found.map(Double.init), expected) < 2e-6, "\(test)")
        }
    }

    @Test("have the same bits from every layout of both operands", arguments: cases.indices)
    func layouts(index: Int) {
        let test = Self.cases[index]
        for format in [nil, HalfFormat.bfloat16, .float16] {
            let first = Self.product(test, .byRows, format)
            for layout in BlockOperand.Layout.allCases {
                #expect(Self.product(test, layout, format) == first, "\(test), \(layout)")
                #expect(Self.product(test, layout, format, byColumns: true) == first, "\(test), \(layout)")
            }
        }
    }

    /// The nearest number of BF16, of two the even one.
    private static func rounded(_ value: Float) -> Float {
        let bits = value.bitPattern
        return Float(bitPattern: (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000)
    }

    private static let missing: Comment = "the processor doesn't multiply BF16"

    @Test(
        "take both sides rounded to BF16 where that is asked for, in every format",
        .enabled(if: Processor.hasBFloat16Products, missing), arguments: cases.indices)
    func roundedValues(index: Int) {
        let test = Self.cases[index]
        for format in [nil, HalfFormat.bfloat16, .float16] {
            let found = Self.product(test, .byRows, format, start: 0.25, adding: true, isRounding: true)
            let expected = Self.expected(test, format, start: 0.25, isRounding: true)
            #expect(largestDifference(found.map(Double.init), expected) < 2e-6, "\(test)")
        }
    }

    @Test(
        "so rounded have the same bits from every layout, and for some rows those among all",
        .enabled(if: Processor.hasBFloat16Products, missing), arguments: cases.indices)
    func roundedLayouts(index: Int) {
        let test = Self.cases[index]
        for format in [nil, HalfFormat.bfloat16, .float16] {
            let first = Self.product(test, .byRows, format, isRounding: true)
            for layout in BlockOperand.Layout.allCases {
                #expect(Self.product(test, layout, format, isRounding: true) == first, "\(test), \(layout)")
                #expect(
                    Self.product(test, layout, format, byColumns: true, isRounding: true) == first,
                    "\(test), \(layout)")
            }
            let rows = test.rows / 2..<test.rows
            let some = Self.product(test, rows: rows, .byRows, format, isRounding: true)
            #expect(some == Array(first[rows.lowerBound * test.columns..<rows.upperBound * test.columns]), "\(test)")
        }
    }

    @Test("overwrite what was there, NaN included, unless it is to be added", arguments: cases.indices)
    func adding(index: Int) {
        let test = Self.cases[index]
        let found = Self.product(test, .byRows)
        #expect(found == Self.product(test, .byRows, start: 0, adding: true), "\(test)")
    }

    @Test("give a row the same bits alone, among some and among all", arguments: cases.indices)
    func rows(index: Int) {
        let test = Self.cases[index]
        let all = Self.product(test, .byColumns)
        for first in stride(from: 0, to: test.rows, by: max(1, test.rows / 5)) {
            for count in [1, 2, 3, 5, 6, 16, 20, 70] where first + count <= test.rows {
                let found = Self.product(test, rows: first..<first + count, .byColumns)
                let same = found == Array(all[first * test.columns..<(first + count) * test.columns])
                #expect(same, "\(test), \(count) rows from \(first)")
            }
        }
    }

    @Test("have the same bits with narrow vectors", arguments: cases.indices)
    func widths(index: Int) {
        let test = Self.cases[index]
        let (wide, narrow) = byVectorWidth { Self.product(test, .inPanels) }
        #expect(wide == narrow, "\(test)")
    }

    @Test("show every element once, when it is done", arguments: cases.indices)
    func epilogue(index: Int) {
        let test = Self.cases[index]
        let seen = Mutex([Int](repeating: 0, count: test.rows * test.columns))
        _ = Self.product(test, .byRows) { tile in
            seen.withLock {
                for i in tile.rows { for j in tile.columns { $0[i * test.columns + j] += 1 } }
            }
        }
        #expect(seen.withLock { $0.allSatisfy { $0 == 1 } }, "\(test)")
    }

    @Test("of no depth are zero, and of nothing nothing")
    func empty() {
        #expect(Self.product(Case(rows: 2, depth: 0, columns: 3), .byRows, start: 5) == [0, 0, 0, 0, 0, 0])
        #expect(Self.product(Case(rows: 0, depth: 3, columns: 3), .byRows).isEmpty)
        guard Processor.hasBFloat16Products else { return }
        let none = Self.product(Case(rows: 2, depth: 0, columns: 3), .byRows, start: 5, isRounding: true)
        #expect(none == [0, 0, 0, 0, 0, 0])
    }
}
