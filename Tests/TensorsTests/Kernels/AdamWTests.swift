import Glibc
import Tensors
import TestSupport
import Testing

struct AdamWTests {
    @Test("three steps match the formula in double precision", arguments: [1, 8, 21, 40_000])
    func matchesFormula(count: Int) {
        let p = Tensor(noise(count, seed: 1), shape: [count])
        let (m, v) = (Tensor(zeros: [count]), Tensor(zeros: [count]))
        var expected = p.values.map { (p: Double($0), m: 0.0, v: 0.0) }
        for number in 1...3 {
            let g = Tensor(noise(count, seed: UInt64(10 + number)), shape: [count])
            adamW(
                parameter: p, gradient: g, firstMoment: m, secondMoment: v,
                AdamWStep(
                    learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, number: number,
                    gradientScale: 0.5))
            for (i, value) in g.values.enumerated() {
                let gradient = Double(value) * 0.5
                expected[i].p *= 1 - 0.01 * 0.1
                expected[i].m = 0.9 * expected[i].m + 0.1 * gradient
                expected[i].v = 0.999 * expected[i].v + 0.001 * gradient * gradient
                let (first, second) = (1 - pow(0.9, Double(number)), 1 - pow(0.999, Double(number)))
                expected[i].p -=
                    0.01 / first * expected[i].m / (expected[i].v.squareRoot() / second.squareRoot() + 1e-8)
            }
        }
        #expect(largestDifference(p.values.map(Double.init), expected.map(\.p)) < 1e-6)
        #expect(largestDifference(m.values.map(Double.init), expected.map(\.m)) < 1e-6)
        #expect(largestDifference(v.values.map(Double.init), expected.map(\.v)) < 1e-6)
    }

    @Test("the first step has the size of the learning rate, and a gradient of 0 only decays")
    func firstStep() {
        let p = Tensor([1, 1, 2], shape: [3])
        adamW(
            parameter: p, gradient: Tensor([3, -1e-3, 0], shape: [3]), firstMoment: Tensor(zeros: [3]),
            secondMoment: Tensor(zeros: [3]),
            AdamWStep(
                learningRate: 0.5, beta1: 0.9, beta2: 0.999, epsilon: 1e-12, weightDecay: 0.5, number: 1,
                gradientScale: 1))
        for (found, expected) in zip(p.values, [0.25, 1.25, 1.5] as [Float]) {
            #expect((found - expected).magnitude < 1e-5)
        }
    }
}
