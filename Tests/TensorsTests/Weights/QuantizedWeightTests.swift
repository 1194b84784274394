import Tensors
import TestSupport
import Testing

@Suite("A weight of 4 or 8 bits") struct QuantizedWeightTests {
    static let kinds = [
        Quantization(.nf4), Quantization(.nf4, isDouble: true), Quantization(.fp4, blockSize: 32, isDouble: true),
        Quantization(.fp4, blockSize: 128), Quantization(.int8),
    ]
    /// Whose rows are whole blocks, more than a panel and less; whose rows aren't; and whose number is odd.
    static let sizes = [(1, 64), (70, 64), (64, 192), (130, 128), (200, 64), (48, 96), (9, 50), (5, 13), (1, 1)]

    private static func weight(
        _ kind: Quantization, _ size: (outputs: Int, inputs: Int), isInputByOutput: Bool = false
    ) throws -> (QuantizedTensor, Tensor) {
        let floats = Tensor(
            noise(size.outputs * size.inputs, seed: 3),
            shape: isInputByOutput ? [size.inputs, size.outputs] : [size.outputs, size.inputs])
        let tensor = try QuantizedTensor.quantizing(
            floats, isInputByOutput: isInputByOutput, kind, originalType: "float32")
        return (tensor, floats)
    }

