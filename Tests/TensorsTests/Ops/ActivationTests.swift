import Glibc
import Tensors
import TestSupport
import Testing

struct ActivationTests {
    private func exact(_ x: Double, _ kind: Activation) -> Double {
        switch kind {
        case .geluNew, .geluPytorchTanh:
            return 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
        case .gelu: return 0.5 * x * erfc(-x / 2.0.squareRoot())
        case .relu: return max(x, 0)
        case .silu: return x / (1 + exp(-x))
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
        for (i, expected) in [0, 30, 0, 1e6, 0].enumerated() {
            #expect((Double(y.values[i]) - expected).magnitude <= 1e-10 + 1e-7 * expected)
        }
        #expect(y.values[5].isNaN)
        y.backward()
        let slopes = x.gradient?.values ?? []
        for (slope, expected) in zip(slopes, [0, 1, 0, 1, 0] as [Float]) {
            #expect((slope - expected).magnitude < 1e-10)
        }
        #expect(slopes.count == 6)
    }

    @Test("the slope of relu at 0 is 0")
    func tie() {
        let x = Tensor([0, -0.0, 1e-30], shape: [3])
        x.track()
        activate(x, .relu).backward()
        #expect(x.gradient?.values == [0, 0, 1])
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
