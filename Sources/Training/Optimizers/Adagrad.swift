public import Methods
import Tensors

/// Adagrad (Duchi, Hazan and Singer 2011) as torch computes it.
public final class Adagrad: Optimizer {
    public static let names = ["adagrad"]
    public static let arguments = [
        OptimizerArgument("lr_decay", .measure), OptimizerArgument("eps", .factor),
        OptimizerArgument("weight_decay", .elsewhere("training.weight_decay")),
    ]

    public let parameters: [TrainableParameter]
    public let state: OptimizerState
    public private(set) var stepCount = 0
    public let maximumNorm: Double
    private let weightDecay: Double
    private let rateDecay: Double
    private let epsilon: Double

    public init(_ context: OptimizerContext) throws {
        let settings = context.settings
        parameters = context.parameters
        (maximumNorm, weightDecay) = (settings.adam.maximumNorm, settings.adam.weightDecay)
        rateDecay = settings.argument("lr_decay", default: 0.0)
        epsilon = settings.argument("eps", default: 1e-10)
        state = OptimizerState(parameters.map { .init("sum.\($0.name)", $0.value.shape) })
    }

    public func update(gradientScale: Float, rate: (Int) -> Double) {
        stepCount += 1
        for (index, parameter) in parameters.enumerated() {
            guard let gradient = parameter.gradient else { continue }
            adagrad(
                parameter: parameter.value, gradient: gradient, sum: state.floats(index),
                learningRate: rate(index) / (1 + Double(stepCount - 1) * rateDecay), epsilon: epsilon,
                weightDecay: parameter.decays ? weightDecay : 0, gradientScale: gradientScale)
        }
    }

    public func resume(stepCount: Int) { self.stepCount = stepCount }
}
