import Tensors
import TestSupport
import Testing

@Suite struct `Products of a few rows` {
    private struct Case: CustomStringConvertible {
        var (rows, depth, columns) = (1, 1, 1)
        var isTransposed = false
        var description: String { "\(rows) × \(depth) × \(columns)\(isTransposed ? ", by columns" : "")" }

        func run(_ a: Tensor, _ b: Tensor, alpha: Float, beta: Float, start: Float) -> [Float] {
            let c = Tensor(repeating: start, [a.rowCount, columns])
            multiply(
                Matrix(a.data, rows: a.rowCount, columns: depth),
                Matrix(b.data, rows: depth, columns: columns, isTransposed: isTransposed), into: c.data,
                stride: columns, alpha: alpha, beta: beta)
            return c.values
        }

        var left: Tensor { Tensor(noise(rows * depth, seed: 3), shape: [rows, depth]) }
        var right: Tensor { Tensor(noise(depth * columns, seed: 4), shape: [depth * columns]) }
    }

    private static let cases = [
        (1, 1, 1), (1, 768, 2304), (3, 100, 35), (16, 769, 50), (5, 17, 1001), (4, 3072, 24), (1, 40, 5000), (2, 8, 7),
        (23, 200, 97), (128, 96, 49),
    ].flatMap { sizes in
        [false, true].map { Case(rows: sizes.0, depth: sizes.1, columns: sizes.2, isTransposed: $0) }
    }

    @Test(arguments: cases.indices) func `agree with sums in double precision`(index: Int) {
        let test = Self.cases[index]
        let (a, b) = (test.left.values.map(Double.init), test.right.values.map(Double.init))
        var expected: [Double] = []
        for i in 0..<test.rows {
            for j in 0..<test.columns {
                var sum = 0.0
                for l in 0..<test.depth {
                    let y = test.isTransposed ? b[j * test.depth + l] : b[l * test.columns + j]
                    sum += a[i * test.depth + l] * y
                }
                expected.append(-0.5 * sum + 2 * 0.25)
            }
        }
        let found = test.run(test.left, test.right, alpha: -0.5, beta: 2, start: 0.25)
        #expect(largestDifference(found.map(Double.init), expected) < 2e-6, "\(test)")
    }

    @Test(arguments: cases.indices) func `overwrite what was there, NaN included, unless it is to be added`(index: Int)
    {
        let test = Self.cases[index]
        let found = test.run(test.left, test.right, alpha: 1, beta: 0, start: .nan)
        #expect(found == test.run(test.left, test.right, alpha: 1, beta: 1, start: 0), "\(test)")
    }

    @Test(arguments: cases.indices) func `give a row the same bits alone and among others`(index: Int) {
        let test = Self.cases[index]
        let all = test.run(test.left, test.right, alpha: 1, beta: 0, start: 0)
        // More rows by columns are the large products' business.
        if test.isTransposed && test.rows > 16 { return }
        for row in 0..<test.rows {
            let alone = Tensor(test.left.values[row * test.depth..<(row + 1) * test.depth], shape: [1, test.depth])
            let found = test.run(alone, test.right, alpha: 1, beta: 0, start: 0)
            #expect(found == Array(all[row * test.columns..<(row + 1) * test.columns]), "\(test), row \(row)")
        }
    }

    @Test(arguments: cases.indices) func `have the same bits with narrow vectors`(index: Int) {
        let test = Self.cases[index]
        let (wide, narrow) = byVectorWidth { test.run(test.left, test.right, alpha: 0.5, beta: 1, start: 0.5) }
        #expect(wide == narrow, "\(test)")
    }

    @Test(arguments: [1, 8, 16, 64]) func `give a row the same bits with a low-rank term too`(rank: Int) {
        let (inputs, outputs) = (240, 720)
        let x = Tensor(noise(16 * inputs, seed: 1), shape: [16, inputs])
        let a = Tensor(noise(rank * inputs, seed: 2), shape: [rank, inputs])
        let b = Tensor(noise(rank * outputs, seed: 3), shape: [outputs, rank])
        let weight = DenseWeight(
            Tensor(noise(outputs * inputs, seed: 4), shape: [inputs, outputs]), isInputByOutput: true)
        func run(_ count: Int) -> [Float] {
            let part = Tensor(x.values[..<(count * inputs)], shape: [count, inputs])
            let u = lowRankInput(part, a, scale: 2, dropout: nil)
            return linear(part, weight, bias: nil, lowRank: LowRankTerm(u: u, b: b), activation: .geluNew).values
        }
        let all = run(16)
        for count in [1, 2, 3, 5, 8, 13] { #expect(run(count) == Array(all[..<(count * outputs)])) }
    }
}
