public import Methods
import Tensors

/// Stochastic gradient descent as torch computes it, with momentum where `optim_args` asks for one.
public final class SGD: Optimizer {
    public static let names = ["sgd"]
    public static let arguments = [
        OptimizerArgument("momentum", .share), OptimizerArgument("dampening", .share),
        OptimizerArgument("nesterov", .flag), OptimizerArgument("weight_decay", .elsewhere("training.weight_decay")),
    ]
    public static let stepsFollowGradients = true

    public let parameters: [TrainableParameter]
    public let state: OptimizerState
    public private(set) var stepCount = 0
    public let maximumNorm: Double
    private let weightDecay: Double
    private let momentum: Double
    private let dampening: Double
    private let isNesterov: Bool

    public init(_ context: OptimizerContext) throws {
        let settings = context.settings
        parameters = context.parameters
        (maximumNorm, weightDecay) = (settings.adam.maximumNorm, settings.adam.weightDecay)
        momentum = settings.argument("momentum", default: 0.0)
        dampening = settings.argument("dampening", default: 0.0)
        isNesterov = settings.flag("nesterov")
        state = OptimizerState(
            momentum > 0 ? parameters.map { .init("momentum_buffer.\($0.name)", $0.value.shape) } : [])
    }

    public static func complaint(about settings: OptimizerSettings) -> String? {
        let (momentum, dampening) = (
            settings.argument("momentum", default: 0.0), settings.argument("dampening", default: 0.0)
        )
        if settings.flag("nesterov"), momentum == 0 || dampening != 0 {
            return "nesterov needs a momentum above 0 and no dampening"
        }
        return nil
    }

    public func update(gradientScale: Float, rate: (Int) -> Double) {
        stepCount += 1
        for (index, parameter) in parameters.enumerated() {
            guard let gradient = parameter.gradient else { continue }
            gradientDescent(
                parameter: parameter.value, gradient: gradient, buffer: momentum > 0 ? state.floats(index) : nil,
                SGDStep(
                    learningRate: rate(index), momentum: momentum,
                    // The first gradient is the momentum as it is.
                    dampening: stepCount == 1 ? 0 : dampening, isNesterov: isNesterov,
                    weightDecay: parameter.decays ? weightDecay : 0, gradientScale: gradientScale))
        }
    }

    public func resume(stepCount: Int) { self.stepCount = stepCount }
}
