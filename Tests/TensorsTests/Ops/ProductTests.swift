import Tensors
import TestSupport
import Testing

struct ProductTests {
    @Test(
        "op(a) · op(b) for every choice of transposes", arguments: [(1, 1, 1), (3, 5, 2), (17, 9, 30)],
        [(false, false), (true, false), (false, true), (true, true)])
    func matchesFormula(_ shape: (Int, Int, Int), transposes: (Bool, Bool)) {
        let (m, n, k) = shape
        let a = Tensor(noise(m * k), shape: transposes.0 ? [k, m] : [m, k])
        let b = Tensor(noise(k * n, seed: 2), shape: transposes.1 ? [n, k] : [k, n])
        let found = deviation(
            of: {
                matrixProduct(
                    $0[0], transposingFirst: transposes.0, $0[1], transposingSecond: transposes.1, scale: 0.7)
            },
            from: { x in
                (0..<m * n).map { index in
                    let (i, j) = index.quotientAndRemainder(dividingBy: n)
                    var sum = 0.0
                    for l in 0..<k {
                        let left = x[0][transposes.0 ? l * m + i : i * k + l]
                        let right = x[1][transposes.1 ? j * k + l : l * n + j]
                        sum += 0.7 * left * right
                    }
                    return sum
                }
            }, at: [a, b])
        #expect(found.forward < 1e-6)
        #expect(found.backward < 1e-5)
    }

    @Test("over nothing the product is 0, and a square's gradient is that of both sides")
    func edges() {
        let empty = matrixProduct(
            Tensor(zeros: [2, 0]), transposingFirst: false, Tensor(zeros: [3, 0]), transposingSecond: true, scale: 1)
        #expect(empty.values == [0, 0, 0, 0, 0, 0])
        let found = deviation(
            of: { matrixProduct($0[0], transposingFirst: false, $0[0], transposingSecond: true, scale: 1) },
            from: { x in
                let rows = (0..<3).map { Array(x[0][$0 * 4..<$0 * 4 + 4]) }
                return rows.flatMap { a in rows.map { b in zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } } }
            }, at: [Tensor(noise(12), shape: [3, 4])])
        #expect(found.forward < 1e-6)
        #expect(found.backward < 1e-5)
    }

    @Test("elements are multiplied", arguments: [1, 8, 19])
    func elementwise(count: Int) {
        let found = deviation(
            of: { elementwiseProduct($0[0], $0[1]) }, from: { x in (0..<count).map { x[0][$0] * x[1][$0] } },
            at: [Tensor(noise(count), shape: [1, count]), Tensor(noise(count, seed: 2), shape: [1, count])])
        #expect(found.forward < 1e-6)
        #expect(found.backward < 1e-5)
        let square = deviation(
            of: { elementwiseProduct($0[0], $0[0]) }, from: { x in x[0].map { $0 * $0 } },
            at: [Tensor(noise(count), shape: [1, count])])
        #expect(square.backward < 1e-5)
        let divisor = Tensor(noise(count, seed: 3).map { 1.5 + $0 }, shape: [1, count])
        let quotient = deviation(
            of: { elementwiseQuotient($0[0], byConstant: divisor) },
            from: { x in (0..<count).map { x[0][$0] / Double(divisor.data[$0]) } },
            at: [Tensor(noise(count), shape: [1, count])])
        #expect(quotient.forward < 1e-6)
        #expect(quotient.backward < 1e-5)
        #expect(elementwiseQuotient(divisor, byConstant: divisor).values.allSatisfy { $0 == 1 })
    }
}
