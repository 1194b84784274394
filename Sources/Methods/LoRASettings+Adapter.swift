import JSONText
import Layers

extension LoRASettings {
    /// `adapter_config.json` as peft 0.21 writes it: every field, so that readers that know no defaults find them.
    func adapterConfiguration(
        _ linears: [Linear], of model: any AdaptableModel, basePath: String
    ) -> JSONValue {
        let isInputByOutput = linears.contains { $0.isInputByOutput }
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
            .init("init_lora_weights", true),
            .init("kasa_config", nil),
            .init("layer_replication", nil),
            .init("layers_pattern", layerPattern),
            .init("layers_to_transform", targets.layers.map { .array($0.map(JSONValue.integer)) } ?? nil),
            .init("loftq_config", .object([])),
            .init("lora_alpha", .alpha(alpha)),
            .init("lora_bias", false),
            .init("lora_dropout", .decimal(dropout)),
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
                Self.value(targets.resolved(linears.map(\.path), default: model.defaultTargets(method: LoRA.name)))),
            .init("target_parameters", nil),
            .init("task_type", "CAUSAL_LM"),
            .init("trainable_token_indices", nil),
            .init("use_bdlora", nil),
            .init("use_dora", false),
            .init("use_qalora", false),
            .init("use_rslora", .boolean(isRankStabilised)),
            .init("velora_config", nil),
        ])
    }

    private static func value(_ modules: TargetSelection.Modules) -> JSONValue {
        switch modules {
        case .list(let entries): .array(entries.map(JSONValue.string))
        case .expression(let pattern): .string(pattern)
        case .allLinear: "all-linear"
        }
    }
}
