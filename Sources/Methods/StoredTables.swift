public import Diagnostics
public import Layers
public import Tensors

/// The token embedding and the output layer's weight as an adapter's file brings them along, whole and not trained: peft
/// stores them with every method where the vocabulary was resized before training, and what lies below an adapter of one
/// of them.
///
/// Reading such a file, peft puts them in place of the model's own.
public struct StoredTables {
    private struct Table {
        /// The names in the file, without prefix.
        var names: [String]
        let parameter: Parameter
        let tensor: Tensor
    }

    private var tables: [Table] = []

    /// What the names end in behind a module's path, beside those of the module's own tensors; where one ends in another,
    /// the longer first.
    public static let endings = [original, belowRows, copy, belowAdapter]

    private static let original = ".original_module.weight"
    private static let belowRows = ".token_adapter.base_layer.weight"
    private static let copy = ".modules_to_save.weight"
    private static let belowAdapter = ".base_layer.weight"
    private static let copiedBias = ".modules_to_save.bias"
    private static let originalBias = ".original_module.bias"

    /// Takes the tables, and what peft stores of them twice, out of an adapter's tensors.
    ///
    /// - Parameters:
    ///   - modulesToSave: The adapter's setting: what it names is trained.
    ///   - method: The adapter's method.
    /// - Throws: `Problems` where a table doesn't fit the model.
    public init(
        takenFrom tensors: inout [String: Tensor], for model: any AdaptableModel, method: any PEFTMethod,
        modulesToSave: [String], file: String
    ) throws(Problems) {
        guard type(of: method).library == "peft" else { return }
        let table = model.tokenEmbedding
        let head =
            model.isHeadTied ? table : model.parameters.first { $0.name == model.outputLayerPath + ".weight" }
        let tablePath = String(table.name.dropLast(".weight".count))
        var places = [(path: tablePath, parameter: table)]
        if let head, model.taskHead == nil { places.append((model.outputLayerPath, head)) }
        for (path, parameter) in places {
            let isSaved = modulesToSave.contains { TargetSelection.saves(moduleAt: path, orAbove: $0) }
            var endings = [Self.original, Self.belowRows]
            if !isSaved { endings.append(".weight") }
            if !method.changesBaseWeights { endings.append(Self.belowAdapter) }
            for name in endings.map({ path + $0 }) {
                guard let tensor = tensors.removeValue(forKey: name) else { continue }
                try add(tensor, named: name, to: parameter, file: file)
            }
            Self.drop(path + Self.copy, like: path + ".weight", from: &tensors)
        }
        // Of a saved module that has one, peft stores every bias that there is beside `bias: all`.
        for name in tensors.keys.filter({ $0.hasSuffix(Self.copiedBias) }) {
            let path = String(name.dropLast(Self.copiedBias.count))
            guard modulesToSave.contains(where: { TargetSelection.saves(moduleAt: path, orAbove: $0) }) else {
                continue
            }
            Self.drop(name, like: path + ".bias", from: &tensors)
            tensors[path + Self.originalBias] = nil
        }
        let rows = ".token_adapter.trainable_tokens_delta"
        if model.isHeadTied { Self.drop(model.outputLayerPath + rows, like: tablePath + rows, from: &tensors) }
    }

    private mutating func add(
        _ tensor: Tensor, named name: String, to parameter: Parameter, file: String
    ) throws(Problems) {
        if tensor.shape != parameter.shape {
            let (found, own) = (tensor.shape, parameter.shape)
            let isVocabulary = found.count == 2 && found[1] == own[1]
            throw Problems([
                Problem(
                    isVocabulary
                        ? "holds \(found[0]) tokens, but the model has \(own[0]): the adapter was trained after the "
                            + "vocabulary was resized; give the base model that it was trained on, or make one in "
                            + "transformers by resize_token_embeddings(\(found[0])) and save_pretrained"
                        : "has shape \(found), but the model's is \(own): the adapter was made for another model",
                    file: file, key: name)
            ])
        }
        guard let index = tables.firstIndex(where: { $0.parameter === parameter }) else {
            tables.append(Table(names: [name], parameter: parameter, tensor: tensor))
            return
        }
        if tables[index].tensor.values != tensor.values {
            throw Problems([
                Problem(
                    "differs from \(tables[index].names[0]), but the model uses one table for both; save the model with "
                        + "an output layer of its own first", file: file, key: name)
            ])
        }
        tables[index].names.append(name)
    }

