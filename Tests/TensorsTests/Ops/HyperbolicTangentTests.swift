import Glibc
import Tensors
import TestSupport
import Testing

struct HyperbolicTangentTests {
    @Test("output and gradient match the formula in double precision", arguments: [1, 13, 2000])
    func matchesFormula(count: Int) {
        let awkward: [Float] = [0, -0.0, 1e-6, 30, -30, 100]
        let values = noise(count, scale: 4).enumerated().map { $0 < awkward.count ? awkward[$0] : $1 }
        let found = deviation(
            of: { hyperbolicTangent($0[0]) }, from: { $0[0].map(tanh) }, at: [Tensor(values, shape: [count, 1])])
        #expect(found.forward < 1e-6)
        #expect(found.backward < 1e-5)
    }
}
