import Diagnostics
import JSONText
public import Layers
import Tensors

extension PEFTMethod {
    /// Puts the method into a model; where the model has a task's head, that trains beside the method's own parameters
    /// and is stored with them, as peft does for `task_type: SEQ_CLS`.
    ///
    /// The head reads the last token of each sequence. So it does in peft 0.21, with one exception: where virtual tokens
    /// stand in front, peft hands vectors instead of tokens to the model, which then can't tell padding from text and
    /// reads the last row of the padded batch, so that the outputs for a text depend on the texts beside it. Without
    /// padding both agree.
    ///
    /// - Throws: `Problems` where the settings don't fit the model; then the model is as it was.
    public func installWithHead(
        into model: any AdaptableModel, _ context: InstallationContext
    ) throws -> any Installation {
        var own = context
        if let head = model.taskHead { own.stored?.optional.insert(head.name) }
        let installation = try install(into: model, own)
        guard let head = model.taskHead else { return installation }
        return TaskHeadInstallation(installation, head: head, isTraining: context.isTraining)
    }
}

/// The modules that peft adds to `modules_to_save` of an adapter for sequence classification, whether the model has them
/// or not.
public let taskHeadModules = ["classifier", "score"]

/// A method with the head of a task beside it.
private final class TaskHeadInstallation: Installation {
    private let method: any Installation
    private let head: Parameter
    /// What the head was before; nil where the method itself trains it.
    private let original: (any StoredTensor)?

    init(_ method: any Installation, head: Parameter, isTraining: Bool) {
        self.method = method
        self.head = head
        guard !method.trainable.contains(where: { $0.tensor === head.tensor }) else {
            original = nil
            return
        }
        original = head.value
        head.takeOver(tracking: isTraining)
    }

    var trainable: [TrainableParameter] {
        let own = original == nil ? [] : [TrainableParameter(name: head.name, tensor: head.tensor, decays: true)]
        return method.trainable + own
    }

    func deliver() -> Delivery {
        guard case .adapter(.object(var members), let tensors) = method.deliver() else { return method.deliver() }
        var modules: [JSONValue] = []
        if let index = members.firstIndex(where: { $0.key == "modules_to_save" }) {
            if case .array(let others) = members.remove(at: index).value { modules = others }
        }
        modules += taskHeadModules.map(JSONValue.string).filter { !modules.contains($0) }
        members.removeAll { $0.key == "task_type" }
        members += [.init("modules_to_save", .array(modules)), .init("task_type", "SEQ_CLS")]
        members.sort { $0.key < $1.key }
        let own = (name: namePrefix(beside: tensors.map(\.name)) + head.name, tensor: head.tensor)
        return .adapter(configuration: .object(members), tensors: tensors + (original == nil ? [] : [own]))
    }

    func load(_ tensors: [String: Tensor], file: String) throws(Problems) {
        guard original != nil else { return try method.load(tensors, file: file) }
        var others = tensors
        let found = others.removeValue(forKey: head.name)
        guard let found, found.shape == head.shape else {
            let message = found.map { "has shape \($0.shape), but \(head.shape) is expected" }
            throw Problems([
                Problem(message ?? "is missing; shape \(head.shape) is expected", file: file, key: head.name)
            ])
        }
        try method.load(others, file: file)
        head.tensor.data.update(from: found.data, count: found.count)
    }

    func merge(weight: Float) {
        method.merge(weight: weight)
        guard let original = original?.floats else { return }
        let merged = head.tensor.copy()
        if weight != 1 {
            for i in 0..<merged.count {
                merged.data[i] = original.data[i] + weight * (merged.data[i] - original.data[i])
            }
        }
        head.tensor = merged
    }

    var mergeObstacle: String? { method.mergeObstacle }
    var formObstacle: String? { method.formObstacle }

    var trainingState: [(name: String, tensor: Tensor)] {
        let isAlone = original != nil && resumesFromTrainingStateAlone
        return method.trainingState + (isAlone ? [(name: head.name, tensor: head.tensor)] : [])
    }

    var resumesFromTrainingStateAlone: Bool { method.resumesFromTrainingStateAlone }
    func resumed() { method.resumed() }
    func regularization() -> Tensor? { method.regularization() }
    func afterStep(_ step: OptimizerStep) { method.afterStep(step) }

    func remove() {
        method.remove()
        if let original { head.restore(original) }
    }
}
