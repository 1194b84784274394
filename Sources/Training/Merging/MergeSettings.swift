public import Checkpoints

/// What is merged into what.
public struct MergeSettings: Sendable, Hashable {
    /// An adapter's folder, and what its change is multiplied by.
    public struct WeightedAdapter: Sendable, Hashable {
        public var path: String
        public var weight: Float

        public init(path: String, weight: Float) {
            self.path = path
            self.weight = weight
        }
    }

    /// The base model's folder or name.
    public var base: String
    /// None only changes the type.
    public var adapters: [WeightedAdapter]
    public var output: String
    /// F32, F16 or BF16 for all weights; nil keeps each tensor's own type.
    public var elementType: ElementType?
    /// Whether a model that lies in the output folder is replaced.
    public var overwrites: Bool
    /// Whether adapters are taken that were trained on another base, with a warning.
    public var acceptsOtherBase: Bool

    public init(
        base: String, adapters: [WeightedAdapter], output: String, elementType: ElementType?, overwrites: Bool,
        acceptsOtherBase: Bool = false
    ) {
        self.base = base
        self.adapters = adapters
        self.output = output
        self.elementType = elementType
        self.overwrites = overwrites
        self.acceptsOtherBase = acceptsOtherBase
    }
}

/// What a merge came to.
public struct MergeSummary: Sendable, Hashable {
    /// How many tensors of the base model were changed.
    public var changedTensors = 0
    /// How many tensors were written.
    public var writtenTensors = 0
    /// Whether the output layer got a weight of its own, which it shared with the token embedding before.
    public var untiedHead = false
    /// The largest difference of a probe's logits, relative to the largest logit.
    public var difference = 0.0
    /// The largest difference that would have been accepted.
    public var bound = 0.0
}
