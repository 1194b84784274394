import CVectors
import Diagnostics
import Glibc

/// The numbers of one AdamW step (Loshchilov and Hutter 2019), in torch's order of operations.
public struct AdamWStep: Sendable {
    public var learningRate: Double
    public var beta1: Double
    public var beta2: Double
    public var epsilon: Double
    /// Decoupled: the parameter shrinks by learningRate · weightDecay before the step itself.
    public var weightDecay: Double
    /// 1 for the first step.
    public var number: Int
    /// What gradients are multiplied by on the way in, such as the factor of clipping.
    public var gradientScale: Float

    public init(
        learningRate: Double, beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double, number: Int,
        gradientScale: Float
    ) {
        require(number >= 1, "AdamWStep: step \(number)")
        self.learningRate = learningRate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.number = number
        self.gradientScale = gradientScale
    }
}

/// p ← p (1 − lr λ), m ← m + (1 − β₁)(g − m), v ← β₂ v + (1 − β₂) g²,
/// p ← p − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε), in one pass; all four have the same number of elements.
public func adamW(
    parameter: Tensor, gradient: Tensor, firstMoment: Tensor, secondMoment: Tensor, _ step: AdamWStep
) {
    let count = parameter.count
    require(
        gradient.count == count && firstMoment.count == count && secondMoment.count == count && !parameter.isReadOnly,
        "adamW: parameter \(parameter.shape), gradient \(gradient.shape), moments of \(firstMoment.count) and "
            + "\(secondMoment.count)")
    let update = AdamWUpdate(step)
    let (p, g, m, v) = (parameter.data, gradient.data, firstMoment.data, secondMoment.data)
    WorkerPool.shared.run(over: count, grain: elementGrain) { range in
        var i = range.lowerBound
        while i + 8 <= range.upperBound {
            let (parameter, first, second) = update(p.lanes(i), g.lanes(i), m.lanes(i), v.lanes(i))
            p.setLanes(i, parameter)
            m.setLanes(i, first)
            v.setLanes(i, second)
            i += 8
        }
        let rest = range.upperBound - i
        if rest > 0 {
            func lanes(_ base: UnsafePointer<Float>) -> Lanes { Lanes(base + i, count: rest, otherwise: 0) }
            let (parameter, first, second) = update(lanes(p), lanes(g), lanes(m), lanes(v))
            parameter.store(p + i, count: rest)
            first.store(m + i, count: rest)
            second.store(v + i, count: rest)
        }
    }
    OpTimer.lap()
}

/// The step's numbers as the lanes need them.
struct AdamWUpdate {
    let decay: Float
    let gradientScale: Float
    let firstShare: Float
    let beta2: Float
    let secondShare: Float
    let size: Float
    let correction: Float
    let epsilon: Float

    init(_ step: AdamWStep) {
        decay = Float(1 - step.learningRate * step.weightDecay)
        gradientScale = step.gradientScale
        firstShare = Float(1 - step.beta1)
        beta2 = Float(step.beta2)
        secondShare = Float(1 - step.beta2)
        size = Float(step.learningRate / (1 - pow(step.beta1, Double(step.number))))
        correction = Float((1 - pow(step.beta2, Double(step.number))).squareRoot())
        epsilon = Float(step.epsilon)
    }

    @inline(__always) func callAsFunction(
        _ p: Lanes, _ g: Lanes, _ m: Lanes, _ v: Lanes
    ) -> (parameter: Lanes, first: Lanes, second: Lanes) {
        let g = g * gradientScale
        let first = m.addingProduct(g - m, Lanes(repeating: firstShare))
        let second = (v * beta2).addingProduct(g * g, Lanes(repeating: secondShare))
        let denominator = second.squareRoot() / correction + epsilon
        return (p * decay - first / denominator * size, first, second)
    }
}
