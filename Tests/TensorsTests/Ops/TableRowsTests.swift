import Tensors
import TestSupport
import Testing

struct TableRowsTests {
    static let indices: [Int32] = [4, 0, 4, 2, 4]

    @Test("rows and columns are read, and repeated ones sum their gradients", arguments: [1, 8, 13])
    func reading(width: Int) {
        let rows = deviation(
            of: { tableRows($0[0], Self.indices) },
            from: { x in Self.indices.flatMap { index in (0..<width).map { x[0][Int(index) * width + $0] } } },
            at: [Tensor(noise(5 * width), shape: [5, width])])
        let columns = deviation(
            of: { tableColumns($0[0], Self.indices) },
            from: { x in Self.indices.flatMap { index in (0..<width).map { x[0][$0 * 5 + Int(index)] } } },
            at: [Tensor(noise(5 * width), shape: [width, 5])])
        for found in [rows, columns] {
            #expect(found.forward < 1e-6)
            #expect(found.backward < 1e-6)
        }
    }

    @Test("chosen rows are replaced, and only the others pass their gradients on", arguments: [1, 8, 13])
    func overriding(width: Int) {
        let choices: [Int?] = [nil, 1, 0, nil, 1]
        let inputs = [
            Tensor(noise(5 * width), shape: [5, width]), Tensor(noise(2 * width, seed: 2), shape: [2, width]),
        ]
        func formula(_ x: [[Double]]) -> [Double] {
            choices.enumerated().flatMap { row, choice in
                (0..<width).map { column in
                    choice.map { x[1][$0 * width + column] } ?? x[0][row * width + column]
                }
            }
        }
        let found = deviation(of: { overrideRows($0[0], $0[1], choices) }, from: formula, at: inputs)
        #expect(found.forward < 1e-6)
        #expect(found.backward < 1e-6)
        // Beside another use of x, so that the gradient is added to one that is there.
        let twice = deviation(
            of: { addResidual($0[0], overrideRows($0[0], $0[1], choices), dropout: nil) },
            from: { x in zip(x[0], formula(x)).map { $0 + $1 } }, at: inputs)
        #expect(twice.backward < 1e-6)
    }
}
