public import Methods
import Tensors

/// RMSprop (Hinton 2012) as torch computes it.
public final class RMSProp: Optimizer {
    public static let names = ["rmsprop", "rmsprop_bnb", "rmsprop_bnb_32bit"]
    public static let arguments = [
        OptimizerArgument("momentum", .share), OptimizerArgument("alpha", .share), OptimizerArgument("eps", .factor),
        OptimizerArgument("centered", .flag), OptimizerArgument("weight_decay", .elsewhere("training.weight_decay")),
    ]

    public let parameters: [TrainableParameter]
    public let state: OptimizerState
    public private(set) var stepCount = 0
    public let maximumNorm: Double
    private let weightDecay: Double
    private let momentum: Double
    private let alpha: Double
    private let epsilon: Double
    private let isCentered: Bool

    /// The arrays that are remembered of each parameter.
    private let kinds: [String]

    public init(_ context: OptimizerContext) throws {
        let settings = context.settings
        parameters = context.parameters
        (maximumNorm, weightDecay) = (settings.adam.maximumNorm, settings.adam.weightDecay)
        momentum = settings.argument("momentum", default: 0.0)
        alpha = settings.argument("alpha", default: 0.99)
        epsilon = settings.argument("eps", default: 1e-8)
        isCentered = settings.flag("centered")
        kinds = ["square_avg"] + (isCentered ? ["grad_avg"] : []) + (momentum > 0 ? ["momentum_buffer"] : [])
        state = OptimizerState(
            parameters.flatMap { [kinds] parameter in
                kinds.map { .init("\($0).\(parameter.name)", parameter.value.shape) }
            })
    }

    public func update(gradientScale: Float, rate: (Int) -> Double) {
        stepCount += 1
        let count = kinds.count
        for (index, parameter) in parameters.enumerated() {
            guard let gradient = parameter.gradient else { continue }
            let step = RMSPropStep(
                learningRate: rate(index), alpha: alpha, epsilon: epsilon, momentum: momentum,
                weightDecay: parameter.decays ? weightDecay : 0, gradientScale: gradientScale)
            let squares = state.floats(index * count)
            let buffer = momentum > 0 ? state.floats(index * count + count - 1) : nil
            if isCentered {
                centeredRMSProp(
                    parameter: parameter.value, gradient: gradient, squares: squares,
                    mean: state.floats(index * count + 1), buffer: buffer, step)
            } else {
                rmsProp(parameter: parameter.value, gradient: gradient, squares: squares, buffer: buffer, step)
            }
        }
    }

    public func resume(stepCount: Int) { self.stepCount = stepCount }
}
