import Diagnostics
public import Tensors

/// A linear layer y = act(x · Wᵀ + b) with a slot for one adapter.
public final class Linear {
    /// The module's path in the model, such as `transformer.h.0.attn.c_attn`.
    public let path: String
    public private(set) var weight: Parameter
    public let bias: Parameter?
    /// Whether the weight is kept as [inputs, outputs].
    public let isInputByOutput: Bool
    public var adapter: (any LinearAdapter)?
    /// Whether products with the weight take numbers rounded to BF16, where the processor has such (`RoundedWeight`).
    public var roundsProducts = false
    private var packed: PackedWeight?
    /// Products that generation had of the weight as it is.
    private var uses = 0

    public init(path: String, weight: Parameter, bias: Parameter?, isInputByOutput: Bool) {
        self.path = path
        self.weight = weight
        self.bias = bias
        self.isInputByOutput = isInputByOutput
    }

    /// Puts another weight of the same shape in place.
    public func setWeight(_ other: Parameter) {
        require(other.shape == weight.shape, "Linear: a weight \(other.shape) for \(path), which has \(weight.shape)")
        weight = other
    }

    public var inputSize: Int { weight.shape[isInputByOutput ? 0 : 1] }
    public var outputSize: Int { weight.shape[isInputByOutput ? 1 : 0] }

    /// The weight as the product needs it.
    public var base: any BaseWeight {
        if let packed {
            if packed.source === weight.value { return packed }
            (self.packed, uses) = (nil, 0)
        }
        return product(with: weight.value.weight(isInputByOutput: isInputByOutput))
    }

    /// A weight as this layer multiplies by it.
    func product(with weight: any BaseWeight) -> any BaseWeight {
        roundsProducts ? RoundedWeight.rounding(weight) : weight
    }

    /// The same for a pass of so many rows: generation's second packs the weight, so that the first token doesn't wait for
    /// it, but one of a long prompt, which gains little from that, only when several have come.
    func base(in context: ForwardContext, rows: Int) -> any BaseWeight {
        let base = base
        guard context.cache != nil, packed == nil, !roundsProducts, weight.value.isMapped else { return base }
        uses += 1
        if uses >= (rows <= Self.fewRows ? 2 : Self.longUses) {
            packed = PackedWeight(weight.value, isInputByOutput: isInputByOutput)
        }
        return packed ?? base
    }

    /// Up to so many rows a product spends a quarter of its time and more on copying the weight.
    private static let fewRows = 64
    /// After so many passes of more rows packing has paid for itself.
    private static let longUses = 8

    /// x [rows, inputs] → y [rows, outputs].
    ///
    /// - Parameter isLast: Whether only sums of y with other tensors follow in a segment of `context.checkpointed`, so
    ///   that y needn't be computed where the segment is gone through for its gradients.
    public func callAsFunction(
        _ x: Tensor, _ context: ForwardContext, activation: Activation? = nil, isLast: Bool = false
    ) -> Tensor {
        let product = LinearProduct(
            layer: self, input: x, context: context, activation: activation,
            omitsValue: isLast && context.isReplay && activation == nil && adapter?.readsOutput != true)
        return adapter?.apply(to: product) ?? product.completed(adding: nil)
    }
}
