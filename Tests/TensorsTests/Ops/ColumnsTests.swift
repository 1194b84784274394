import Tensors
import TestSupport
import Testing

struct ColumnsTests {
    @Test("a slice is some columns, and its gradient goes back to them", arguments: [0..<1, 2..<13, 5..<5, 0..<20])
    func slice(columns: Range<Int>) {
        let found = deviation(
            of: { sliceColumns($0[0], columns) },
            from: { inputs in (0..<3).flatMap { row in columns.map { inputs[0][row * 20 + $0] } } },
            at: [Tensor(noise(60), shape: [3, 20])], elementsPerInput: 60)
        #expect(found.forward == 0)
        #expect(found.backward < 1e-6)
    }

    @Test("columns are taken head by head, and their gradients go back to them", arguments: [0..<2, 2..<4, 1..<5])
    func heads(columns: Range<Int>) {
        let found = deviation(
            of: { takeColumns($0[0], columns, ofEvery: 5) },
            from: { inputs in
                (0..<3).flatMap { row in
                    (0..<4).flatMap { head in columns.map { inputs[0][row * 20 + head * 5 + $0] } }
                }
            },
            at: [Tensor(noise(60), shape: [3, 20])], elementsPerInput: 60)
        #expect(found.forward == 0)
        #expect(found.backward < 1e-6)
    }

    @Test("slices of one matrix add up their gradients")
    func slices() {
        let x = Tensor(noise(12), shape: [2, 6])
        x.track()
        for columns in [0..<4, 3..<6] { sliceColumns(x, columns).backward() }
        #expect(x.gradient?.values == [1, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1])
    }

    @Test("matrices stand side by side", arguments: [(1, 1), (8, 3), (0, 5)])
    func concatenation(left: Int, right: Int) {
        let found = deviation(
            of: { concatenateColumns($0[0], $0[1]) },
            from: { inputs in
                (0..<4).flatMap { (row: Int) -> [Double] in
                    Array(inputs[0][row * left..<(row + 1) * left]) + inputs[1][row * right..<(row + 1) * right]
                }
            },
            at: [Tensor(noise(4 * left), shape: [4, left]), Tensor(noise(4 * right, seed: 2), shape: [4, right])],
            elementsPerInput: 40)
        #expect(found.forward == 0)
        #expect(found.backward < 1e-6)
    }
}
