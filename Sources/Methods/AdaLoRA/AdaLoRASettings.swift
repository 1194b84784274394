import Configuration
import Diagnostics
import JSONText
import Layers

/// AdaLoRA's settings, by peft's names, from a run's configuration or from an adapter's file.
struct AdaLoRASettings: Equatable {
    var initialRank: Int
    var targetRank: Int
    var alpha: Double
    var dropout: Float
    var targets: TargetSelection
    var bias: LoRASettings.Bias
    var modulesToSave: [String]
    var beta1: Double
    var beta2: Double
    var orthogonalityWeight: Double
    var warmup: Int
    var final: Int
    var interval: Int
    /// nil: as many as the run has.
    var totalSteps: Int?
    /// Whether training begins at W.
    var isInitialised: Bool
    /// Which of the first ranks an adapter holds, by the layer's path; empty for all.
    var rankPattern: [String: [Bool]]

    init(_ section: ConfigSection, defaults: AdaLoRASettings?) throws {
        initialRank = section.int("init_r", default: defaults?.initialRank ?? 12, in: 1...)
        targetRank = section.int("target_r", default: defaults?.targetRank ?? 8, in: 0...)
        alpha = section.double("lora_alpha", default: defaults?.alpha ?? 8)
        dropout = section.probability("lora_dropout", default: Double(defaults?.dropout ?? 0))
        targets = TargetSelection(section, defaults: defaults?.targets)
        bias = section.choice("bias", default: defaults?.bias ?? .none)
        modulesToSave = section.optionalStrings("modules_to_save") ?? defaults?.modulesToSave ?? []
        beta1 = section.double("beta1", default: defaults?.beta1 ?? 0.85, in: 0..<1)
        beta2 = section.double("beta2", default: defaults?.beta2 ?? 0.85, in: 0..<1)
        orthogonalityWeight = section.double(
            "orth_reg_weight", default: defaults?.orthogonalityWeight ?? 0.5, in: 0...)
        warmup = section.int("tinit", default: defaults?.warmup ?? 0, in: 0...)
        final = section.int("tfinal", default: defaults?.final ?? 0, in: 0...)
        interval = section.int("deltaT", default: defaults?.interval ?? 1, in: 1...)
        totalSteps = section.optionalInt("total_step", in: 1...)
        isInitialised = section.bool("init_lora_weights", default: true)
        rankPattern = Self.rankPattern(section)
        if targetRank > initialRank {
            section.record("must be at most init_r, which is \(initialRank), got \(targetRank)", at: "target_r")
        }
        for (key, value) in [("beta1", beta1), ("beta2", beta2)] where value == 0 {
            section.record("must be more than 0.0 and less than 1.0, got 0", at: key)
        }
        for (key, value) in [("beta1", beta1), ("beta2", beta2)] where Float(value) == 1 {
            section.record("\(value) is 1 as a number of 32 bits, with which it is computed", at: key)
        }
        Self.refuseUnsupported(section)
        try section.throwProblems()
    }

    private static func rankPattern(_ section: ConfigSection) -> [String: [Bool]] {
        // Only files have one; a run's ranks come out of its training.
        guard section.has("peft_type"), let node = section.node("rank_pattern"),
            case .mapping(let entries) = node.content
        else { return [:] }
        var pattern: [String: [Bool]] = [:]
        for entry in entries {
            guard case .list(let nodes) = entry.value.content else {
                section.record("expected a list of true and false for \(entry.key)", at: "rank_pattern")
                continue
            }
            let path = entry.key.hasSuffix(".lora_E") ? String(entry.key.dropLast(".lora_E".count)) : entry.key
            pattern[path] = nodes.map { if case .scalar("true", _) = $0.content { true } else { false } }
        }
        return pattern
    }

    /// Fields of peft that AdaLoRA has no use for, or that this tool doesn't compute.
    private static let unsupported = [
        "use_dora", "use_rslora", "lora_bias", "alpha_pattern", "trainable_token_indices", "ensure_weight_tying",
        "loftq_config", "layer_replication", "target_parameters", "use_qalora", "kasa_config", "velora_config",
        "arrow_config", "use_bdlora", "monteclora_config", "alora_invocation_tokens",
    ]

