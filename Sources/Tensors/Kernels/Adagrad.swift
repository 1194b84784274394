/// d = g + λ p, s ← s + d², p ← p − lr d / (√s + ε): Adagrad (Duchi, Hazan and Singer 2011), in torch's order of
/// operations; all have the same number of elements.
public func adagrad(
    parameter: Tensor, gradient: Tensor, sum: Tensor, learningRate: Double, epsilon: Double, weightDecay: Double,
    gradientScale: Float
) {
    let (rate, epsilon, decay) = (lanes(-learningRate), lanes(epsilon), lanes(weightDecay))
    updateElements(parameter, gradient, sum) { p, g, s in
        let d = (g * gradientScale).addingProduct(p, decay)
        let s = s.addingProduct(d, d)
        return (p.addingProduct(d / (s.squareRoot() + epsilon), rate), s)
    }
}
