import Tensors
import TestSupport
import Testing

@Suite(.serialized) struct KroneckerTests {
    private func inputs(_ shape: (Int, Int, Int, Int), rows: Int) -> [Tensor] {
        let (l, m, k, n) = shape
        return [
            Tensor(noise(rows * m * n), shape: [rows, m * n]), Tensor(noise(l * m, seed: 2), shape: [l, m]),
            Tensor(noise(k * n, seed: 3), shape: [k, n]),
        ]
    }

    @Test(
        "the product with a Kronecker product", arguments: [(1, 1, 1, 1), (2, 3, 5, 4), (9, 2, 1, 7), (3, 8, 6, 1)],
        [1, 5, 70])
    func matchesFormula(_ shape: (Int, Int, Int, Int), rows: Int) {
        let (l, m, k, n) = shape
        let found = deviation(
            of: { kroneckerProduct($0[0], $0[1], $0[2], scale: 0.7) },
            from: { x in
                (0..<rows * l * k).map { index in
                    let (row, column) = index.quotientAndRemainder(dividingBy: l * k)
                    var sum = 0.0
                    for i in 0..<m {
                        for j in 0..<n {
                            sum += x[0][row * m * n + i * n + j] * x[1][column / k * m + i] * x[2][column % k * n + j]
                        }
                    }
                    return 0.7 * sum
                }
            }, at: inputs(shape, rows: rows), elementsPerInput: 12)
        #expect(found.forward < 1e-5)
        #expect(found.backward < 1e-4)
    }

    @Test("has the same bits whatever the number of threads")
    func threads() {
        let before = WorkerPool.shared.threadCount
        defer { WorkerPool.shared.threadCount = before }
        var results: [[[UInt32]]] = []
        for threads in 1...4 {
            WorkerPool.shared.threadCount = threads
            let inputs = inputs((12, 8, 16, 16), rows: 203)
            for input in inputs { input.track() }
            let y = kroneckerProduct(inputs[0], inputs[1], inputs[2], scale: 2)
            let values = y.values
            y.backward(seed: Tensor(noise(y.count, seed: 7), shape: y.shape))
            results.append(([values] + inputs.map { $0.gradient?.values ?? [] }).map { $0.map(\.bitPattern) })
        }
        for result in results.dropFirst() { #expect(result == results[0]) }
    }
}
