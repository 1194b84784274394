import Checkpoints
import Configuration
import Diagnostics
import Layers
import Methods
import Models
import Tensors

/// What several LoRA adapters change of one base, module by module.
struct GatheredAdapters {
    private(set) var modules: [CombinedModule] = []
    /// Modules that one of the adapters holds whole, by their parameters' names.
    private(set) var saved: [(name: String, tensor: Tensor)] = []
    /// Whether an adapter's scale is by the root of its rank.
    private(set) var areRankStabilised = false
    private(set) var dropout: Float = 0
    /// The adapters' paths.
    let paths: [String]
    private var savers: [String: Int] = [:]

    /// - Throws: `Problem` or `Problems` for an adapter of another method, and one that holds what can't be combined.
    init(_ base: BaseModel, _ adapters: [(folder: AdapterFolder, weight: Float)]) throws {
        paths = adapters.map(\.folder.path)
        var places: [String: Int] = [:]
        for (number, adapter) in adapters.enumerated() {
            let installation = try Self.install(adapter.folder, in: base) { lora in
                areRankStabilised = areRankStabilised || lora.isRankStabilised
                if number == 0 { dropout = lora.lowRankDropout }
            }
            for change in base.model.lowRankChanges {
                let part = CombinedModule.Part(adapter: number, weight: adapter.weight, change: change)
                if let place = places[change.path] {
                    modules[place].add(part)
                } else {
                    places[change.path] = modules.count
                    modules.append(CombinedModule(part))
                }
            }
            try save(installation, number)
            installation.remove()
        }
        let order = Dictionary(
            base.model.modules.enumerated().map { ($1.path, $0) }, uniquingKeysWith: { first, _ in first })
        modules.sort { order[$0.path] ?? 0 < order[$1.path] ?? 0 }
        if modules.isEmpty {
            throw Problem("changes no layer, so that there is nothing to combine", file: paths[0])
        }
    }

    private static func install(
        _ folder: AdapterFolder, in base: BaseModel, _ look: (LoRA) -> Void
    ) throws -> any Installation {
        guard try BaseModel.method(of: folder) == LoRA.self else {
            throw Problem(
                "an adapter of the method \(try BaseModel.method(of: folder).name) can't be combined, as lora's can: "
                    + "'peft convert' makes a LoRA adapter of one that merges", file: folder.path)
        }
        let lora = try LoRA(ConfigDocument(adapter: folder).root, startingFrom: nil)
        try lora.checkCombination()
        look(lora)
        let before = Dictionary(
            base.model.parameters.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        let installation = try base.install(
            folder, as: lora, InstallationContext(seed: 0, basePath: base.folder, isTraining: false))
        let whole = Set(Self.whole(installation).map(\.name))
        for parameter in base.model.parameters
        where !whole.contains(parameter.name) && parameter.value !== before[parameter.name] {
            throw Problem(
                "brings a \(parameter.name) of its own along, which can't be combined with another: the vocabulary was "
                    + "resized before the training; give the base model that it was trained on", file: folder.path)
        }
        return installation
    }

    /// What a LoRA adapter holds beside its pairs.
    private static func whole(_ installation: any Installation) -> [TrainableParameter] {
        installation.trainable.filter { parameter in
            !parameter.name.contains(".lora_") && !parameter.name.hasSuffix(".trainable_tokens_delta")
        }
    }

    private mutating func save(_ installation: any Installation, _ number: Int) throws {
        for parameter in Self.whole(installation) {
            if let other = savers.updateValue(number, forKey: parameter.name) {
                throw Problem(
                    "holds \(parameter.name) whole (modules_to_save), as '\(paths[other])' does, and peft combines no such: "
                        + "merge without --combine sums what changed of both", file: paths[number])
            }
            saved.append((parameter.name, parameter.tensor.copy()))
        }
    }

    /// The adapters that hold modules whole.
    var saverPaths: [String] { Set(savers.values).sorted().map { paths[$0] } }
}
