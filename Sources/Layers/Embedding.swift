public import Tensors

/// A table of rows, such as a token embedding, with a slot for one adapter.
public final class Embedding {
    /// The module's path in the model, such as `transformer.wte`.
    public let path: String
    /// [entries, width]
    public let weight: Parameter
    /// The entry that gets no gradient where it is read, as torch's `padding_idx`.
    public let paddingIndex: Int32?
    public var adapter: (any EmbeddingAdapter)?

    public init(path: String, weight: Parameter, paddingIndex: Int32? = nil) {
        self.path = path
        self.weight = weight
        self.paddingIndex = paddingIndex
    }

    public var entryCount: Int { weight.shape[0] }
    public var width: Int { weight.shape[1] }

    /// The rows of some entries, [indices, width].
    public func callAsFunction(_ indices: [Int32]) -> Tensor {
        let rows = tableRows(weight.value, indices, frozen: paddingIndex)
        return adapter?.apply(to: rows, indices) ?? rows
    }
}

/// What a method puts into an embedding's slot.
public protocol EmbeddingAdapter: AnyObject {
    /// The rows of some entries [indices, width], from those of the table.
    func apply(to rows: Tensor, _ indices: [Int32]) -> Tensor
}
