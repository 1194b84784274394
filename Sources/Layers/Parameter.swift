import Diagnostics
public import Tensors

/// A named tensor of a model, as its checkpoint names it.
public final class Parameter {
    /// The name in a checkpoint as `transformers` saves it, such as `transformer.h.0.ln_1.weight`.
    public let name: String
    /// The current value as it is kept: floats, or the 16-bit numbers of a file while nobody changes them. Replaced as
    /// a whole; optimizers write into it once it is trainable.
    public var value: any StoredTensor {
        didSet { require(value.shape == oldValue.shape, "Parameter: \(name) of shape \(oldValue.shape)") }
    }

    public init(name: String, value: any StoredTensor) {
        self.name = name
        self.value = value
    }

    public convenience init(name: String, tensor: Tensor) { self.init(name: name, value: tensor) }

    /// The current value as floats, which are made anew at each reading where 16-bit numbers are kept: for whoever
    /// changes, merges or writes it, not for a pass through the model.
    public var tensor: Tensor {
        get { value.floats }
        set { value = newValue }
    }

    public var shape: [Int] { value.shape }
    public var count: Int { value.count }

    /// The value where operations on it are recorded.
    public var tracked: Tensor? { (value as? Tensor).flatMap { $0.node == nil ? nil : $0 } }

    /// Puts the value into memory of its own, which may be written, and asks for its gradient where `tracking`.
    public func takeOver(tracking: Bool) {
        let floats = value.floats
        let own = floats === value ? floats.copy() : floats
        // Who trains everything would have it in memory twice.
        value.releasePages()
        if tracking { own.track() }
        value = own
    }

    /// Sets the value back to what it was before `takeOver`.
    public func restore(_ original: any StoredTensor) { value = original }
}
