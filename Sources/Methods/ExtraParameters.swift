import Configuration
import Diagnostics
import Layers
import Tensors

/// Parameters of the model itself that train beside an adapter, and what they were before.
final class ExtraParameters {
    struct Entry {
        /// The name in the adapter's file, without the leading `base_model.model.`.
        let savedName: String
        let parameter: Parameter
        let original: any StoredTensor
        let decays: Bool
        let training: Training
    }

    /// How much of a parameter trains; what doesn't is delivered as it is.
    enum Training: Equatable {
        case whole, none
        case elements(Range<Int>)
    }

    private(set) var entries: [Entry] = []
    /// What asked for a gradient before the method came and is a constant while it is there.
    private var frozen: [(parameter: Parameter, original: any StoredTensor)] = []
    private let model: any AdaptableModel
    private var untiedHead = false

    init(model: any AdaptableModel) { self.model = model }

    /// Adds a parameter, once.
    func add(_ parameter: Parameter, savedName: String, training: Training = .whole) {
        if entries.contains(where: { $0.parameter === parameter }) { return }
        let entry = Entry(
            savedName: savedName, parameter: parameter, original: parameter.value,
            decays: decays(parameter.name, in: model), training: training)
        entries.append(entry)
    }

    /// Adds the biases that train beside low-rank terms in the layers at `adaptedPaths`.
    func add(biases: LoRASettings.Bias, adaptedPaths: Set<String>) {
        for parameter in model.parameters where parameter.name.hasSuffix(".bias") {
            let path = String(parameter.name.dropLast(".bias".count))
            let isAdapted = adaptedPaths.contains(path)
            guard biases == .all || biases == .loraOnly && isAdapted else { continue }
            add(parameter, savedName: isAdapted ? path + ".base_layer.bias" : parameter.name)
        }
    }

    /// Adds every parameter of the modules that `modules_to_save` names.
    ///
    /// - Throws: `Problems` that list every entry without a module; then the model is as it was.
    func add(modulesToSave entries: [String], _ section: ConfigSection) throws {
        var paths: [String] = []
        var problems: [Problem] = []
        for entry in entries {
            let modules = model.modules.filter { TargetSelection.saves($0.path, entry) }
            let found = modules.map(\.path)
            paths += found
            for module in modules {
                guard let obstacle = module.obstacle else { continue }
                problems.append(section.problem("\(module.path) \(obstacle)", at: "modules_to_save"))
            }
            // peft's files name what the model hasn't got, such as the heads of other models.
            if found.isEmpty, section.asksFor("modules_to_save") {
                let names = model.modules.map(\.path).filter { $0.allSatisfy { !$0.isNumber } || $0.contains(".0.") }
                problems.append(
                    section.problem(
                        "'\(entry)' matches no module; \(guess(entry, names))there are "
                            + names.joined(separator: ", "), at: "modules_to_save"))
            }
        }
        if !problems.isEmpty { throw Problems(problems) }
        for path in paths { add(moduleAt: path) { $0.name } }
    }

    /// Adds every parameter of a module, the head's weight as one of its own where it is shared.
    func add(moduleAt path: String, savedName: (Parameter) -> String) {
        if model.isHeadTied, path == model.outputLayerPath || !tiedParameters(below: path).isEmpty {
            model.untieHead()
            untiedHead = true
        }
        for parameter in model.parameters(of: path) { add(parameter, savedName: savedName(parameter)) }
    }

    /// The head's weight where it is shared and lies below a module's path.
    private func tiedParameters(below path: String) -> [Parameter] {
        model.parameters(of: path).filter { $0 === model.tokenEmbedding }
    }

    /// Gives every parameter memory of its own and, where it is to be trained, asks for its gradient; all other
    /// parameters of the model become constants.
    ///
    /// - Throws: `Problem` where one that is to be trained is kept in few bits; then the model is as it was.
    func takeOver(tracking: Bool) throws(Problem) {
        let fixed = entries.filter { tracking && $0.training != .none && $0.parameter.value is QuantizedTensor }
        if let first = fixed.first {
            if untiedHead { model.retieHead() }
            throw Problem(
                "is kept in \((first.parameter.value as? QuantizedTensor)?.quantization.bitsPerElement ?? 4) bits, in which "
                    + "it can't be trained" + (fixed.count > 1 ? ", as \(fixed.count - 1) more" : "")
                    + ": choose a method that adapts linear layers, such as lora, or load the base in floats",
                key: first.parameter.name)
        }
        for entry in entries { entry.parameter.takeOver(tracking: tracking && entry.training != .none) }
        freeze()
    }

    /// Makes all parameters constants but those that were added.
    func freeze() {
        for parameter in model.parameters {
            guard let tracked = parameter.tracked else { continue }
            if entries.contains(where: { $0.parameter === parameter }) { continue }
            frozen.append((parameter, tracked))
            parameter.value = tracked.detached()
        }
    }

    var trainable: [TrainableParameter] {
        entries.compactMap { entry in
            let elements: Range<Int>?
            switch entry.training {
            case .none: return nil
            case .whole: elements = nil
            case .elements(let range): elements = range
            }
            return TrainableParameter(
                name: entry.savedName, tensor: entry.parameter.tensor, decays: entry.decays, elements: elements)
        }
    }

    /// The shapes of every tensor that was added, by the names that they are delivered under.
    var shapes: [(name: String, shape: [Int])] { entries.map { ($0.savedName, $0.parameter.shape) } }

    /// Every tensor that was added, as it is delivered.
    var tensors: [(name: String, tensor: Tensor)] { entries.map { ($0.savedName, $0.parameter.tensor) } }

    func restore() {
        for entry in entries { entry.parameter.restore(entry.original) }
        for (parameter, original) in frozen { parameter.restore(original) }
        if untiedHead { model.retieHead() }
    }

    /// Leaves `weight` times the change in the parameters; they become constants again.
    func merge(weight: Float) {
        for entry in entries {
            let merged = entry.parameter.tensor.copy()
            if weight != 1 {
                let original = entry.original.floats
                for i in 0..<merged.count {
                    merged.data[i] = original.data[i] + weight * (merged.data[i] - original.data[i])
                }
            }
            entry.parameter.tensor = merged
        }
    }
}

/// Whether weight decay touches a parameter of the model: not biases, nor the weights of norms, as `Trainer` has it.
func decays(_ name: String, in model: any AdaptableModel) -> Bool {
    if name.contains("bias") { return false }
    return !model.modules.contains { module in
        guard case .norm = module.kind else { return false }
        return name.hasPrefix(module.path + ".")
    }
}
