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
    public var form: Form

    /// What becomes of weights that adapters were trained on in 4 or 8 bits.
    public enum Form: Sendable, Hashable {
        /// The changes are added to the floats that the weights were before; they must be at hand.
        case original
        /// All is written as floats: what the codes stand for, and the changes.
        case dequantized
        /// The sums of what codes stand for and the changes are quantized as the weights were.
        case requantized
    }

    public init(
        base: String, adapters: [WeightedAdapter], output: String, elementType: ElementType?, overwrites: Bool,
        acceptsOtherBase: Bool = false, form: Form = .original
    ) {
        self.base = base
        self.adapters = adapters
        self.output = output
        self.elementType = elementType
        self.overwrites = overwrites
        self.acceptsOtherBase = acceptsOtherBase
        self.form = form
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
    /// How many weights the base has in fewer bits, as it was merged into.
    public var quantizedTensors = 0
    /// Of weights that the adapters were trained on in fewer bits: how those are kept, `nf4, double`; nil where they were
    /// trained on floats.
    public var quantization: String?
    /// The largest difference of the probe's logits between what is written and what was trained: the base as it was kept
    /// while training, with the adapters; nil where both are the same.
    public var distance: Double?
    /// The loss of the probe's texts before and after the sums were quantized anew; nil where they weren't, or the model is
    /// no language model.
    public var lossBefore: Double?
    public var lossAfter: Double?
    /// The same as `distance` between the base's floats and the base as it was kept while training, without adapters.
    public var baseDistance: Double?
    /// What else is to be known of what was merged, a line each.
    public var notes: [String] = []
}
