import Glibc
import Tensors
import Testing
import TestSupport

struct LinearTests {
    /// A layer's sizes.
    struct Size: Sendable, CustomTestStringConvertible {
        var rows: Int
        var inputs: Int
        var outputs: Int
        var rank: Int
        var testDescription: String { "[\(rows), \(inputs)] by [\(outputs), \(inputs)], rank \(rank)" }
    }

    static let sizes = [
        Size(rows: 1, inputs: 1, outputs: 1, rank: 1), Size(rows: 3, inputs: 7, outputs: 5, rank: 2),
        Size(rows: 17, inputs: 9, outputs: 33, rank: 3), Size(rows: 40, inputs: 33, outputs: 8, rank: 1),
    ]

    /// z = x Wᵀ + u Bᵀ + bias for inputs x, W, u, B, bias, W in the layout of its file.
    private static func formula(_ x: [[Double]], _ size: Size, isInputByOutput: Bool) -> [Double] {
        (0..<size.rows * size.outputs).map { index in
            let (row, output) = index.quotientAndRemainder(dividingBy: size.outputs)
            let product = (0..<size.inputs).reduce(0.0) { sum, k in
                sum + x[0][row * size.inputs + k]
                    * x[1][isInputByOutput ? k * size.outputs + output : output * size.inputs + k]
            }
            let term = (0..<size.rank).reduce(0.0) {
                $0 + x[2][row * size.rank + $1] * x[3][output * size.rank + $1]
            }
            return product + term + x[4][output]
        }
    }

    private static func inputs(_ size: Size, isInputByOutput: Bool) -> [Tensor] {
        let (rows, inputs, outputs, rank) = (size.rows, size.inputs, size.outputs, size.rank)
        return [
            Tensor(noise(rows * inputs), shape: [rows, inputs]),
            Tensor(
                noise(inputs * outputs, seed: 2), shape: isInputByOutput ? [inputs, outputs] : [outputs, inputs]),
            Tensor(noise(rows * rank, seed: 3), shape: [rows, rank]),
            Tensor(noise(outputs * rank, seed: 4), shape: [outputs, rank]),
            Tensor(noise(outputs, seed: 5), shape: [outputs]),
        ]
    }

    private static func apply(_ x: [Tensor], isInputByOutput: Bool, activation: Activation?) -> Tensor {
        linear(
            x[0], DenseWeight(x[1], isInputByOutput: isInputByOutput), bias: x[4],
            lowRank: LowRankTerm(u: x[2], b: x[3]), activation: activation)
    }

    @Test("is x Wᵀ + u Bᵀ + bias, and its gradients", arguments: sizes, [true, false])
    func matchesFormula(size: Size, isInputByOutput: Bool) {
        let found = deviation(
            of: { Self.apply($0, isInputByOutput: isInputByOutput, activation: nil) },
            from: { Self.formula($0, size, isInputByOutput: isInputByOutput) },
            at: Self.inputs(size, isInputByOutput: isInputByOutput))
        #expect(found.forward < 1e-5)
        #expect(found.backward < 1e-4)
    }

    @Test("has its activation behind it", arguments: sizes)
    func activation(size: Size) {
        let found = deviation(
            of: { Self.apply($0, isInputByOutput: true, activation: .silu) },
            from: { Self.formula($0, size, isInputByOutput: true).map { $0 / (1 + exp(-$0)) } },
            at: Self.inputs(size, isInputByOutput: true))
        #expect(found.forward < 1e-5)
        #expect(found.backward < 1e-4)
    }

    @Test("keeps ties, zeros and values of ±30")
    func extremes() {
        let (x, weight) = (
            Tensor([30, -30, 0, 30, 30, 0], shape: [3, 2]), Tensor([1, 1, -1, 0, 0, 1], shape: [3, 2])
        )
        let bias = Tensor([0, -30, 30], shape: [3])
        let plain = linear(
            x, DenseWeight(weight, isInputByOutput: false), bias: bias, lowRank: nil, activation: nil)
        #expect(plain.values == [0, -60, 0, 30, -30, 60, 30, -60, 30])
        let rectified = linear(
            x, DenseWeight(weight, isInputByOutput: false), bias: bias, lowRank: nil, activation: .relu)
        #expect(rectified.values == [0, 0, 0, 30, 0, 60, 30, 0, 30])
    }

    @Test("nothing is recorded for constants, and no rows are no error")
    func constants() {
        let y = linear(
            Tensor(uninitialized: [0, 3]), DenseWeight(Tensor(zeros: [4, 3]), isInputByOutput: false), bias: nil,
            lowRank: nil, activation: .gelu)
        #expect(y.shape == [0, 4])
        #expect(!y.needsGradient)
    }

    @Test("omitting the value keeps the gradients' bits")
    func omittedValue() {
        let size = Self.sizes[2]
        func gradients(omitsValue: Bool) -> [[Float]] {
            let x = Self.inputs(size, isInputByOutput: true)
            for tensor in x { tensor.track() }
            linear(
                x[0], DenseWeight(x[1], isInputByOutput: true), bias: x[4], lowRank: LowRankTerm(u: x[2], b: x[3]),
                activation: nil, omitsValue: omitsValue
            ).backward()
            return x.map { $0.gradient?.values ?? [] }
        }
        #expect(gradients(omitsValue: true) == gradients(omitsValue: false))
    }
}
