public import Diagnostics
public import Tensors

/// A method in a model.
public protocol Installation: AnyObject {
    /// What trains, each tensor once.
    var trainable: [TrainableParameter] { get }

    /// The method's result as it stands.
    func deliver() -> Delivery

    /// Takes over the tensors of an adapter file, by their names without the leading `base_model.model.`.
    ///
    /// - Throws: `Problems` that list every missing, unexpected and misshapen tensor; then nothing was changed.
    func load(_ tensors: [String: Tensor], file: String) throws(Problems)

    /// Why the method's change can't be folded into the model's own parameters, as the end of "… can't be merged: ";
    /// nil where it can.
    var mergeObstacle: String? { get }

    /// Why peft doesn't load what is delivered as it was trained, as a sentence without its point; nil where it does, as far
    /// as the model and not the method's settings matter.
    var formObstacle: String? { get }

    /// Folds `weight` times the method's change into the model's own parameters and takes the method out. Only called
    /// where there is no `mergeObstacle`.
    func merge(weight: Float)

    /// Takes the method out: the model computes as before, to the bit.
    func remove()

    /// What training needs to go on beside the delivery and the optimizer's memory, which only training checkpoints
    /// hold: an encoder, running statistics. Written by name, and copied back into these tensors when a run resumes.
    var trainingState: [(name: String, tensor: Tensor)] { get }

    /// Whether `trainingState` is all that a resumed run needs, because what is delivered isn't what trains; then the
    /// delivery isn't loaded.
    var resumesFromTrainingStateAlone: Bool { get }

    /// Called when a run resumes, after everything was copied back.
    func resumed()

    /// What training minimises beside the model's loss, [1], recorded; nil for nothing. Evaluation leaves it out.
    func regularization() -> Tensor?

    /// Called after each step of the optimizer, while the gradients are still there.
    func afterStep(_ step: OptimizerStep)
}

/// A step that the optimizer has just taken.
public struct OptimizerStep: Sendable, Hashable {
    /// Counted from 0.
    public let index: Int
    /// What clipping multiplied the gradients by before they were used; they themselves are as `backward` left them.
    public let gradientScale: Float

    public init(index: Int, gradientScale: Float) {
        self.index = index
        self.gradientScale = gradientScale
    }
}

extension Installation {
    public var mergeObstacle: String? { nil }
    public var formObstacle: String? { nil }
    public var trainingState: [(name: String, tensor: Tensor)] { [] }
    public var resumesFromTrainingStateAlone: Bool { false }
    public func resumed() {}
    public func regularization() -> Tensor? { nil }
    public func afterStep(_ step: OptimizerStep) {}
}