    private static func refuseUnsupported(_ section: ConfigSection) {
        for key in unsupported where section.has(key) {
            switch section.node(key)?.content {
            case .scalar("false", _)?, .list([])?, .mapping([])?, .null?, nil: continue
            default: section.record("isn't supported with adalora", at: key)
            }
        }
        if section.has("r"), !section.has("peft_type") {
            section.record("adalora has no r: give init_r, the rank at first, and target_r, the rank at last", at: "r")
            _ = section.node("r")
        }
    }

    var schedule: RankSchedule? {
        totalSteps.map { RankSchedule(warmup: warmup, final: final, interval: interval, total: $0) }
    }

    /// The schedule of a run.
    ///
    /// - Throws: `Problems` where warm-up and end leave no step in between.
    func schedule(stepCount: Int?, _ section: ConfigSection) throws -> RankSchedule {
        guard let total = totalSteps ?? stepCount else {
            throw Problems([section.problem("must be given", at: "total_step")])
        }
        if warmup >= total - final {
            throw Problems([
                section.problem(
                    "tinit (\(warmup)) and tfinal (\(final)) leave no step of \(total) in which ranks go", at: "tinit")
            ])
        }
        return RankSchedule(warmup: warmup, final: final, interval: interval, total: total)
    }

    /// Reports what differs from the adapter that training starts from.
    func reportDifferences(from start: AdaLoRASettings, _ section: ConfigSection) {
        if !start.rankPattern.isEmpty {
            section.record(
                "names an adapter whose ranks have been chosen already, from which adalora can't go on; convert it to "
                    + "lora (peft convert) and train that", at: "init_from")
        }
        section.compare("init_r", initialRank, with: start.initialRank)
        section.compare("lora_alpha", alpha, with: start.alpha)
        section.compare("bias", bias.rawValue, with: start.bias.rawValue)
    }

    /// `adapter_config.json` as peft 0.21 writes it.
    func adapterConfiguration(
        _ linears: [Linear], of model: any AdaptableModel, basePath: String, schedule: RankSchedule?,
        rankPattern: [String: [Bool]]
    ) -> JSONValue {
        let pattern = rankPattern.sorted { $0.key < $1.key }.map { path, kept in
            JSONValue.Member(path + ".lora_E", .array(kept.map(JSONValue.boolean)))
        }
        return Methods.adapterConfiguration(
            type: AdaLoRA.adapterType ?? "", of: model, basePath: basePath,
            [
                .init("alora_invocation_tokens", nil), .init("alpha_pattern", .object([])), .init("arrow_config", nil),
                .init("beta1", .number(beta1)), .init("beta2", .number(beta2)), .init("bias", .string(bias.rawValue)),
                .init("corda_config", nil), .init("deltaT", .integer(interval)), .init("ensure_weight_tying", false),
                .init("eva_config", nil), .init("exclude_modules", targets.excluded.map(JSONValue.init) ?? nil),
                .init("fan_in_fan_out", .boolean(linears.contains { $0.isInputByOutput })),
                .init("init_lora_weights", true), .init("init_r", .integer(initialRank)), .init("kasa_config", nil),
                .init("layer_replication", nil), .init("layers_pattern", .names(targets.layersPattern)),
                .init("layers_to_transform", targets.layers.map { .array($0.map(JSONValue.integer)) } ?? nil),
                .init("loftq_config", .object([])), .init("lora_alpha", .alpha(alpha)),
                .init("lora_bias", false), .init("lora_dropout", .decimal(dropout)),
                .init("lora_ga_config", nil), .init("megatron_config", nil), .init("megatron_core", "megatron.core"),
                .init("modules_to_save", .names(modulesToSave)), .init("monteclora_config", nil),
                .init("orth_reg_weight", .number(orthogonalityWeight)), .init("qalora_group_size", 16), .init("r", 8),
                .init("rank_pattern", pattern.isEmpty ? nil : .object(pattern)),
                .init(
                    "target_modules",
                    JSONValue(
                        targets.resolved(linears.map(\.path), default: model.defaultTargets.allocated))),
                .init("target_parameters", nil), .init("target_r", .integer(targetRank)),
                .init("tfinal", .integer(final)),
                .init("tinit", .integer(warmup)), .init("total_step", schedule.map { .integer($0.total) } ?? nil),
                .init("trainable_token_indices", nil), .init("use_bdlora", nil), .init("use_dora", false),
                .init("use_qalora", false), .init("use_rslora", false), .init("velora_config", nil),
            ])
    }
}
