import Diagnostics
public import Tensors

/// What a method puts into a linear layer's slot.
///
/// It completes the layer's product in the way that suits it: with a low-rank term in the fused pass (LoRA), with a
/// changed weight (`completed(addingToWeight:)`), with a changed input (`completed(input:adding:)`), or in steps of its own from
/// `product(of:adding:)` or `biasedProduct(of:)` to `finished`.
public protocol LinearAdapter: AnyObject {
    /// The layer's output with the adapter's part.
    func apply(to product: LinearProduct) -> Tensor

    /// The adapter's whole part as a low-rank term, so that a head's loss goes by chunks; nil where it is more than that,
    /// and then the logits of all labelled rows are computed at once.
    func lowRankTerm(for input: Tensor, _ context: ForwardContext) -> LowRankTerm?

    /// Whether the layer's output is more than the product that `apply` completes, so that the way back may read the
    /// product's value; true unless the adapter says otherwise.
    var readsOutput: Bool { get }
}

extension LinearAdapter {
    public var readsOutput: Bool { true }
    public func lowRankTerm(for input: Tensor, _ context: ForwardContext) -> LowRankTerm? { nil }
}

/// One use of a linear layer, which its adapter completes.
public struct LinearProduct {
    public let layer: Linear
    /// x [rows, inputs]
    public let input: Tensor
    public let context: ForwardContext
    public let activation: Activation?
    /// Whether only the record of the product counts, not its value.
    let omitsValue: Bool

    private var byRow: Bool { !context.isTraining }

    /// act(x · Wᵀ + u · Bᵀ + b), everything fused.
    public func completed(adding term: LowRankTerm?) -> Tensor { completed(input: input, adding: term) }

    /// The same for another x [rows, inputs].
    public func completed(input: Tensor, adding term: LowRankTerm?) -> Tensor {
        linear(
            input, layer.base(in: context, rows: input.rowCount), bias: layer.bias?.tensor, lowRank: term,
            activation: activation,
            omitsValue: omitsValue, byRow: byRow)
    }

    /// act(x · Wᵀ + u · Bᵀ + c) with c [outputs] in place of the layer's bias.
    public func completed(adding term: LowRankTerm?, bias: Tensor) -> Tensor {
        linear(
            input, layer.base(in: context, rows: input.rowCount), bias: bias, lowRank: term, activation: activation,
            byRow: byRow)
    }

    /// act(x · (W + Δ)ᵀ + b) with Δ in the layout of the layer's weight. A weight in few bits has a product of its own, so that
    /// its floats are kept nowhere.
    public func completed(addingToWeight change: Tensor) -> Tensor {
        require(
            change.shape == layer.weight.shape, "LinearProduct: a change \(change.shape) of \(layer.weight.shape)")
        func dense(_ weight: Tensor) -> any BaseWeight {
            layer.product(with: DenseWeight(weight, isInputByOutput: layer.isInputByOutput))
        }
        guard layer.weight.value is QuantizedTensor else {
            return linear(
                input, dense(addResidual(layer.weight.tensor, change, dropout: nil)), bias: layer.bias?.tensor,
                lowRank: nil, activation: activation, byRow: byRow)
        }
        let own = linear(input, dense(change), bias: nil, lowRank: nil, activation: nil, byRow: byRow)
        return finished(addResidual(biasedProduct(of: input), own, dropout: nil))
    }

    /// x · Wᵀ + u · Bᵀ, without bias and activation, to be `finished`.
    public func product(of input: Tensor, adding term: LowRankTerm?) -> Tensor {
        linear(
            input, layer.base(in: context, rows: input.rowCount), bias: nil, lowRank: term, activation: nil,
            byRow: byRow)
    }

    /// x · Wᵀ + b, without activation, to be `finished`.
    public func biasedProduct(of input: Tensor) -> Tensor {
        linear(
            input, layer.base(in: context, rows: input.rowCount), bias: layer.bias?.tensor, lowRank: nil,
            activation: nil, byRow: byRow)
    }

    /// act(z), for a z that holds the bias already.
    public func finished(_ z: Tensor) -> Tensor {
        guard let activation else { return z }
        return activate(z, activation)
    }
}
