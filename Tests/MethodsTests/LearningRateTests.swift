import Methods
import Tensors
import Testing

@Suite("A method's own learning rate") struct LearningRateTests {
    /// Each method of the registry by the first of its cases.
    static let cases = methods.compactMap { method in MethodCase.all.first { $0.method == method } }

    @Test("is told by each, and no larger than a step that could be taken")
    func sensible() {
        #expect(Self.cases.count == methods.count)
        for method in methods { #expect((1e-6...1).contains(method.learningRate), "\(method.name)") }
    }

    @Test("teaches the small model by Adam's steps", arguments: cases)
    func teaches(_ method: MethodCase) throws {
        let small = try SmallModel(method)
        let trainable = try small.install(method.method, method.settings).trainable
        var moments = trainable.map { [(mean: Double, square: Double)](repeating: (0, 0), count: $0.tensor.count) }
        let before = small.lossWithGradients(trainable)
        for step in 1...100 {
            for (index, parameter) in trainable.enumerated() {
                let gradient = try #require(parameter.tensor.gradient)
                for i in 0..<gradient.count {
                    let slope = Double(gradient.data[i])
                    moments[index][i].mean = 0.9 * moments[index][i].mean + 0.1 * slope
                    moments[index][i].square = 0.999 * moments[index][i].square + 0.001 * slope * slope
                    let (mean, square) = moments[index][i]
                    let root = (square / (1 - power(0.999, step))).squareRoot() + 1e-8
                    parameter.tensor.data[i] -= Float(method.method.learningRate * mean / (1 - power(0.9, step)) / root)
                }
            }
            small.lossWithGradients(trainable)
        }
        let after = small.lossWithGradients(trainable)
        #expect(after < 0.98 * before, "\(before) to \(after)")
    }

    private func power(_ base: Double, _ exponent: Int) -> Double {
        (0..<exponent).reduce(1) { value, _ in value * base }
    }
}
