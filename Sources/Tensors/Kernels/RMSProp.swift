import CVectors

/// The numbers of one step of RMSprop (Hinton 2012), in torch's order of operations.
public struct RMSPropStep: Sendable {
    public var learningRate: Double
    /// Decay of the mean of the squares.
    public var alpha: Double
    public var epsilon: Double
    public var momentum: Double
    /// Added to the gradient, times the parameter.
    public var weightDecay: Double
    /// What gradients are multiplied by on the way in, such as the factor of clipping.
    public var gradientScale: Float

    public init(
        learningRate: Double, alpha: Double, epsilon: Double, momentum: Double, weightDecay: Double,
        gradientScale: Float
    ) {
        self.learningRate = learningRate
        self.alpha = alpha
        self.epsilon = epsilon
        self.momentum = momentum
        self.weightDecay = weightDecay
        self.gradientScale = gradientScale
    }
}

/// d = g + λ p, v ← α v + (1 − α) d², u = d / (√v + ε), p ← p − lr u; with a `buffer` b ← μ b + u, p ← p − lr b.
public func rmsProp(parameter: Tensor, gradient: Tensor, squares: Tensor, buffer: Tensor?, _ step: RMSPropStep) {
    let update = RMSPropUpdate(step)
    guard let buffer else {
        return updateElements(parameter, gradient, squares) { p, g, v in
            let d = update.decayed(g, p)
            let v = update.mean(v, d * d)
            return (p.addingProduct(d / (v.squareRoot() + update.epsilon), update.rate), v)
        }
    }
    updateElements(parameter, gradient, squares, buffer) { p, g, v, b in
        let d = update.decayed(g, p)
        let v = update.mean(v, d * d)
        let b = (b * update.momentum) + d / (v.squareRoot() + update.epsilon)
        return (p.addingProduct(b, update.rate), v, b)
    }
}

/// The same with u = d / (√(v − m²) + ε), m ← α m + (1 − α) d: with the variance in place of the mean square. Where
/// there is a `buffer` it is gone through in a second pass.
public func centeredRMSProp(
    parameter: Tensor, gradient: Tensor, squares: Tensor, mean: Tensor, buffer: Tensor?, _ step: RMSPropStep
) {
    let update = RMSPropUpdate(step)
    @inline(__always) func moments(_ d: Lanes, _ v: Lanes, _ m: Lanes) -> (v: Lanes, m: Lanes, u: Lanes) {
        let v = update.mean(v, d * d)
        let m = m.addingProduct(d - m, update.share)
        // Rounding may leave a variance of 0 below 0.
        let variance = peft_max(v.addingProduct(-m, m), Lanes(repeating: 0))
        return (v, m, d / (variance.squareRoot() + update.epsilon))
    }
    guard let buffer else {
        return updateElements(parameter, gradient, squares, mean) { p, g, v, m in
            let new = moments(update.decayed(g, p), v, m)
            return (p.addingProduct(new.u, update.rate), new.v, new.m)
        }
    }
    let change = Tensor(uninitialized: parameter.shape)
    change.data.update(from: parameter.data, count: parameter.count)
    updateElements(change, gradient, squares, mean) { p, g, v, m in
        let new = moments(update.decayed(g, p), v, m)
        return (new.u, new.v, new.m)
    }
    updateElements(parameter, change, buffer) { p, u, b in
        let b = (b * update.momentum) + u
        return (p.addingProduct(b, update.rate), b)
    }
}

/// The step's numbers as the lanes need them.
private struct RMSPropUpdate {
    let rate: Lanes
    let alpha: Lanes
    let share: Lanes
    let epsilon: Lanes
    let momentum: Lanes
    let decay: Lanes
    let scale: Float

    init(_ step: RMSPropStep) {
        rate = lanes(-step.learningRate)
        alpha = lanes(step.alpha)
        share = lanes(1 - step.alpha)
        epsilon = lanes(step.epsilon)
        momentum = lanes(step.momentum)
        decay = lanes(step.weightDecay)
        scale = step.gradientScale
    }

    @inline(__always) func decayed(_ g: Lanes, _ p: Lanes) -> Lanes { (g * scale).addingProduct(p, decay) }
    @inline(__always) func mean(_ v: Lanes, _ square: Lanes) -> Lanes { (v * alpha).addingProduct(square, share) }
}
