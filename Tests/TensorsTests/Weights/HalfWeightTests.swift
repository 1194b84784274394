import Synchronization
import Tensors
import TestSupport
import Testing

@Suite("A weight of 16-bit numbers") struct HalfWeightTests {
    /// Numbers that both formats can hold, of magnitudes from 2^-14 to 4.
    private static func patterns(_ count: Int, _ format: HalfFormat) -> [UInt16] {
        noise(count, seed: 5).enumerated().map { index, value in
            let scaled = value * Float(sign: .plus, exponent: 2 - index % 15, significand: 1)
            switch format {
            case .bfloat16: return UInt16(scaled.bitPattern >> 16)
            case .float16: return index % 97 == 0 ? UInt16(index % 1024) : Float16(scaled).bitPattern
            }
        }
    }

    private final class Memory {
        let base: UnsafeMutablePointer<UInt16>

        init(_ patterns: [UInt16]) {
            base = .allocate(capacity: max(1, patterns.count))
            base.initialize(from: patterns, count: patterns.count)
        }

        deinit { base.deallocate() }
    }

    private static func tensor(_ shape: [Int], _ format: HalfFormat) -> HalfTensor {
        let memory = Memory(patterns(shape.reduce(1, *), format))
        return HalfTensor(memory.base, format, shape: shape, owner: memory)
    }

    @Test("is what Swift converts it to", arguments: [HalfFormat.bfloat16, .float16])
    func values(format: HalfFormat) {
        let patterns = Self.patterns(1003, format)
        let expected: [Float] = patterns.map {
            switch format {
            case .bfloat16: Float(bitPattern: UInt32($0) << 16)
            case .float16: Float(Float16(bitPattern: $0))
            }
        }
        let tensor = Self.tensor([17, 59], format)
        #expect(tensor.floats.values == expected)
        let row = Tensor(repeating: 1, [59])
        tensor.copyRow(16, to: row.data)
        #expect(row.values == Array(expected[(16 * 59)...]))
        tensor.addRow(15, to: row.data)
        #expect(row.values == zip(expected[(16 * 59)...], expected[(15 * 59)...]).map { $0 + $1 })
    }

    @Test(
        "gives the bits of the same weight kept as floats",
        arguments: [HalfFormat.bfloat16, .float16],
        [(1, 5, 3), (1, 300, 96), (1, 83, 109), (3, 64, 40), (17, 70, 300), (300, 96, 130)])
    func products(format: HalfFormat, size: (rows: Int, inputs: Int, outputs: Int)) {
        let (rows, inputs, outputs) = size
        let x = Tensor(noise(rows * inputs), shape: [rows, inputs])
        let dy = Tensor(noise(rows * outputs, seed: 2), shape: [rows, outputs])
        for isInputByOutput in [false, true] {
            let stored = Self.tensor(isInputByOutput ? [inputs, outputs] : [outputs, inputs], format)
            let half = HalfWeight(stored, isInputByOutput: isInputByOutput)
            let dense = DenseWeight(stored.floats, isInputByOutput: isInputByOutput)
            #expect(half.inputSize == inputs && half.outputSize == outputs && half.trainable == nil)
            #expect(self.outputs(of: half, x) == self.outputs(of: dense, x))
            #expect(gradients(of: half, dy) == gradients(of: dense, dy))
        }
    }

    @Test(
        "that is too large to be converted at once gives the same bits forward, and the same sums back",
        arguments: [(HalfFormat.bfloat16, 20, 72), (.bfloat16, 265, 500), (.bfloat16, 340, 900), (.float16, 265, 900)])
    func large(format: HalfFormat, rows: Int, inputs: Int) {
        let outputs = HalfWeight.wholeLimit / inputs + 1001
        let x = Tensor(noise(rows * inputs), shape: [rows, inputs])
        let dy = Tensor(noise(rows * outputs, seed: 2), shape: [rows, outputs])
        for isInputByOutput in [false, true] {
            let stored = Self.tensor(isInputByOutput ? [inputs, outputs] : [outputs, inputs], format)
            let half = HalfWeight(stored, isInputByOutput: isInputByOutput)
            let dense = DenseWeight(stored.floats, isInputByOutput: isInputByOutput)
            // Compared beforehand: of millions of numbers the test library would show what differs.
            let isSame = self.outputs(of: half, x) == self.outputs(of: dense, x)
            #expect(isSame)
            let (found, expected) = (gradients(of: half, dy), gradients(of: dense, dy))
            #expect(largestDifference(found.map(Double.init), expected.map(Double.init)) < 1e-5)
        }
    }

    @Test("that is too large calls the epilogue once for every element")
    func epilogue() {
        let (rows, inputs) = (300, 900)
        let outputs = HalfWeight.wholeLimit / inputs + 100
        let half = HalfWeight(Self.tensor([outputs, inputs], .bfloat16), isInputByOutput: false)
        let x = Tensor(zeros: [rows, inputs])
        let y = Tensor(uninitialized: [rows, outputs])
        let seen = Mutex([Int](repeating: 0, count: rows))
        withExtendedLifetime((x, y)) {
            half.multiply(x.data, rows: rows, into: y.data, beta: 0, byRow: true) { tile in
                seen.withLock { for row in tile.rows { $0[row] += tile.columns.count } }
            }
        }
        #expect(seen.withLock { $0 } == Array(repeating: outputs, count: rows))
    }

    private func outputs(of weight: any BaseWeight, _ x: Tensor) -> [Float] {
        let y = Tensor(uninitialized: [x.rowCount, weight.outputSize])
        weight.multiply(x.data, rows: x.rowCount, into: y.data, beta: 0, byRow: true, epilogue: nil)
        return y.values
    }

    /// Computed once afresh and once on top.
    private func gradients(of weight: any BaseWeight, _ dy: Tensor) -> [Float] {
        let dx = Tensor(uninitialized: [dy.rowCount, weight.inputSize])
        weight.multiplyTransposed(dy.data, rows: dy.rowCount, into: dx.data, beta: 0)
        weight.multiplyTransposed(dy.data, rows: dy.rowCount, into: dx.data, beta: 1)
        return dx.values
    }
}
