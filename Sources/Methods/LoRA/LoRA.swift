public import Configuration
import Diagnostics
import JSONText
public import Layers
import Tensors

/// Low-rank adaptation (Hu et al. 2021, section 4.1): y = W x + s · B A drop(x), with A [r, inputs] and B [outputs, r]
/// trained, W frozen, and s = alpha / r.
///
/// Variants: s = alpha / √r (rsLoRA, Kalajdzievski 2023), a trained magnitude of each output's weights (DoRA, Liu et al.
/// 2024), beginnings from W itself (PiSSA, Meng et al. 2024; OLoRA, Büyükakyüz 2024) and from what it loses in few bits
/// (LoftQ, Li et al. 2023), embeddings as targets, single rows of the token embedding.
public struct LoRA: SelectingMethod {
    public static let name = "lora"
    public static let learningRate = 1e-3
    public static let adapterType: String? = "LORA"
    public static let tensorEndings = [
        ".lora_A.weight", ".lora_B.weight", ".lora_B.bias", ".lora_magnitude_vector", ".lora_embedding_A",
        ".lora_embedding_B", ".token_adapter.trainable_tokens_delta", ".base_layer.weight", ".base_layer.bias",
    ]

    fileprivate(set) var settings: LoRASettings
    let section: ConfigSection
    let start: [LoRA]

    public init(_ section: ConfigSection, startingFrom defaults: LoRA?) throws {
        self.section = section
        start = defaults.map { [$0] } ?? []
        settings = try LoRASettings(section, defaults: defaults?.settings)
        if let defaults {
            settings.reportDifferences(from: defaults.settings, section)
            try section.throwProblems()
        }
    }

    public var changesBaseWeights: Bool { settings.initialization.changesBase }

    public func check(_ model: any AdaptableModel) throws { try checkStart(model) }

    func selection(in model: any AdaptableModel) throws -> Selection {
        let shapes = try adaptedModules(of: model, isTraining: false).map { module in
            let rank = settings.rankPattern.value(for: module.path) ?? settings.rank
            let alpha = settings.alphaPattern.value(for: module.path) ?? settings.alpha
            return (
                module.path,
                [Selection.Trait.rank(rank, "rank_pattern", "r"), .alpha(alpha, "alpha_pattern", "lora_alpha")]
            )
        }
        var selection = Selection(
            Dictionary(shapes, uniquingKeysWith: { first, _ in first }), modulesToSave: settings.modulesToSave,
            in: model)
        selection.rows = Dictionary(
            settings.tokenRows.compactMap { choice in
                TokenRows.embedding(of: choice, in: model).map { ($0.path, choice.indices.sorted()) }
            }, uniquingKeysWith: { first, _ in first })
        return selection
    }

    public func install(into model: any AdaptableModel, _ context: InstallationContext) throws -> any Installation {
        try check(model)
        try checkParameters(of: model)
        var method = self
        // The rows of the file's tensor stand in its order.
        if let start = start.first { method.settings.tokenRows = start.settings.tokenRows }
        let modules = try adaptedModules(of: model, isTraining: context.isTraining)
        try checkWeights(modules)
        return try LoRAInstallation(method, modules, model, context)
    }

    /// Throws where a beginning would change a weight that is kept in few bits.
    private func checkWeights(_ modules: [NamedModule]) throws {
        guard settings.initialization.takesFromBase else { return }
        for module in modules {
            guard case .linear(let linear) = module.kind, let weight = linear.weight.value as? QuantizedTensor else {
                continue
            }
            throw Problems([
                section.problem(
                    "'\(settings.initialization.rawValue)' takes its beginning out of the base's weights, and "
                        + "\(module.path) is kept in \(weight.quantization.bitsPerElement) bits: load the base in floats",
                    at: "init_lora_weights")
            ])
        }
    }

    private func checkParameters(of model: any AdaptableModel) throws {
        for entry in settings.targetParameters {
            guard let found = model.parameters.first(where: { TargetSelection.matches($0.name, entry) }) else {
                continue
            }
            throw Problems([
                section.problem("adapts \(found.name) itself, which isn't supported", at: "target_parameters")
            ])
        }
    }

    private func adaptedModules(of model: any AdaptableModel, isTraining: Bool) throws -> [NamedModule] {
        if settings.targets.isNone {
            // A task's head may be all that such a file holds.
            if settings.modulesToSave.isEmpty, settings.bias == .none, settings.tokenRows.isEmpty, isTraining {
                throw Problems([section.problem("selects nothing, and nothing else is to train", at: "target_modules")])
            }
            return []
        }
        let selected = try settings.targets.layers(
            of: model, method: Self.name, default: model.defaultTargets.queriesAndValues, section)
        // As peft has it: what trains as a whole gets no low-rank term beside that.
        let modules = selected.filter { module in
            !settings.modulesToSave.contains { TargetSelection.saves(moduleAt: module.path, orAbove: $0) }
        }
        if modules.isEmpty {
            throw Problems([section.problem("takes every layer that target_modules selects", at: "modules_to_save")])
        }
        return modules
    }
}

