public import Tensors

/// y = x / √(mean(x²) + ε) ∘ weight over the last dimension (Zhang and Sennrich 2019).
public final class RMSNorm {
    public let path: String
    public let weight: Parameter
    public let epsilon: Float

    /// - Parameter value: What the weight is where no checkpoint gives it.
    public init(_ scope: ParameterScope, width: Int, epsilon: Float, initially value: Float = 1) {
        path = scope.path
        weight = scope.parameter("weight", [width], .constant(value))
        self.epsilon = epsilon
    }

    /// x [rows, heads · width]: each head by itself, where the norm is of a head's width.
    public func callAsFunction(_ x: Tensor) -> Tensor { rmsNorm(x, weight: weight.tensor, epsilon: epsilon) }
}
