import Tensors
import TestSupport
import Testing

struct DropoutTests {
    private let ones = Tensor(repeating: 1, [100_003])

    @Test("the share that is dropped and the mean are as asked for", arguments: [0, 0.1, 0.5, 0.9] as [Float])
    func rate(probability: Float) {
        for key in [0, 1, 2, UInt64.max] {
            let y = dropout(ones, Dropout(probability: probability, key: key)).values
            let dropped = Double(y.count { $0 == 0 }) / Double(y.count)
            #expect((dropped - Double(probability)).magnitude < 0.006)
            let kept = Float(1) / (1 - probability)
            #expect(y.allSatisfy { $0 == 0 || $0 == kept })
        }
    }

    @Test("the same key drops the same elements, forward and backward; others drop others")
    func keys() {
        let x = ones.copy()
        x.track()
        let chosen = Dropout(probability: 0.5, key: 42)
        let y = dropout(x, chosen)
        let values = y.values
        y.backward()
        #expect(x.gradient?.values == values)
        for other in [43, 42 + 1 << 32] as [UInt64] {
            let different = dropout(ones, Dropout(probability: 0.5, key: other)).values
            let agreeing = Double(zip(different, values).count { $0 == $1 }) / Double(values.count)
            #expect((agreeing - 0.5).magnitude < 0.01)
        }
    }

    @Test("the residual sum with dropout matches the formula and passes its own input through")
    func residual() {
        let (h, f) = (Tensor(noise(45, seed: 1), shape: [5, 9]), Tensor(noise(45, seed: 2), shape: [5, 9]))
        for chosen in [nil, Dropout(probability: 0.4, key: 7)] {
            let factors = chosen.map { dropout(Tensor(repeating: 1, [45]), $0).values } ?? noise(45).map { _ in 1 }
            let found = deviation(
                of: { addResidual($0[0], $0[1], dropout: chosen) },
                from: { inputs in (0..<45).map { inputs[0][$0] + inputs[1][$0] * Double(factors[$0]) } }, at: [h, f])
            #expect(found.forward < 1e-6)
            #expect(found.backward < 1e-6)
        }
    }
}
