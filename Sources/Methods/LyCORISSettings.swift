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
        rankDropout = Float(section.double("rank_dropout", default: Double(defaults?.rankDropout ?? 0), in: 0..<1))
        moduleDropout = Float(
            section.double("module_dropout", default: Double(defaults?.moduleDropout ?? 0), in: 0..<1))
        let word = section.choice(
            "init_weights", of: starts.map(\.rawValue), default: (defaults?.start ?? .zero).rawValue)
        start = Start(rawValue: word) ?? .zero
        targets = TargetSelection(section, defaults: defaults?.targets)
        modulesToSave = section.optionalStrings("modules_to_save") ?? defaults?.modulesToSave ?? []
        let ranks = section.section("rank_pattern")
        let ownRanks = ranks.keys.map {
            LoRASettings.Pattern(expression: $0, value: ranks.requiredInt($0, in: 1...))
        }
        rankPattern = ownRanks.isEmpty ? defaults?.rankPattern ?? [] : ownRanks
        let alphas = section.section("alpha_pattern")
        let ownAlphas = alphas.keys.map { LoRASettings.Pattern(expression: $0, value: alphas.requiredDouble($0)) }
        alphaPattern = ownAlphas.isEmpty ? defaults?.alphaPattern ?? [] : ownAlphas
        for (key, expressions) in [
            ("rank_pattern", rankPattern.map(\.expression)), ("alpha_pattern", alphaPattern.map(\.expression)),
        ] {
            for expression in expressions where (try? Regex(expression)) == nil {
                section.record("'\(expression)' is no regular expression", at: key)
            }
        }
        // Only for convolutions, of which no language model here has any.
        if section.has("peft_type") { _ = section.bool("use_effective_conv2d", default: false) }
        if let defaults {
            section.recordDifferences([
                ("r", rank == defaults.rank), ("alpha", alpha == defaults.alpha),
                ("target_modules", targets == defaults.targets),
                ("modules_to_save", modulesToSave == defaults.modulesToSave),
                ("rank_pattern", rankPattern == defaults.rankPattern),
                ("alpha_pattern", alphaPattern == defaults.alphaPattern),
            ])
        }
    }

    /// Puts what `make` gives for a layer, its rank and alpha / rank into every layer that is meant.
    ///
    /// - Parameter more: What only this method has in its `adapter_config.json`.
    /// - Throws: `Problems` for settings that don't fit the model.
    func install<Method: PEFTMethod>(
        _ method: Method.Type, into model: any AdaptableModel, _ context: InstallationContext, _ section: ConfigSection,
        _ more: [JSONValue.Member], _ make: (Linear, Int, Float) -> any MergeableAdapter
    ) throws -> any Installation {
        let entries = model.defaultTargets.queriesAndValues
        let linears = try targets.adaptable(
            of: model, method: Method.name, default: entries, modulesToSave: modulesToSave, section)
        let adapters = try linears.map { linear in
            let (rank, scale) = try rank(of: linear, section)
            return make(linear, rank, scale)
        }
        let extras = ExtraParameters(model: model)
        try extras.add(modulesToSave: modulesToSave, section)
        return LayerAdapters(
            adapters, extras,
            configuration(
                type: Method.adapterType ?? "", linears, default: entries, basePath: context.basePath, more),
            isTraining: context.isTraining)
    }

    /// The rank and alpha / rank of a layer.
    ///
    /// - Throws: `Problems` for a rank that is larger than the layer.
    private func rank(of linear: Linear, _ section: ConfigSection) throws -> (rank: Int, scale: Float) {
        let own = try rankPattern.value(for: linear.path)
        let rank = own ?? rank
        try section.checkRank(rank, of: linear, at: own == nil ? "r" : "rank_pattern")
        let alpha = try alphaPattern.value(for: linear.path) ?? alpha
        return (rank, Float(alpha / Double(rank)))
    }

    /// `adapter_config.json`, with `more` that only one of the two has.
    private func configuration(
        type: String, _ linears: [Linear], default entries: [String], basePath: String, _ more: [JSONValue.Member]
    ) -> JSONValue {
        adapterConfiguration(
            type: type, basePath: basePath,
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

/// kaiming_uniform(a = √5) of a matrix: U(−1/√columns, 1/√columns).
func kaimingUniform(_ shape: [Int], _ generator: inout RandomGenerator) -> Tensor {
    let tensor = Tensor(uninitialized: shape)
    let bound = 1 / Float(tensor.columnCount).squareRoot()
    for i in 0..<tensor.count { tensor.data[i] = bound * Float(2 * generator.nextUniform() - 1) }
    return tensor
}

extension ConfigSection {
    /// Records what differs from the adapter that training starts from.
    func recordDifferences(_ settings: [(key: String, isEqual: Bool)]) {
        for (key, isEqual) in settings where !isEqual {
            record("differs from the adapter that init_from names; leave it out", at: key)
        }
    }
}

/// Of LoHa and LoKr.
let lyCORISObstacle =
    "peft refuses this method where weights are transposed, as GPT-2's are: merge the adapter, or convert it to a LoRA"