    @Test("has the elements that its codes and scales say, whichever way it is read", arguments: kinds, sizes)
    func elements(kind: Quantization, size: (outputs: Int, inputs: Int)) throws {
        let (tensor, _) = try Self.weight(kind, size)
        let (rows, scales) = (tensor.codesByRows(), tensor.scales.values)
        let table: [Float] =
            kind.format == .nf4
            ? [
                -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
                -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
                0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023,
                1,
            ]
            : [
                0, 0.0052083334885537624, 0.6666666865348816, 1, 0.3333333432674408, 0.5, 0.1666666716337204, 0.25, 0,
                -0.0052083334885537624, -0.6666666865348816, -1, -0.3333333432674408, -0.5, -0.1666666716337204, -0.25,
            ]
        let expected: [Float] = (0..<tensor.count).map { index in
            if kind.format == .int8 {
                return Float(Int8(bitPattern: rows[index])) * scales[index / size.inputs] * 7.874015718698502e-3
            }
            let code = index % 2 == 0 ? rows[index / 2] >> 4 : rows[index / 2] & 15
            return table[Int(code)] * scales[index / kind.blockSize]
        }
        #expect(tensor.floats.values == expected)
        let row = Tensor(zeros: [size.inputs])
        for index in [0, size.outputs - 1] {
            tensor.copyRow(index, to: row.data)
            #expect(row.values == Array(expected[index * size.inputs..<(index + 1) * size.inputs]))
        }
        let again = rows.withUnsafeBytes {
            QuantizedTensor(
                $0, tensor.scales, kind, outputs: size.outputs, inputs: size.inputs, isInputByOutput: true,
                originalType: "float32")
        }
        #expect(again.shape == [size.inputs, size.outputs] && again.codesByRows() == rows)
        let transposed = again.floats.values
        #expect(
            (0..<tensor.count).allSatisfy {
                transposed[$0 % size.inputs * size.outputs + $0 / size.inputs] == expected[$0]
            })
    }

    @Test("is near to what was quantized, and the same from either layout", arguments: kinds, sizes)
    func quantized(kind: Quantization, size: (outputs: Int, inputs: Int)) throws {
        let (tensor, floats) = try Self.weight(kind, size)
        let transposed = Tensor(uninitialized: [size.inputs, size.outputs])
        for i in 0..<floats.count { transposed.data[i % size.inputs * size.outputs + i / size.inputs] = floats.data[i] }
        let other = try QuantizedTensor.quantizing(
            transposed, isInputByOutput: true, kind, originalType: "float32")
        #expect(other.codesByRows() == tensor.codesByRows() && other.scales.values == tensor.scales.values)
        let step: Float = kind.format == .int8 ? 0.005 : kind.format == .nf4 ? 0.16 : 0.18
        let found = tensor.floats
        #expect((0..<floats.count).allSatisfy { (found.data[$0] - floats.data[$0]).magnitude <= step })
    }

    @Test(
        "gives the products of its elements, forward, back and added to what is there", arguments: kinds, sizes)
    func products(kind: Quantization, size: (outputs: Int, inputs: Int)) throws {
        for rows in [1, 2, 7, 50] { try products(kind, size, rows) }
    }

    private func products(_ kind: Quantization, _ size: (outputs: Int, inputs: Int), _ rows: Int) throws {
        let (outputs, inputs) = size
        let x = Tensor(noise(rows * inputs), shape: [rows, inputs])
        let dy = Tensor(noise(rows * outputs, seed: 2), shape: [rows, outputs])
        for isInputByOutput in [false, true] {
            let (tensor, _) = try Self.weight(kind, size, isInputByOutput: isInputByOutput)
            let floats = tensor.floats
            func element(_ output: Int, _ input: Int) -> Double {
                Double(floats.data[isInputByOutput ? input * outputs + output : output * inputs + input])
            }
            let weight = tensor.weight(isInputByOutput: isInputByOutput)
            for (byRow, beta) in [(false, Float(0)), (true, 0), (false, 1), (true, 1)] {
                let y = Tensor(repeating: 0.5, [rows, outputs])
                weight.multiply(x.data, rows: rows, into: y.data, beta: beta, byRow: byRow, epilogue: nil)
                let expected = (0..<rows * outputs).map { index in
                    (0..<inputs).reduce(Double(beta) * 0.5) {
                        $0 + Double(x.data[index / outputs * inputs + $1]) * element(index % outputs, $1)
                    }
                }
                #expect(largestDifference(y.values.map(Double.init), expected) < 2e-6)
            }
            for beta in [Float(0), 1] {
                let dx = Tensor(repeating: 0.5, [rows, inputs])
                weight.multiplyTransposed(dy.data, rows: rows, into: dx.data, beta: beta)
                let expected = (0..<rows * inputs).map { index in
                    (0..<outputs).reduce(Double(beta) * 0.5) {
                        $0 + Double(dy.data[index / inputs * outputs + $1]) * element($1, index % inputs)
                    }
                }
                #expect(largestDifference(dx.values.map(Double.init), expected) < 2e-6)
            }
        }
    }

    @Test(
        "gives a row the same bits whatever rows are beside it, and calls for each tile once", arguments: kinds, sizes)
    func rowByRow(kind: Quantization, size: (outputs: Int, inputs: Int)) throws {
        let (outputs, inputs) = size
        let weight = try Self.weight(kind, size).0.weight(isInputByOutput: false)
        let x = Tensor(noise(300 * inputs), shape: [300, inputs])
        let whole = Tensor(zeros: [300, outputs])
        weight.multiply(x.data, rows: 300, into: whole.data, beta: 0, byRow: true, epilogue: nil)
        for rows in [1, 3, 65] {
            let y = Tensor(zeros: [rows, outputs])
            let counts = Tensor(zeros: [rows, outputs])
            weight.multiply(x.data, rows: rows, into: y.data, beta: 0, byRow: true) { tile in
                for row in tile.rows { for column in tile.columns { counts.data[row * outputs + column] += 1 } }
            }
            #expect(y.values == Array(whole.values.prefix(rows * outputs)))
            #expect(counts.values.allSatisfy { $0 == 1 })
        }
    }

    @Test("says which element can't be quantized")
    func unusable() throws {
        let values = noise(128 * 64)
        for (kind, value, text) in [
            (Quantization(.nf4), Float.nan, "NaN in row 3, column 5"),
            (Quantization(.fp4), -.infinity, "infinity in row 3, column 5"),
            (Quantization(.int8), 70_000, "70000.0 in row 3, column 5"),
        ] {
            var changed = values
            changed[3 * 64 + 5] = value
            let tensor = Tensor(changed, shape: [128, 64])
            let error = #expect(throws: NonFiniteElement.self) {
                _ = try QuantizedTensor.quantizing(
                    tensor, isInputByOutput: false, kind, originalType: "float32")
            }
            #expect(error?.description == text)
        }
    }

    @Test("takes 4.127 bits an element with double quantization")
    func size() throws {
        let tensor = try Self.weight(Quantization(.nf4, isDouble: true), (768, 2304)).0
        #expect(abs(8 * Double(tensor.byteCount) / Double(tensor.count) - 4.131) < 0.003)
    }

    @Test("has bitsandbytes' codes for scales that differ by the smallest of numbers, or not at all")
    func smallestScales() {
        let least = Float.leastNonzeroMagnitude
        for (magnitudes, expected) in [
            ([0, least, 0], [0, 255, 0]), ([least, least, least], [255, 255, 255]),
            ([0, 9 * least, 20 * least], [0, 255, 255]), ([0, 0, 0], [0, 0, 0]),
        ] as [([Float], [UInt8])] {
            guard case .nested(let codes, _, _, _) = QuantizedScales.nesting(magnitudes, offset: 0) else { continue }
            #expect(codes == expected)
        }
    }
}
