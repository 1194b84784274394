import Configuration
import Diagnostics
import JSONText
import Layers
import Tensors

/// A linear layer's adapter that owns its tensors and can be folded into the layer.
protocol MergeableAdapter: LinearAdapter {
    var linear: Linear { get }

    /// What trains, by what follows the layer's path in the file's names.
    var tensors: [(suffix: String, tensor: Tensor)] { get }

    /// Leaves `weight` times the change in the layer's own parameters.
    func merge(weight: Float)
}

/// A method that is an adapter in each of some linear layers, and parameters of the model beside them.
final class LayerAdapters: Installation {
    private let adapters: [any MergeableAdapter]
    private let extras: ExtraParameters
    private let configuration: JSONValue

    init(
        _ adapters: [any MergeableAdapter], _ extras: ExtraParameters, _ configuration: JSONValue, isTraining: Bool
    ) throws(Problem) {
        self.adapters = adapters
        self.extras = extras
        self.configuration = configuration
        try extras.takeOver(tracking: isTraining)
        for adapter in adapters {
            adapter.linear.adapter = adapter
            if isTraining {
                for (_, tensor) in adapter.tensors { tensor.track() }
            }
        }
    }

    private var tensors: [(name: String, tensor: Tensor)] {
        adapters.flatMap { adapter in
            adapter.tensors.map { (adapter.linear.path + "." + $0.suffix, $0.tensor) }
        }
    }

    var trainable: [TrainableParameter] {
        tensors.map { TrainableParameter(name: $0.name, tensor: $0.tensor, decays: true) } + extras.trainable
    }

    func deliver() -> Delivery {
        .adapter(
            configuration: configuration,
            tensors: (tensors + extras.tensors).map { ("base_model.model." + $0.name, $0.tensor) })
    }

    func load(_ found: [String: Tensor], file: String) throws(Problems) {
        try loadExactly(found, into: tensors + extras.tensors, file: file)
    }

    func merge(weight: Float) {
        for adapter in adapters {
            adapter.linear.adapter = nil
            adapter.merge(weight: weight)
        }
        extras.merge(weight: weight)
    }

    func remove() {
        for adapter in adapters { adapter.linear.adapter = nil }
        extras.restore()
    }
}

extension TargetSelection {
    /// The linear layers that are meant, without those that train as a whole, as peft has it.
    ///
    /// - Throws: `Problems` as `linears` does, and where none is left or the output layer is among them.
    func adaptable(
        of model: any AdaptableModel, method: String, default entries: [String], modulesToSave: [String],
        _ section: ConfigSection
    ) throws -> [Linear] {
        let found = try linears(of: model, method: method, default: entries, section).filter { linear in
            !modulesToSave.contains { TargetSelection.saves(moduleAt: linear.path, orAbove: $0) }
        }
        if found.isEmpty {
            throw Problems([section.problem("takes every layer that target_modules selects", at: "modules_to_save")])
        }
        if let output = found.first(where: { $0.path == model.outputLayerPath }) {
            throw Problems([
                section.problem(
                    "\(output.path) can't be adapted by \(method): name it in modules_to_save", at: "target_modules")
            ])
        }
        return found
    }
}

extension ConfigSection {
    /// - Throws: `Problems` for a rank that is larger than a layer's weight has.
    func checkRank(_ rank: Int, of linear: Linear, at key: String) throws {
        try checkRank(rank, rows: linear.outputSize, columns: linear.inputSize, of: linear.path, at: key)
    }

    /// - Throws: `Problems` for a rank that is larger than the weight of a layer or an embedding has.
    func checkRank(_ rank: Int, of module: NamedModule, at key: String) throws {
        switch module.kind {
        case .linear(let linear): try checkRank(rank, of: linear, at: key)
        case .embedding(let table):
            try checkRank(rank, rows: table.entryCount, columns: table.width, of: table.path, at: key)
        case .norm, .container: break
        }
    }

    private func checkRank(_ rank: Int, rows: Int, columns: Int, of path: String, at key: String) throws {
        let limit = min(rows, columns)
        guard rank > limit else { return }
        throw Problems([
            problem(
                "a rank of \(rank) is more than \(path) has, whose weight is \(rows) × \(columns); give at most \(limit)",
                at: key)
        ])
    }
}

extension Linear {
    /// Adds a change [outputs, inputs] to the weight, in the layout of the file.
    func addToWeight(_ change: Tensor, scale: Float) {
        let result = weight.tensor.copy()
        for row in 0..<outputSize {
            for column in 0..<inputSize {
                let place = isInputByOutput ? column * outputSize + row : row * inputSize + column
                result.data[place] += scale * change.data[row * inputSize + column]
            }
        }
        weight.tensor = result
    }
}
