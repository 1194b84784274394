public import Tensors

/// A named tensor of a model, as its checkpoint names it.
public final class Parameter {
    /// The name in a checkpoint as `transformers` saves it, such as `transformer.h.0.ln_1.weight`.
    public let name: String
    /// The current value. Replaced as a whole; optimizers write into it once it is trainable.
    public var tensor: Tensor {
        didSet { precondition(tensor.shape == oldValue.shape, "Parameter: \(name) of shape \(oldValue.shape)") }
    }

    public init(name: String, tensor: Tensor) {
        self.name = name
        self.tensor = tensor
    }

    public var shape: [Int] { tensor.shape }
    public var count: Int { tensor.count }

    /// Puts the value into memory of its own, which may be written, and asks for its gradient where `tracking`.
    public func takeOver(tracking: Bool) {
        tensor = tensor.copy()
        if tracking { tensor.track() }
    }

    /// Sets the value back to what it was before `takeOver`.
    public func restore(_ original: Tensor) { tensor = original }
}
