import Configuration
import Diagnostics
import JSONText
import Layers
import Tensors

/// What LoHa and LoKr have in common, by peft's names.
struct LyCORISSettings {
    /// How the factors begin.
    enum Start: String, CaseIterable {
        /// So that the change is zero.
        case zero = "true"
        /// At random, all of them.
        case random = "false"
        /// As in the LyCORIS library: zero too, but by another factor.
        case lycoris
    }

    let rank: Int
    let alpha: Double
    /// The share of the change's rows that a step of training leaves out.
    let rankDropout: Float
    /// The probability that a step of training leaves out a layer's change.
    let moduleDropout: Float
    let start: Start
    let targets: TargetSelection
    let modulesToSave: [String]
    let rankPattern: [LoRASettings.Pattern<Int>]
    let alphaPattern: [LoRASettings.Pattern<Double>]

    init(_ section: ConfigSection, defaults: LyCORISSettings?, starts: [Start]) {
        rank = section.int("r", default: defaults?.rank ?? 8, in: 1...)
        alpha = section.double("alpha", default: defaults?.alpha ?? 8)
        rankDropout = section.probability("rank_dropout", default: Double(defaults?.rankDropout ?? 0))
        moduleDropout = section.probability("module_dropout", default: Double(defaults?.moduleDropout ?? 0))
        let word = section.choice(
            "init_weights", of: starts.map(\.rawValue), default: (defaults?.start ?? .zero).rawValue)
        start = Start(rawValue: word) ?? .zero
        targets = TargetSelection(section, defaults: defaults?.targets)
        modulesToSave = section.optionalStrings("modules_to_save") ?? defaults?.modulesToSave ?? []
        let (ranks, alphas) = (section.rankPattern("rank_pattern"), section.alphaPattern("alpha_pattern"))
        rankPattern = ranks.isEmpty ? defaults?.rankPattern ?? [] : ranks
        alphaPattern = alphas.isEmpty ? defaults?.alphaPattern ?? [] : alphas
        // Only for convolutions, of which no language model here has any.
        if section.has("peft_type") { _ = section.bool("use_effective_conv2d", default: false) }
        if let defaults {
            if rankPattern.isEmpty, defaults.rankPattern.isEmpty { section.compare("r", rank, with: defaults.rank) }
            if alphaPattern.isEmpty, defaults.alphaPattern.isEmpty {
                section.compare("alpha", alpha, with: defaults.alpha)
            }
        }
    }

    /// What the settings choose in a model.
    func selection<Method: PEFTMethod>(
        of method: Method.Type, in model: any AdaptableModel, _ section: ConfigSection
    ) throws -> Selection {
        let traits = try linears(of: method, in: model, section).map { linear in
            let rank = rankPattern.value(for: linear.path) ?? rank
            let alpha = alphaPattern.value(for: linear.path) ?? alpha
            return (
                linear.path,
                [Selection.Trait.rank(rank, "rank_pattern", "r"), .alpha(alpha, "alpha_pattern", "alpha")]
            )
        }
        return Selection(
            Dictionary(traits, uniquingKeysWith: { first, _ in first }), modulesToSave: modulesToSave, in: model)
    }

    private func linears<Method: PEFTMethod>(
        of method: Method.Type, in model: any AdaptableModel, _ section: ConfigSection
    ) throws -> [Linear] {
        try targets.adaptable(
            of: model, method: Method.name, default: model.defaultTargets.queriesAndValues,
            modulesToSave: modulesToSave, section)
    }

    /// Puts what `make` gives for a layer, its rank and alpha / rank into every layer that is meant.
    ///
    /// - Parameters:
    ///   - more: What only this method has in its `adapter_config.json`.
    ///   - layout: What a layer's tensors of a rank are named behind its path, and their shapes.
    /// - Throws: `Problems` for settings that don't fit the model.
    func install<Method: PEFTMethod>(
        _ method: Method.Type, into model: any AdaptableModel, _ context: InstallationContext, _ section: ConfigSection,
        _ more: [JSONValue.Member], layout: (Linear, Int) -> [(suffix: String, shape: [Int])],
        _ make: (Linear, Int, Float) -> any MergeableAdapter
    ) throws -> any Installation {
        let entries = model.defaultTargets.queriesAndValues
        let linears = try linears(of: method, in: model, section)
        let paths = linears.map(\.path)
        let dead =
            section.deadPatterns(rankPattern, at: "rank_pattern", among: paths)
            + section.deadPatterns(alphaPattern, at: "alpha_pattern", among: paths)
        if !dead.isEmpty { throw Problems(dead) }
        let ranks = try linears.map { try rank(of: $0, context, section) }
        let extras = ExtraParameters(model: model)
        try extras.add(modulesToSave: modulesToSave, section)
        try context.check(
            zip(linears, ranks).flatMap { linear, own in
                layout(linear, own.rank).map { (linear.path + "." + $0.suffix, $0.shape) }
            }, extras)
        let adapters = zip(linears, ranks).map { linear, own in make(linear, own.rank, own.scale) }
        return try LayerAdapters(
            adapters, extras,
            configuration(
                type: Method.adapterType ?? "", linears, of: model, default: entries, basePath: context.basePath, more),
            isTraining: context.isTraining)
    }

