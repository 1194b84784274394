import Glibc
import Tensors
import TestSupport
import Testing

struct VectorMathTests {
    struct Function: Sendable, CustomTestStringConvertible {
        var name: String
        var vector: @Sendable (Lanes) -> Lanes
        var exact: @Sendable (Double) -> Double
        var testDescription: String { name }
    }

    static let functions = [
        Function(name: "exp", vector: { exponential($0) }, exact: { exp($0) }),
        Function(name: "tanh", vector: { hyperbolicTangent($0) }, exact: { tanh($0) }),
        Function(name: "erf", vector: { errorFunction($0) }, exact: { erf($0) }),
        Function(name: "sigmoid", vector: { sigmoid($0) }, exact: { 1 / (1 + exp(-$0)) }),
        Function(
            name: "normal cumulative", vector: { normalDistribution($0).cumulative },
            exact: { erfc(-$0 / 2.0.squareRoot()) / 2 }),
    ]

    /// The largest relative error at many points of ±range, as far as results are normal numbers.
    private func error(_ function: Function, range: Double) -> Double {
        var worst = 0.0
        for i in 0..<40_000 {
            let x = Float(range * (Double(i) / 20_000 - 1))
            let expected = function.exact(Double(x))
            if expected.magnitude < 1.2e-38 || expected > 3.4e38 { continue }
            let found = Double(function.vector(Lanes(repeating: x))[i % 8])
            worst = max(worst, (found - expected).magnitude / expected.magnitude)
        }
        return worst
    }

    @Test("relative errors of exp, tanh, erf and the sigmoid stay below 3e-7", arguments: functions.prefix(4))
    func accuracy(_ function: Function) {
        for range in [1e-4, 1, 3, 10, 88] { #expect(error(function, range: range) < 3e-7) }
    }

    @Test("the normal distribution stays within 5e-7 of itself, its lower tail included")
    func normalTail() {
        for range in [1e-4, 1, 3, 10] { #expect(error(Self.functions[4], range: range) < 5e-7) }
    }

    @Test("limits, infinities and what isn't a number")
    func limits() {
        let x = Lanes(0, -0.0, .infinity, -.infinity, .nan, 88, -88, 200)
        func check(_ found: Lanes, _ expected: [Double], _ name: String) {
            for i in 0..<8 {
                let (a, b) = (Double(found[i]), expected[i])
                let isRight = b.isNaN ? a.isNaN : a == b || (a - b).magnitude <= max(3e-7 * b.magnitude, 1.5e-45)
                #expect(isRight, "\(name) of \(x[i]): \(a), not \(b)")
            }
        }
        let nan = Double.nan
        check(exponential(x), [1, 1, .infinity, 0, nan, exp(88), exp(-88), .infinity], "exp")
        check(
            exponentialOfNonPositive(Lanes(-0.0, -0.0, -.infinity, -.infinity, .nan, -88, -88, -200)),
            [1, 1, 0, 0, nan, 0, 0, 0], "exp of non-positive")
        check(hyperbolicTangent(x), [0, 0, 1, -1, nan, 1, -1, 1], "tanh")
        check(errorFunction(x), [0, 0, 1, -1, nan, 1, -1, 1], "erf")
        check(sigmoid(x), [0.5, 0.5, 1, 0, nan, 1, exp(-88), 1], "sigmoid")
        check(normalDistribution(x).cumulative, [0.5, 0.5, 1, 0, nan, 1, 0, 1], "normal cumulative")
        let thirty = Lanes(repeating: -30)
        #expect((Double(exponential(thirty)[0]) / exp(-30) - 1).magnitude < 3e-7)
        #expect((Double(sigmoid(thirty)[0]) * (1 + exp(30)) - 1).magnitude < 3e-7)
    }
}
