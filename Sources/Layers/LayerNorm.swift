public import Tensors

/// y = (x − mean) / √(variance + ε) ∘ weight + bias over the last dimension (Ba et al. 2016).
public final class LayerNorm {
    public let path: String
    public let weight: Parameter
    public let bias: Parameter
    public let epsilon: Float

    public init(_ scope: ParameterScope, width: Int, epsilon: Float) {
        path = scope.path
        weight = scope.parameter("weight", [width], .constant(1))
        bias = scope.parameter("bias", [width], .constant(0))
        self.epsilon = epsilon
    }

    public func callAsFunction(_ x: Tensor) -> Tensor {
        layerNorm(x, weight: weight.tensor, bias: bias.tensor, epsilon: epsilon)
    }
}
