import Tensors
import Testing
import TestSupport

struct LowRankTests {
    static let shapes = [(1, 1, 1), (3, 5, 2), (2, 3, 7), (70, 33, 3), (131, 17, 1)]

    @Test(
        "the narrow half is s · drop(x) Aᵀ, and its gradients", arguments: shapes,
        [nil, Dropout(probability: 0.3, key: 7)])
    func matchesFormula(_ shape: (Int, Int, Int), dropout: Dropout?) {
        let (rows, inputs, rank) = shape
        let found = deviation(
            of: { lowRankInput($0[0], $0[1], scale: 1.5, dropout: dropout) },
            from: { x in
                let factors = (0..<rows * inputs).map { dropout?.keeps($0) ?? true ? 1.0 : 0 }
                let growth = dropout == nil ? 1.5 : 1.5 / 0.7
                return (0..<rows * rank).map { index in
                    let (row, k) = index.quotientAndRemainder(dividingBy: rank)
                    return growth
                        * (0..<inputs).reduce(0.0) {
                            $0 + factors[row * inputs + $1] * x[0][row * inputs + $1] * x[1][k * inputs + $1]
                        }
                }
            },
            at: [
                Tensor(noise(rows * inputs), shape: [rows, inputs]),
                Tensor(noise(rank * inputs, seed: 2), shape: [rank, inputs]),
            ])
        #expect(found.forward < 1e-5)
        #expect(found.backward < 1e-4)
    }

    @Test("keeps zeros, ties and values of ±30")
    func extremes() {
        let u = lowRankInput(
            Tensor([30, -30, 0, 30], shape: [2, 2]), Tensor([1, 1, 30, -30], shape: [2, 2]), scale: 0.5, dropout: nil)
        #expect(u.values == [0, 900, 15, -450])
    }

    @Test("gradients are added to those that came before")
    func accumulates() {
        let (x, a) = (Tensor([1, 2], shape: [1, 2]), Tensor([3, 4], shape: [1, 2]))
        x.track()
        a.track()
        func half() -> Tensor { lowRankInput(x, a, scale: 1, dropout: nil) }
        addResidual(half(), half(), dropout: nil).backward()
        #expect(x.gradient?.values == [6, 8])
        #expect(a.gradient?.values == [2, 4])
    }

    @Test("no rows are no error")
    func empty() {
        let u = lowRankInput(Tensor(uninitialized: [0, 3]), Tensor(zeros: [2, 3]), scale: 1, dropout: nil)
        #expect(u.shape == [0, 2])
    }
}