private final class LoRAInstallation: Installation {
    private let method: LoRA
    private let model: any AdaptableModel
    private let basePath: String
    private let pairs: [LoRAPair]
    private let embeddings: [LoRAEmbedding]
    private let tokenRows: [TokenRows]
    private let extras: ExtraParameters

    init(_ method: LoRA, _ modules: [NamedModule], _ model: any AdaptableModel, _ context: InstallationContext) throws {
        self.model = model
        basePath = context.basePath
        let settings = method.settings
        let shapes = try LoRAShapes(method, modules, model, context)
        tokenRows = try TokenRows.make(method, modules, model)
        extras = ExtraParameters(model: model)
        extras.add(biases: settings.bias, adaptedPaths: Set(modules.map(\.path)))
        try extras.add(modulesToSave: settings.modulesToSave, method.section)
        try Self.check(modules, shapes, tokenRows, extras, settings, model, context)
        // With a head of its own the model has another output layer than before.
        let linears = Dictionary(
            model.modules.compactMap { module in
                if case .linear(let linear) = module.kind { (module.path, linear) } else { nil }
            }, uniquingKeysWith: { first, _ in first })
        pairs = modules.compactMap { module in
            linears[module.path].map { LoRAPair($0, shapes[module.path], settings, seed: context.beginningSeed) }
        }
        embeddings = modules.compactMap { module in
            guard case .embedding(let embedding) = module.kind else { return nil }
            return LoRAEmbedding(embedding, shapes[module.path], settings, seed: context.beginningSeed)
        }
        var method = method
        let beginnings: [LoftQBeginning]
        do {
            method.settings.loftQ = try settings.loftQ?.resolved(for: pairs, method.section)
            beginnings =
                try method.settings.loftQ?.beginnings(of: pairs, makesPairs: context.stored == nil) ?? []
        } catch {
            extras.restore()
            throw error
        }
        self.method = method
        try extras.takeOver(tracking: context.isTraining)
        for (pair, beginning) in zip(pairs, beginnings) { pair.begin(over: beginning.base, with: beginning.pair) }
        method.settings.loftQ?.tell(beginnings, pairs, method.settings, method.section, context)
        initialise(pairs, settings.initialization)
        for pair in pairs { pair.linear.adapter = pair }
        for embedding in embeddings { embedding.embedding.adapter = embedding }
        for rows in tokenRows { rows.install() }
        if context.isTraining { for parameter in own { parameter.tensor.track() } }
    }

    /// Compares what is about to be made with the file that it will be loaded from.
    private static func check(
        _ modules: [NamedModule], _ shapes: LoRAShapes, _ tokenRows: [TokenRows], _ extras: ExtraParameters,
        _ settings: LoRASettings, _ model: any AdaptableModel, _ context: InstallationContext
    ) throws(Problems) {
        guard context.stored != nil else { return }
        var context = context
        let own = modules.flatMap { module in
            switch module.kind {
            case .linear(let linear):
                if linear.path == model.outputLayerPath { context.stored?.optional.insert(linear.path + baseLayer) }
                return LoRAPair.layout(linear, shapes[module.path], settings)
            case .embedding(let embedding):
                if embedding.weight === model.tokenEmbedding {
                    context.stored?.optional.insert(embedding.path + baseLayer)
                }
                return LoRAEmbedding.layout(embedding, shapes[module.path], settings)
            case .norm, .container: return []
            }
        }
        let rows = tokenRows.map { ($0.trainable.name, $0.trainable.tensor.shape) }
        try context.check(own + rows, extras)
    }

    private var own: [TrainableParameter] {
        pairs.flatMap(\.trainable) + embeddings.flatMap(\.trainable) + tokenRows.map(\.trainable)
    }

    var trainable: [TrainableParameter] { own + extras.trainable }

    func deliver() -> Delivery {
        let tensors =
            pairs.flatMap(\.delivered) + embeddings.flatMap(\.trainable).map { ($0.name, $0.tensor) }
            + tokenRows.map { ($0.trainable.name, $0.trainable.tensor) } + extras.trainable.map { ($0.name, $0.tensor) }
            + (storesBaseLayers ? baseLayers.map { ($0.name, $0.original.floats) } : [])
        let adapted =
            pairs.map { AdaptedModule(path: $0.linear.path, rank: $0.deliveredRank, alpha: $0.deliveredAlpha) }
            + embeddings.map { AdaptedModule(path: $0.embedding.path, rank: $0.shape.rank, alpha: $0.shape.alpha) }
        return .adapter(
            configuration: method.settings.adapterConfiguration(
                // peft keeps what its last layer says.
                adapted, isInputByOutput: pairs.last?.linear.isInputByOutput ?? false, of: model, basePath: basePath),
            tensors: tensors.map { ("base_model.model." + $0.0, $0.1) })
    }