    /// The rank and alpha / rank of a layer.
    ///
    /// - Throws: `Problems` for a rank that is larger than the layer, unless a file has it, and a scale that is no number.
    private func rank(
        of linear: Linear, _ context: InstallationContext, _ section: ConfigSection
    ) throws -> (rank: Int, scale: Float) {
        let own = rankPattern.value(for: linear.path)
        let rank = own ?? rank
        if context.stored == nil { try section.checkRank(rank, of: linear, at: own == nil ? "r" : "rank_pattern") }
        let alpha = alphaPattern.value(for: linear.path) ?? alpha
        let scale = Float(alpha / Double(rank))
        if !scale.isFinite {
            throw Problems([
                section.problem("\(alpha) makes a scale that is no number for \(linear.path)", at: "alpha")
            ])
        }
        return (rank, scale)
    }

    /// `adapter_config.json`, with `more` that only one of the two has.
    private func configuration(
        type: String, _ linears: [Linear], of model: any AdaptableModel, default entries: [String], basePath: String,
        _ more: [JSONValue.Member]
    ) -> JSONValue {
        adapterConfiguration(
            type: type, of: model, basePath: basePath,
            [
                .init("alpha", .alpha(alpha)),
                .init("alpha_pattern", .object(alphaPattern.map { .init($0.expression, .alpha($0.value)) })),
                .init("exclude_modules", targets.excluded.map { JSONValue($0) } ?? nil),
                .init("init_weights", start == .lycoris ? "lycoris" : .boolean(start == .zero)),
                .init("layers_pattern", .names(targets.layersPattern)),
                .init("layers_to_transform", targets.layers.map { .array($0.map(JSONValue.integer)) } ?? nil),
                .init("module_dropout", .decimal(moduleDropout)),
                .init("modules_to_save", .names(modulesToSave)),
                .init("r", .integer(rank)),
                .init("rank_dropout", .decimal(rankDropout)),
                .init("rank_pattern", .object(rankPattern.map { .init($0.expression, .integer($0.value)) })),
                .init("target_modules", JSONValue(targets.resolved(linears.map(\.path), default: entries))),
                .init("use_effective_conv2d", false),
            ] + more)
    }

    /// Which of a change's rows a pass of training keeps, 1 or 0, divided by the share that is kept where
    /// `dividesByShare` says so; nil where all are.
    func keptRows(_ count: Int, _ context: ForwardContext, dividesByShare: Bool) -> [Float]? {
        guard let choice = context.dropout(rankDropout) else { return nil }
        let kept = (0..<count).map { choice.keeps($0) }
        let share = Float(kept.count { $0 }) / Float(count)
        let factor = dividesByShare && share > 0 ? 1 / share : 1
        return kept.map { $0 ? factor : 0 }
    }

    /// Whether a pass of training leaves a layer's change out.
    func isDropped(_ context: ForwardContext) -> Bool {
        context.dropout(moduleDropout).map { !$0.keeps(0) } ?? false
    }
}

/// kaiming_uniform(a = √5) of a matrix: U(−1/√columns, 1/√columns); zeros without a generator.
func kaimingUniform(_ shape: [Int], _ generator: inout RandomGenerator?) -> Tensor {
    guard var own = generator else { return Tensor(zeros: shape) }
    let tensor = kaimingUniform(shape, &own)
    generator = own
    return tensor
}

/// kaiming_uniform(a = √5) of a matrix: U(−1/√columns, 1/√columns).
func kaimingUniform(_ shape: [Int], _ generator: inout RandomGenerator) -> Tensor {
    let tensor = Tensor(uninitialized: shape)
    let bound = 1 / Float(tensor.columnCount).squareRoot()
    for i in 0..<tensor.count { tensor.data[i] = bound * Float(2 * generator.nextUniform() - 1) }
    return tensor
}

/// Of LoHa and LoKr.
let lyCORISObstacle =
    "peft refuses this method where weights are transposed, as GPT-2's are: merge the adapter, or convert it to a LoRA"
