import Tensors
import TestSupport
import Testing

struct KhatriRaoTests {
    static let shapes = [(1, 1, 1), (2, 3, 9), (3, 1, 17)]

    @Test("the products of columns", arguments: shapes)
    func columns(_ shape: (Int, Int, Int)) {
        let (p, q, n) = shape
        let found = deviation(
            of: { columnProducts($0[0], $0[1]) },
            from: { x in
                (0..<p * q * n).map { index in
                    let (row, column) = index.quotientAndRemainder(dividingBy: n)
                    return x[0][row / q * n + column] * x[1][row % q * n + column]
                }
            }, at: [Tensor(noise(p * n), shape: [p, n]), Tensor(noise(q * n, seed: 2), shape: [q, n])])
        #expect(found.forward < 1e-6)
        #expect(found.backward < 1e-5)
    }

    @Test("the products of rows, with and without factors", arguments: shapes, [false, true])
    func rows(_ shape: (Int, Int, Int), isScaled: Bool) {
        let (p, q, n) = shape
        let factors = (0..<n).map { Float($0 % 3) / 2 }
        let found = deviation(
            of: { rowProducts($0[0], $0[1], scale: isScaled ? factors : nil) },
            from: { x in
                (0..<n * p * q).map { index in
                    let (row, column) = index.quotientAndRemainder(dividingBy: p * q)
                    return (isScaled ? Double(factors[row]) : 1) * x[0][row * p + column / q]
                        * x[1][row * q + column % q]
                }
            }, at: [Tensor(noise(p * n), shape: [n, p]), Tensor(noise(q * n, seed: 2), shape: [n, q])])
        #expect(found.forward < 1e-6)
        #expect(found.backward < 1e-5)
    }
}
