import CVectors

/// The numbers of one step of Lion (Chen et al. 2023), in bitsandbytes' order of operations.
public struct LionStep: Sendable {
    public var learningRate: Double
    public var beta1: Double
    public var beta2: Double
    /// Decoupled: the parameter shrinks by learningRate · weightDecay before the step itself.
    public var weightDecay: Double
    /// What gradients are multiplied by on the way in, such as the factor of clipping.
    public var gradientScale: Float

    public init(learningRate: Double, beta1: Double, beta2: Double, weightDecay: Double, gradientScale: Float) {
        self.learningRate = learningRate
        self.beta1 = beta1
        self.beta2 = beta2
        self.weightDecay = weightDecay
        self.gradientScale = gradientScale
    }
}

/// p ← p (1 − lr λ) − lr sign(β₁ m + (1 − β₁) g), m ← β₂ m + (1 − β₂) g; all three have the same number of elements.
public func lion(parameter: Tensor, gradient: Tensor, moment: Tensor, _ step: LionStep) {
    let update = LionUpdate(step)
    updateElements(parameter, gradient, moment) { p, g, m in update(p, g, m) }
}

/// The step's numbers as the lanes need them.
struct LionUpdate {
    let decay: Lanes
    let rate: Lanes
    let scale: Float
    let beta1: Lanes
    let firstShare: Lanes
    let beta2: Lanes
    let secondShare: Lanes

    init(_ step: LionStep) {
        decay = lanes(1 - step.learningRate * step.weightDecay)
        rate = lanes(step.learningRate)
        scale = step.gradientScale
        beta1 = lanes(step.beta1)
        firstShare = lanes(1 - step.beta1)
        beta2 = lanes(step.beta2)
        secondShare = lanes(1 - step.beta2)
    }

    @inline(__always) func callAsFunction(_ p: Lanes, _ g: Lanes, _ m: Lanes) -> (Lanes, Lanes) {
        let g = g * scale
        let direction = (m * beta1).addingProduct(g, firstShare)
        let zero = Lanes(repeating: 0)
        // Where the direction isn't a number, neither is what comes of it.
        let way = peft_where_less(zero, direction, rate, peft_where_less(direction, zero, -rate, direction))
        return (p * decay - way, (m * beta2).addingProduct(g, secondShare))
    }
}
