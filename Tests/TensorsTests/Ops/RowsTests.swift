import Tensors
import Testing
import TestSupport

struct RowsTests {
    static let cases: [(rows: Int, width: Int, chosen: [Int])] = [
        (1, 1, [0]), (5, 3, [4, 0, 2]), (3, 7, [0, 1, 2]), (200, 9, (0..<150).map { $0 * 7 % 200 }), (4, 2, []),
    ]

    @Test("some rows, in the order given, and their gradients", arguments: cases)
    func matchesFormula(_ example: (rows: Int, width: Int, chosen: [Int])) {
        let found = deviation(
            of: { gatherRows($0[0], example.chosen) },
            from: { x in
                example.chosen.flatMap { row in (0..<example.width).map { x[0][row * example.width + $0] } }
            }, at: [Tensor(noise(example.rows * example.width, scale: 30), shape: [example.rows, example.width])])
        #expect(found.forward == 0)
        #expect(found.backward < 1e-4)
    }

    @Test("gradients are added to those that came before")
    func accumulates() {
        let x = Tensor([1, 2, 3], shape: [3, 1])
        x.track()
        addResidual(gatherRows(x, [2, 0]), gatherRows(x, [0, 1]), dropout: nil).backward(
            seed: Tensor([1, 10], shape: [2, 1]))
        #expect(x.gradient?.values == [11, 10, 1])
    }
}
