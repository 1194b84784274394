import JSONText
import Layers

extension LoRASettings {
    /// The same where all layers have the rank and alpha of the settings.
    func adapterConfiguration(
        _ linears: [Linear], of model: any AdaptableModel, basePath: String
    ) -> JSONValue {
        adapterConfiguration(
            linears.map { AdaptedModule(path: $0.path, rank: rank, alpha: alpha) },
            isInputByOutput: linears.contains { $0.isInputByOutput }, of: model, basePath: basePath)
    }

    /// `adapter_config.json` as peft 0.21 writes it: every field, so that readers that know no defaults find them.
    func adapterConfiguration(
        _ adapted: [AdaptedModule], isInputByOutput: Bool, of model: any AdaptableModel, basePath: String
    ) -> JSONValue {
        let (rank, alpha, rankPattern, alphaPattern) = patterns(adapted)
        let layerPattern: JSONValue =
            targets.layersPattern.isEmpty ? nil : .array(targets.layersPattern.map(JSONValue.string))
        return .object([
            .init("alora_invocation_tokens", nil),
            .init("alpha_pattern", .object(alphaPattern.map { .init($0.expression, .alpha($0.value)) })),
            .init("arrow_config", nil),
            .init("auto_mapping", nil),
            .init("base_model_name_or_path", .string(basePath)),
            .init("bias", .string(bias.rawValue)),
            .init("corda_config", nil),
            .init("ensure_weight_tying", false),
            .init("eva_config", nil),
            .init("exclude_modules", targets.excluded.map(Self.value) ?? nil),
            .init("fan_in_fan_out", .boolean(isInputByOutput)),
            .init("inference_mode", true),
            .init("init_lora_weights", writtenInitialization),
            .init("kasa_config", nil),
            .init("layer_replication", nil),
            .init("layers_pattern", layerPattern),
            .init("layers_to_transform", targets.layers.map { .array($0.map(JSONValue.integer)) } ?? nil),
            .init("loftq_config", loftQ?.json ?? .object([])),
            .init("lora_alpha", .alpha(alpha)),
            .init("lora_bias", .boolean(hasBias)),
            .init("lora_dropout", .number(Double(dropout.description) ?? Double(dropout))),
            .init("lora_ga_config", nil),
            .init("megatron_config", nil),
            .init("megatron_core", "megatron.core"),
            .init("modules_to_save", modulesToSave.isEmpty ? nil : .array(modulesToSave.map(JSONValue.string))),
            .init("monteclora_config", nil),
            .init("peft_type", "LORA"),
            .init("peft_version", "0.21.2"),
            .init("qalora_group_size", 16),
            .init("r", .integer(rank)),
            .init("rank_pattern", .object(rankPattern.map { .init($0.expression, .integer($0.value)) })),
            .init("revision", nil),
            .init(
                "target_modules",
                Self.value(targets.resolved(adapted.map(\.path), default: model.defaultTargets.queriesAndValues))),
            .init("target_parameters", nil),
            .init("task_type", .string(model.taskType)),
            .init("trainable_token_indices", writtenTokenRows),
            .init("use_bdlora", nil),
            .init("use_dora", .boolean(hasMagnitude)),
            .init("use_qalora", false),
            .init("use_rslora", .boolean(isRankStabilised)),
            .init("velora_config", nil),
        ])
    }

    /// The rank and alpha of most modules, and patterns for the others that mean the same in any order: peft sorts them
    /// when it writes them and takes the first that fits when it reads them.
    private func patterns(
        _ adapted: [AdaptedModule]
    ) -> (rank: Int, alpha: Double, ranks: [Pattern<Int>], alphas: [Pattern<Double>]) {
        let (ranks, alphas) = (rankPattern.sortedByExpression, alphaPattern.sortedByExpression)
        let areSame = adapted.allSatisfy { module in
            (ranks.value(for: module.path) ?? self.rank) == module.rank
                && (alphas.value(for: module.path) ?? self.alpha) == module.alpha
        }
        if areSame { return (self.rank, self.alpha, ranks, alphas) }
        let rank = Self.mostFrequent(adapted.map(\.rank)) ?? self.rank
        let alpha = Self.mostFrequent(adapted.map(\.alpha)) ?? self.alpha
        return (
            rank, alpha,
            adapted.filter { $0.rank != rank }.map { Pattern(expression: Self.anchored($0.path), value: $0.rank) },
            adapted.filter { $0.alpha != alpha }.map { Pattern(expression: Self.anchored($0.path), value: $0.alpha) }
        )
    }

    private static func mostFrequent<Value: Hashable>(_ values: [Value]) -> Value? {
        var counts: [Value: Int] = [:]
        for value in values { counts[value, default: 0] += 1 }
        let most = counts.values.max()
        return values.first { counts[$0] == most }
    }

    /// An expression that fits one path and no other.
    private static func anchored(_ path: String) -> String { "^" + path.replacing(".", with: "\\.") }

    /// What the file's A and B need of the base: nothing but with loftq, as what was taken out of it is in them.
    private var writtenInitialization: JSONValue {
        switch initialization {
        case .standard, .pissa, .olora: true
        case .random: false
        case .gaussian, .orthogonal, .loftq: .string(initialization.rawValue)
        }
    }

    private var writtenTokenRows: JSONValue {
        if tokenRows.isEmpty { return nil }
        if tokenRows.count == 1, tokenRows[0].module == nil {
            return .array(tokenRows[0].indices.map(JSONValue.integer))
        }
        return .object(
            tokenRows.compactMap { choice in
                choice.module.map { .init($0, .array(choice.indices.map(JSONValue.integer))) }
            })
    }

    private static func value(_ modules: TargetSelection.Modules) -> JSONValue {
        switch modules {
        case .list(let entries): .array(entries.map(JSONValue.string))
        case .expression(let pattern): .string(pattern)
        case .allLinear: "all-linear"
        }
    }
}

extension [LoRASettings.Pattern<Int>] {
    fileprivate var sortedByExpression: Self {
        sorted { $0.expression.utf8.lexicographicallyPrecedes($1.expression.utf8) }
    }
}

extension [LoRASettings.Pattern<Double>] {
    fileprivate var sortedByExpression: Self {
        sorted { $0.expression.utf8.lexicographicallyPrecedes($1.expression.utf8) }
    }
}
