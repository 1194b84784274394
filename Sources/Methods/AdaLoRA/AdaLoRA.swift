public import Configuration
import Diagnostics
import JSONText
public import Layers
import Tensors

/// Adaptive budgets of rank (Zhang et al. 2023): y = W x + s · B (E ∘ A x) with E [r, 1] in place of singular values, of
/// which those that matter least are set to 0 on the way from `init_r` to `target_r` for each layer on average.
///
/// s = alpha / (init_r + 1e-5). The loss has `orth_reg_weight` times the mean of ‖A Aᵀ − I‖ and ‖BᵀB − I‖ over all A and
/// B beside it.
public struct AdaLoRA: SelectingMethod {
    public static let name = "adalora"
    public static let learningRate = 1e-3
    public static let adapterType: String? = "ADALORA"
    public static let tensorEndings = [".lora_A", ".lora_B", ".lora_E", ".base_layer.bias"]

    let settings: AdaLoRASettings
    let section: ConfigSection
    let start: [AdaLoRA]

    public init(_ section: ConfigSection, startingFrom defaults: AdaLoRA?) throws {
        self.section = section
        start = defaults.map { [$0] } ?? []
        settings = try AdaLoRASettings(section, defaults: defaults?.settings)
        if let defaults {
            settings.reportDifferences(from: defaults.settings, section)
            try section.throwProblems()
        }
    }

    public func check(_ model: any AdaptableModel) throws { try checkStart(model) }

    func selection(in model: any AdaptableModel) throws -> Selection {
        Selection(
            Dictionary(try linears(of: model).map { ($0.path, []) }, uniquingKeysWith: { first, _ in first }),
            modulesToSave: settings.modulesToSave, in: model)
    }

    public func install(into model: any AdaptableModel, _ context: InstallationContext) throws -> any Installation {
        try check(model)
        return try AdaLoRAInstallation(self, try linears(of: model), model, context)
    }

    private func linears(of model: any AdaptableModel) throws -> [Linear] {
        let linears = try settings.targets.linears(
            of: model, method: Self.name, default: model.defaultTargets.allocated, section
        ).filter { linear in
            !settings.modulesToSave.contains { TargetSelection.saves(moduleAt: linear.path, orAbove: $0) }
        }
        if linears.isEmpty {
            throw Problems([section.problem("takes every layer that target_modules selects", at: "modules_to_save")])
        }
        return linears
    }
}

private final class AdaLoRAInstallation: Installation {
    private let method: AdaLoRA
    private let model: any AdaptableModel
    private let basePath: String
    private let triplets: [SingularTriplets]
    private let extras: ExtraParameters
    private let allocator: RankAllocator?
    private let schedule: RankSchedule?

    init(
        _ method: AdaLoRA, _ linears: [Linear], _ model: any AdaptableModel, _ context: InstallationContext
    ) throws {
        self.method = method
        self.model = model
        basePath = context.basePath
        let (settings, section) = (method.settings, method.section)
        schedule = try context.isTraining ? settings.schedule(stepCount: context.stepCount, section) : settings.schedule
        var ranks: [Int] = []
        for linear in linears {
            if context.isTraining, context.stored == nil {
                try section.checkRank(settings.initialRank, of: linear, at: "init_r")
            }
            let kept = settings.rankPattern[linear.path]
            if let kept, kept.count != settings.initialRank {
                throw Problems([
                    section.problem(
                        "has \(kept.count) values for \(linear.path), but init_r is \(settings.initialRank)",
                        at: "rank_pattern")
                ])
            }
            ranks.append(kept.map { $0.count { $0 } } ?? settings.initialRank)
        }
        extras = ExtraParameters(model: model)
        extras.add(biases: settings.bias, adaptedPaths: Set(linears.map(\.path)))
        try extras.add(modulesToSave: settings.modulesToSave, section)
        try context.check(
            zip(linears, ranks).flatMap { SingularTriplets.layout($0, rank: $1) }, extras)
        triplets = zip(linears, ranks).map { linear, rank in
            SingularTriplets(linear, settings, rank: rank, seed: context.beginningSeed)
        }
        try extras.takeOver(tracking: context.isTraining)
        if let schedule, context.isTraining {
            allocator = RankAllocator(triplets, schedule, settings)
        } else {
            allocator = nil
        }
        for triplet in triplets {
            triplet.linear.adapter = triplet
            if context.isTraining { for parameter in triplet.trainable { parameter.tensor.track() } }
        }
    }

    var trainable: [TrainableParameter] { triplets.flatMap(\.trainable) + extras.trainable }

    func deliver() -> Delivery {
        let kept = allocator?.kept ?? [:]
        let tensors =
            triplets.flatMap { $0.delivered(keeping: kept[$0.linear.path]) }
            + extras.trainable.map { ($0.name, $0.tensor) }
        var pattern = method.settings.rankPattern
        for (path, mask) in kept { pattern[path] = mask }
        return .adapter(
            configuration: method.settings.adapterConfiguration(
                triplets.map(\.linear), of: model, basePath: basePath, schedule: schedule, rankPattern: pattern),
            tensors: tensors.map { ("base_model.model." + $0.0, $0.1) })
    }

    func load(_ tensors: [String: Tensor], file: String) throws(Problems) {
        try loadExactly(tensors, into: trainable.map { ($0.name, $0.tensor) }, file: file)
    }

    func merge(weight: Float) {
        for triplet in triplets { triplet.merge(weight: weight) }
        extras.merge(weight: weight)
    }

    func remove() {
        for triplet in triplets { triplet.linear.adapter = nil }
        extras.restore()
    }

    // What is delivered lacks the triplets that were set to 0, which may come back until the end.
    var resumesFromTrainingStateAlone: Bool { true }

    var trainingState: [(name: String, tensor: Tensor)] {
        trainable.map { ($0.name, $0.tensor) } + (allocator?.state ?? [])
    }

    func regularization() -> Tensor? {
        let weight = method.settings.orthogonalityWeight
        let matrices = triplets.flatMap { triplet in
            triplet.rank == 0
                ? []
                : [
                    orthogonalityError(triplet.a, byColumns: false), orthogonalityError(triplet.b, byColumns: true),
                ]
        }
        if matrices.isEmpty || weight == 0 { return nil }
        return weightedSum(matrices, factor: Float(weight / Double(matrices.count)))
    }

    func afterStep(_ step: OptimizerStep) { allocator?.update(after: step) }
}
