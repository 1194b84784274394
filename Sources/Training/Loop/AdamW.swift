public import Methods
public import Tensors

/// AdamW (Loshchilov and Hutter 2019) as torch computes it, with the gradients of all parameters clipped together.
public final class AdamW {
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

    private let settings: Settings
    private let parameters: [TrainableParameter]
    private let firstMoments: [Tensor]
    private let secondMoments: [Tensor]
    /// How many steps were taken.
    public private(set) var stepCount = 0

    public init(_ parameters: [TrainableParameter], _ settings: Settings) {
        self.parameters = parameters
        self.settings = settings
        firstMoments = parameters.map { Tensor(zeros: $0.value.shape) }
        secondMoments = parameters.map { Tensor(zeros: $0.value.shape) }
    }

    /// The norm of all gradients together; not finite where one of their elements isn't.
    public func gradientNorm() -> Double {
        parameters.reduce(0) { $0 + ($1.gradient.map(sumOfSquares) ?? 0) }.squareRoot()
    }

    /// Clips and takes one step; the gradients are left as they were. A parameter without a gradient stays as it is.
    ///
    /// - Returns: What clipping multiplied the gradients by.
    @discardableResult
    public func step(learningRate: Double, gradientNorm: Double) -> Float {
        stepCount += 1
        let limit = settings.maximumNorm
        let scale = Float(limit > 0 ? min(1, limit / (gradientNorm + 1e-6)) : 1)
        for (index, parameter) in parameters.enumerated() {
            guard let gradient = parameter.gradient else { continue }
            adamW(
                parameter: parameter.value, gradient: gradient, firstMoment: firstMoments[index],
                secondMoment: secondMoments[index],
                AdamWStep(
                    learningRate: learningRate, beta1: settings.beta1, beta2: settings.beta2,
                    epsilon: settings.epsilon, weightDecay: parameter.decays ? settings.weightDecay : 0,
                    number: stepCount, gradientScale: scale))
        }
        return scale
    }

    /// Drops the gradients of all parameters.
    public func clearGradients() {
        for parameter in parameters { parameter.tensor.clearGradient() }
    }

    /// The moments by name, which with `stepCount` are all that the optimizer remembers.
    public var state: [(name: String, tensor: Tensor)] {
        zip(parameters, zip(firstMoments, secondMoments)).flatMap { parameter, moments in
            [("exp_avg." + parameter.name, moments.0), ("exp_avg_sq." + parameter.name, moments.1)]
        }
    }

    /// Goes on where an optimizer of the same parameters stopped, whose `state` has been copied into this one's.
    public func resume(stepCount: Int) { self.stepCount = stepCount }
}
