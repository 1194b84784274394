import Glibc
import Tensors
import TestSupport
import Testing

struct ActivationTests {
    private func exact(_ x: Double, _ kind: Activation) -> Double {
        switch kind {
        case .geluNew, .geluPytorchTanh, .geluPythonTanh, .geluFast, .geluAccurate:
            return 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
        case .gelu, .geluPython: return 0.5 * x * erfc(-x / 2.0.squareRoot())
        case .gelu10: return min(10, 0.5 * x * erfc(-x / 2.0.squareRoot()))
        case .quickGELU: return x / (1 + exp(-1.702 * x))
        case .relu: return max(x, 0)
        case .relu6: return min(max(x, 0), 6)
        case .relu2: return max(x, 0) * max(x, 0)
        case .leakyReLU: return x > 0 ? x : 0.01 * x
        case .silu, .swish: return x / (1 + exp(-x))
        case .hardswish: return x * min(max(x + 3, 0), 6) / 6
        case .mish: return x * tanh(log1p(exp(x)))
        case .tanh: return tanh(x)
        case .sigmoid: return 1 / (1 + exp(-x))
        case .laplace: return 0.5 * erfc(-(x - 0.707107) / (0.282095 * 2.0.squareRoot()))
        case .linear: return x
        }
    }

    /// Where x grows without bound: the values at −30, 30, −1e6 and 1e6, and the slopes there.
    private func ends(of kind: Activation) -> (values: [Double], slopes: [Float]) {
        switch kind {
        case .gelu10: ([0, 10, 0, 10], [0, 0, 0, 0])
        case .relu6: ([0, 6, 0, 6], [0, 0, 0, 0])
        case .relu2: ([0, 900, 0, 1e12], [0, 60, 0, 2e6])
        case .leakyReLU: ([-0.3, 30, -1e4, 1e6], [0.01, 1, 0.01, 1])
        case .tanh: ([-1, 1, -1, 1], [0, 0, 0, 0])
        case .sigmoid, .laplace: ([0, 1, 0, 1], [0, 0, 0, 0])
        case .linear: ([-30, 30, -1e6, 1e6], [1, 1, 1, 1])
        default: ([0, 30, 0, 1e6], [0, 1, 0, 1])
        }
    }

    @Test("values and slopes match the formula", arguments: Activation.allCases)
    func matchesFormula(_ kind: Activation) {
        for count in [1, 7, 8, 37] {
            let x = Tensor(noise(count, seed: UInt64(count), scale: 5), shape: [count])
            let found = deviation(
                of: { activate($0[0], kind) }, from: { $0[0].map { exact($0, kind) } }, at: [x])
            #expect(found.forward < 1e-6)
            #expect(found.backward < 1e-6)
        }
    }

    @Test("far from 0 values and slopes are those of the limits", arguments: Activation.allCases)
    func limits(_ kind: Activation) {
        let x = Tensor([-30, 30, -1e6, 1e6, -.greatestFiniteMagnitude, .nan], shape: [6])
        x.track()
        let y = activate(x, kind)
        let (values, slopes) = ends(of: kind)
        for (i, expected) in values.enumerated() {
            #expect((Double(y.values[i]) - expected).magnitude <= 1e-10 + 1e-7 * expected.magnitude)
        }
        #expect(y.values[4].isFinite)
        #expect(y.values[5].isNaN)
        y.backward()
        let found = x.gradient?.values ?? []
        for (slope, expected) in zip(found, slopes) {
            #expect((slope - expected).magnitude <= 1e-10 + 1e-7 * expected.magnitude)
        }
        #expect(found.count == 6 && found[4].isFinite)
    }

    @Test(
        "the slopes at corners are torch's",
        arguments: [
            (.relu, [0, -0.0, 1e-30], [0, 0, 1]), (.relu6, [0, 3, 6], [0, 1, 0]), (.relu2, [0, 3, 6], [0, 6, 12]),
            (.leakyReLU, [0, -0.0, 1e-30], [0.01, 0.01, 1]), (.hardswish, [-3, 0, 3], [0, 0.5, 1]),
            (.gelu10, [0, 10, 10.5], [0.5, 1, 0]),
        ] as [(Activation, [Float], [Float])])
    func corners(_ kind: Activation, _ places: [Float], _ slopes: [Float]) {
        let x = Tensor(places, shape: [3])
        x.track()
        activate(x, kind).backward()
        #expect(x.gradient?.values == slopes)
    }

    @Test("on a tile with bias: what the op computes, nothing outside", arguments: Activation.allCases)
    func epilogue(_ kind: Activation) {
        let (rows, columns) = (5, 27)
        let x = Tensor(noise(rows * columns, scale: 3), shape: [rows, columns])
        let bias = Tensor(noise(columns, seed: 2), shape: [columns])
        let tile = Tile(rows: 1..<4, columns: 3..<22)
        let (y, z) = (Tensor(repeating: 9, [rows, columns]), Tensor(repeating: 9, [rows, columns]))
        applyActivation(
            x.data, bias: bias.data, preactivation: y.data, output: z.data, stride: columns, tile: tile, kind)
        let inPlace = x.copy()
        applyActivation(
            inPlace.data, bias: bias.data, preactivation: inPlace.data, output: inPlace.data, stride: columns,
            tile: tile, kind)
        let sums = Tensor((0..<rows * columns).map { x.values[$0] + bias.values[$0 % columns] }, shape: x.shape)
        let expected = activate(sums, kind).values
        let biased = x.copy()
        applyBias(bias.data, to: biased.data, stride: columns, tile: tile)
        let (dy, dx) = (Tensor(noise(rows * columns, seed: 7), shape: x.shape), Tensor(repeating: 9, x.shape))
        applyActivationGradient(sums.data, dy: dy.data, dx: dx.data, stride: columns, tile: tile, kind)
        sums.track()
        activate(sums, kind).backward(seed: dy)
        for i in 0..<rows * columns {
            let inside = tile.rows.contains(i / columns) && tile.columns.contains(i % columns)
            #expect(y.values[i] == (inside ? sums.values[i] : 9))
            #expect(z.values[i] == (inside ? expected[i] : 9))
            #expect(inPlace.values[i] == (inside ? expected[i] : x.values[i]))
            #expect(biased.values[i] == (inside ? sums.values[i] : x.values[i]))
            #expect(dx.values[i] == (inside ? sums.gradient?.values[i] : 9))
        }
    }
}
