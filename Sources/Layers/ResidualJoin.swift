public import Tensors

/// The end of a sub-layer, where its output f joins the residual stream h, with a slot for one adapter: h + f without.
public final class ResidualJoin {
    public enum SubLayer: Sendable {
        case attention, feedForward
    }

    /// The block's path, such as `transformer.h.0`.
    public let blockPath: String
    public let subLayer: SubLayer
    /// The size of the residual stream's rows.
    public let width: Int
    public var adapter: (any JoinAdapter)?

    public init(blockPath: String, subLayer: SubLayer, width: Int) {
        self.blockPath = blockPath
        self.subLayer = subLayer
        self.width = width
    }

    /// - Parameters:
    ///   - residual: h [rows, width], the stream as it was before the sub-layer's norm.
    ///   - normalized: What the sub-layer read, [rows, width]; asked for only where there is an adapter.
    ///   - output: f [rows, width], before its dropout.
    public func callAsFunction(
        residual: Tensor, normalized: @autoclosure () -> Tensor, output: Tensor, dropout choice: Dropout?,
        _ context: ForwardContext
    ) -> Tensor {
        guard let adapter else { return addResidual(residual, output, dropout: choice) }
        return adapter.join(
            residual: residual, normalized: normalized(), output: choice.map { dropout(output, $0) } ?? output, context)
    }
}

/// What a method puts into the end of a sub-layer.
public protocol JoinAdapter: AnyObject {
    /// The residual stream after the sub-layer, from the stream before its norm, what the sub-layer read, and its output
    /// after dropout; all [rows, width].
    func join(residual: Tensor, normalized: Tensor, output: Tensor, _ context: ForwardContext) -> Tensor
}
