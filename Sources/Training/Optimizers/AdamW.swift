public import Methods
import Tensors

/// AdamW (Loshchilov and Hutter 2019) as torch computes it, with the gradients of all parameters clipped together.
public class AdamW: Optimizer {
    public struct Settings: Sendable, Hashable {
        public var beta1: Double
        public var beta2: Double
        public var epsilon: Double
        public var weightDecay: Double
        /// The most that the norm of all gradients together may be; 0 for no limit.
        public var maximumNorm: Double

        public init(beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double, maximumNorm: Double) {
            self.beta1 = beta1
            self.beta2 = beta2
            self.epsilon = epsilon
            self.weightDecay = weightDecay
            self.maximumNorm = maximumNorm
        }
    }

    public class var names: [String] { ["adamw_torch", "adamw_torch_fused"] }
    public class var isPaged: Bool { false }

    public let parameters: [TrainableParameter]
    public let state: OptimizerState
    public private(set) var stepCount = 0
    private let settings: Settings

    public var maximumNorm: Double { settings.maximumNorm }

    public required init(_ context: OptimizerContext) throws {
        parameters = context.parameters
        settings = context.settings.adam
        state = OptimizerState(Self.entries(context.parameters))
    }

    /// One whose state has its memory.
    public init(_ parameters: [TrainableParameter], _ settings: Settings) {
        self.parameters = parameters
        self.settings = settings
        state = OptimizerState(Self.entries(parameters))
        state.allocate()
    }

    private static func entries(_ parameters: [TrainableParameter]) -> [OptimizerState.Entry] {
        parameters.flatMap { parameter in
            ["exp_avg.", "exp_avg_sq."].map { OptimizerState.Entry($0 + parameter.name, parameter.value.shape) }
        }
    }

    public func update(gradientScale: Float, rate: (Int) -> Double) {
        stepCount += 1
        for (index, parameter) in parameters.enumerated() {
            guard let gradient = parameter.gradient else { continue }
            adamW(
                parameter: parameter.value, gradient: gradient, firstMoment: state.floats(2 * index),
                secondMoment: state.floats(2 * index + 1),
                AdamWStep(settings, parameter, rate: rate(index), number: stepCount, gradientScale: gradientScale))
        }
    }

    public func resume(stepCount: Int) { self.stepCount = stepCount }
}

extension AdamWStep {
    /// The step of one parameter.
    init(
        _ settings: AdamW.Settings, _ parameter: TrainableParameter, rate: Double, number: Int, gradientScale: Float
    ) {
        self.init(
            learningRate: rate, beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon,
            weightDecay: parameter.decays ? settings.weightDecay : 0, number: number, gradientScale: gradientScale)
    }
}