    /// Drops a tensor that repeats another.
    private static func drop(_ name: String, like other: String, from tensors: inout [String: Tensor]) {
        if let first = tensors[name], let second = tensors[other], first.shape == second.shape,
            first.values == second.values
        {
            tensors[name] = nil
        }
    }

    /// Puts the tables into the model, those that differ from its own, and the method on top of them.
    ///
    /// - Throws: What `install` throws; then the model is as it was.
    public func install(_ install: () throws -> any Installation, in model: any AdaptableModel) throws
        -> any Installation
    {
        let changed = tables.filter { $0.tensor.values != $0.parameter.value.floats.values }
        if changed.isEmpty { return try install() }
        let wasTied = model.isHeadTied
        let replaced = changed.map { table in
            ReplacedTable(
                names: table.names, parameter: table.parameter, original: table.parameter.value, tensor: table.tensor)
        }
        for table in changed { table.parameter.tensor = table.tensor }
        do {
            return TablesInstallation(try install(), model, replaced, wasTied: wasTied)
        } catch {
            for table in replaced { table.parameter.restore(table.original) }
            throw error
        }
    }
}

/// A table that stands in place of the model's own.
private struct ReplacedTable {
    let names: [String]
    let parameter: Parameter
    let original: any StoredTensor
    let tensor: Tensor
}

/// A method on top of tables that came with its file.
private final class TablesInstallation: Installation {
    private let method: any Installation
    private let model: any AdaptableModel
    private let replaced: [ReplacedTable]
    private let wasTied: Bool

    init(_ method: any Installation, _ model: any AdaptableModel, _ replaced: [ReplacedTable], wasTied: Bool) {
        (self.method, self.model, self.replaced, self.wasTied) = (method, model, replaced, wasTied)
    }

    var trainable: [TrainableParameter] { method.trainable }

    func deliver() -> Delivery {
        guard case .adapter(let configuration, var tensors) = method.deliver() else { return method.deliver() }
        let prefix = namePrefix(beside: tensors.map(\.name))
        for item in replaced {
            for name in item.names where !tensors.contains(where: { $0.name == prefix + name }) {
                tensors.append((prefix + name, item.tensor))
            }
        }
        return .adapter(configuration: configuration, tensors: tensors)
    }

    func load(_ tensors: [String: Tensor], file: String) throws(Problems) {
        var others = tensors
        for name in replaced.flatMap(\.names) { others[name] = nil }
        try method.load(others, file: file)
    }

    /// T + weight · (R + Δ − T) for the model's own table T, the file's R and the method's change Δ.
    func merge(weight: Float) {
        method.merge(weight: weight)
        guard weight != 1 else { return }
        for item in replaced {
            var parameters = [item.parameter]
            if wasTied, !model.isHeadTied {
                parameters += model.parameters.filter { $0.name == model.outputLayerPath + ".weight" }
            }
            let original = item.original.floats
            for parameter in parameters {
                let merged = parameter.tensor.copy()
                for i in 0..<merged.count {
                    merged.data[i] += (weight - 1) * (item.tensor.data[i] - original.data[i])
                }
                parameter.tensor = merged
            }
        }
    }

    func remove() {
        method.remove()
        for item in replaced { item.parameter.restore(item.original) }
    }

    var mergeObstacle: String? { method.mergeObstacle }
    var formObstacle: String? { method.formObstacle }
    var trainingState: [(name: String, tensor: Tensor)] { method.trainingState }
    var resumesFromTrainingStateAlone: Bool { method.resumesFromTrainingStateAlone }
    func resumed() { method.resumed() }
    func regularization() -> Tensor? { method.regularization() }
    func afterStep(_ step: OptimizerStep) { method.afterStep(step) }
}

/// What stands in a file before the names of the model's own tensors: one level less beside a prompt of peft's.
func namePrefix(beside names: [String]) -> String {
    names.contains { $0.hasSuffix(PromptTable.name) } ? "base_model." : "base_model.model."
}
