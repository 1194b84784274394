import Tensors
import TestSupport
import Testing

struct ColumnScaleTests {
    @Test("columns are multiplied and shifted", arguments: [(1, 1), (3, 8), (5, 13), (200, 70)], [true, false])
    func matchesFormula(_ shape: (Int, Int), hasBias: Bool) {
        let (rows, columns) = shape
        let inputs = [
            Tensor(noise(rows * columns), shape: [rows, columns]), Tensor(noise(columns, seed: 2), shape: [columns]),
            Tensor(noise(columns, seed: 3), shape: [columns]),
        ]
        let found = deviation(
            of: { scaleColumns($0[0], by: $0[1], bias: hasBias ? $0[2] : nil) },
            from: { x in
                (0..<rows * columns).map { x[0][$0] * x[1][$0 % columns] + (hasBias ? x[2][$0 % columns] : 0) }
            }, at: Array(inputs.prefix(hasBias ? 3 : 2)))
        #expect(found.forward < 1e-6)
        #expect(found.backward < 1e-5)
    }

    @Test("gradients are added to those that came before")
    func accumulates() {
        let (x, g) = (Tensor([1, 2], shape: [1, 2]), Tensor([3, 4], shape: [2]))
        x.track()
        g.track()
        addResidual(scaleColumns(x, by: g, bias: nil), scaleColumns(x, by: g, bias: nil), dropout: nil).backward()
        #expect(x.gradient?.values == [6, 8])
        #expect(g.gradient?.values == [2, 4])
    }
}
