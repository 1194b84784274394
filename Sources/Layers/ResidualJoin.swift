public import Tensors

/// The end of a sub-layer, where its output f joins the residual stream h, with a slot for one adapter: h + f without.
public final class ResidualJoin {
    public enum SubLayer: Sendable {
        case attention
        /// A decoder's to what its encoder made.
        case sourceAttention
        case feedForward
    }

    /// The path of what AdapterHub puts there, such as `transformer.h.0.attention_adapters`.
    public let adapterPath: String
    /// The number of the block among all of the model.
    public let layer: Int
    public let subLayer: SubLayer
    /// The size of the residual stream's rows.
    public let width: Int
    public var adapter: (any JoinAdapter)?

    public init(adapterPath: String, layer: Int, subLayer: SubLayer, width: Int) {
        self.adapterPath = adapterPath
        self.layer = layer
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

extension ResidualJoin {
    /// The ends of attention and feed-forward of block `layer` at `path`, as AdapterHub names them in decoders.
    public static func ends(ofBlock path: String, layer: Int, width: Int) -> [ResidualJoin] {
        [
            ResidualJoin(adapterPath: "\(path).attention_adapters", layer: layer, subLayer: .attention, width: width),
            ResidualJoin(adapterPath: "\(path).output_adapters", layer: layer, subLayer: .feedForward, width: width),
        ]
    }
}

/// What a method puts into the end of a sub-layer.
public protocol JoinAdapter: AnyObject {
    /// The residual stream after the sub-layer, from the stream before its norm, what the sub-layer read, and its output
    /// after dropout; all [rows, width].
    func join(residual: Tensor, normalized: Tensor, output: Tensor, _ context: ForwardContext) -> Tensor
}