    /// The weights below the adapters of the token embedding and the output layer: as they belong into the file, and as they
    /// are.
    private var baseLayers: [(name: String, original: any StoredTensor, current: any StoredTensor)] {
        let tables = embeddings.map(\.embedding).filter { $0.weight === model.tokenEmbedding }
        return tables.map { ($0.path + Self.baseLayer, $0.weight.value, $0.weight.value) }
            + pairs.filter { $0.linear.path == model.outputLayerPath }.map {
                ($0.linear.path + Self.baseLayer, $0.base ?? $0.original, $0.linear.weight.value)
            }
    }

    private static let baseLayer = ".base_layer.weight"

    /// Whether the file holds `baseLayers`: peft stores them where a name that it takes for an embedding is a target,
    /// unless single rows train.
    private var storesBaseLayers: Bool {
        let names = ["embed_tokens", "lm_head"]
        guard method.settings.tokenRows.isEmpty else { return false }
        switch method.settings.targets.modules {
        case .list(let entries): return entries.contains(where: names.contains)
        case .expression(let source)?:
            let isMeant = try? TargetSelection.test(of: .expression(source), at: "target_modules", method.section)
            return model.modules.contains { module in
                names.contains { TargetSelection.matches(module.path, $0) } && isMeant?(module.path) == true
            }
        case .allLinear?, nil: return false
        }
    }

    func load(_ tensors: [String: Tensor], file: String) throws(Problems) {
        var tensors = tensors
        for (name, _, current) in baseLayers {
            guard let stored = tensors.removeValue(forKey: name) else { continue }
            let own = current.floats
            // As far as halves round; where it was quantized anew, some codes are their neighbours.
            if stored.shape != own.shape
                || (method.settings.loftQ == nil ? relativeDistance(stored, own) : relativeError(stored, own)) > 1e-2
            {
                throw Problems([
                    Problem(
                        "isn't the weight that this model has there: the adapter was made for another one", file: file,
                        key: name)
                ])
            }
        }
        try loadExactly(tensors, into: trainable.map { ($0.name, $0.tensor) }, file: file)
        for pair in pairs { pair.forgetNorm() }
        for embedding in embeddings { embedding.forgetNorm() }
    }

    var formObstacle: String? { method.settings.loftQ?.formObstacle }

    var mergeObstacle: String? { pairs.lazy.compactMap(\.mergeObstacle).first }

    func merge(weight: Float) {
        extras.merge(weight: weight)
        let merged = pairs.map { $0.merged(weight: weight) }
        for rows in tokenRows { rows.merge(weight: weight) }
        for embedding in embeddings {
            // The output layer stays what it was.
            if embedding.embedding.weight === model.tokenEmbedding { model.untieHead() }
            embedding.merge(weight: weight)
        }
        for (pair, result) in zip(pairs, merged) {
            pair.linear.adapter = nil
            var linear = pair.linear
            if linear.path == model.outputLayerPath {
                model.untieHead()
                for module in model.modules where module.path == linear.path {
                    if case .linear(let current) = module.kind { linear = current }
                }
            }
            linear.weight.tensor = result.weight
            if let bias = result.bias { linear.bias?.tensor = bias }
        }
    }

    func remove() {
        for pair in pairs { pair.remove() }
        for embedding in embeddings { embedding.embedding.adapter = nil }
        for rows in tokenRows { rows.remove() }
        extras.restore()
    }

    // A delivery whose beginning came out of the base's weights holds the difference to it, from which training can't go
    // on.
    var resumesFromTrainingStateAlone: Bool { pairs.contains { $0.start != nil } }

    var trainingState: [(name: String, tensor: Tensor)] {
        if !resumesFromTrainingStateAlone { return [] }
        let starts = pairs.flatMap { pair in
            pair.start.map { [(pair.linear.path + ".start_A", $0.a), (pair.linear.path + ".start_B", $0.b)] } ?? []
        }
        return trainable.map { ($0.name, $0.tensor) } + starts
    }

    func resumed() {
        for pair in pairs { pair.subtractStart() }
    }
}

/// original + weight · (changed − original).
func interpolated(from original: Tensor, to changed: Tensor, _ weight: Float) -> Tensor {
    let result = Tensor(uninitialized: original.shape)
    for i in 0..<result.count {
        result.data[i] = original.data[i] + weight * (changed.data[i] - original.data[i])
    }
    return result
}

/// The largest difference of two tensors, relative to the largest number of the second.
private func relativeDistance(_ a: Tensor, _ b: Tensor) -> Float {
    var (difference, largest): (Float, Float) = (0, 0)
    for i in 0..<a.count {
        difference = max(difference, (a.data[i] - b.data[i]).magnitude)
        largest = max(largest, b.data[i].magnitude)
    }
    return difference == 0 ? 0 : difference / largest
}

/// The norm of the difference of two tensors, relative to that of the second.
private func relativeError(_ a: Tensor, _ b: Tensor) -> Float {
    let change = sumOfSquares(difference(a, b))
    return change == 0 ? 0 : Float((change / sumOfSquares(b)).squareRoot())
}
