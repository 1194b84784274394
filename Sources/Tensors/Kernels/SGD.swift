/// The numbers of one step of stochastic gradient descent, in torch's order of operations.
public struct SGDStep: Sendable {
    public var learningRate: Double
    public var momentum: Double
    /// The share of a gradient that the momentum doesn't take; none of the first gradient.
    public var dampening: Double
    public var isNesterov: Bool
    /// Added to the gradient, times the parameter.
    public var weightDecay: Double
    /// What gradients are multiplied by on the way in, such as the factor of clipping.
    public var gradientScale: Float

    public init(
        learningRate: Double, momentum: Double, dampening: Double, isNesterov: Bool, weightDecay: Double,
        gradientScale: Float
    ) {
        self.learningRate = learningRate
        self.momentum = momentum
        self.dampening = dampening
        self.isNesterov = isNesterov
        self.weightDecay = weightDecay
        self.gradientScale = gradientScale
    }
}

/// d = g + λ p, b ← μ b + (1 − τ) d, p ← p − lr b, or p − lr (d + μ b) after Nesterov; without `buffer` p ← p − lr d.
public func gradientDescent(parameter: Tensor, gradient: Tensor, buffer: Tensor?, _ step: SGDStep) {
    let (scale, decay, rate) = (step.gradientScale, lanes(step.weightDecay), lanes(-step.learningRate))
    guard let buffer else {
        return updateElements(parameter, gradient) { p, g in
            p.addingProduct((g * scale).addingProduct(p, decay), rate)
        }
    }
    let (momentum, share) = (lanes(step.momentum), lanes(1 - step.dampening))
    if step.isNesterov {
        updateElements(parameter, gradient, buffer) { p, g, b in
            let d = (g * scale).addingProduct(p, decay)
            let b = (b * momentum).addingProduct(d, share)
            return (p.addingProduct(d.addingProduct(b, momentum), rate), b)
        }
    } else {
        updateElements(parameter, gradient, buffer) { p, g, b in
            let b = (b * momentum).addingProduct((g * scale).addingProduct(p, decay), share)
            return (p.addingProduct(b, rate), b)
        }
    }
}

@inline(__always) func lanes(_ value: Double) -> Lanes { Lanes(repeating: Float(value)) }
