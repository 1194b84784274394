import Diagnostics
import JSONText

/// The fields of `adapter_config.json`: those that are read here, and those of peft 0.21 that change nothing of what a
/// stored adapter computes.
///
/// Newer versions of peft have more. One that is off, by null, false or nothing in it, is passed over; another may change
/// what is computed, which is worth a warning.
enum AdapterFields {
    /// Of every method.
    private static let common: Set = [
        "auto_mapping", "base_model_name_or_path", "inference_mode", "modules_to_save", "peft_type", "peft_version",
        "revision", "runtime_config", "task_type", "label2id", "id2label", "problem_type",
    ]
    private static let targets: Set = ["exclude_modules", "fan_in_fan_out", "target_modules"]
    private static let layers: Set = ["layers_pattern", "layers_to_transform", "alpha_pattern", "rank_pattern"]
    private static let prompt: Set = [
        "num_attention_heads", "num_layers", "num_transformer_submodules", "num_virtual_tokens", "token_dim",
    ]
    private static let lora: Set = [
        "alora_invocation_tokens", "arrow_config", "bias", "corda_config", "ensure_weight_tying", "eva_config",
        "init_lora_weights", "kasa_config", "layer_replication", "loftq_config", "lora_alpha", "lora_bias",
        "lora_dropout", "lora_ga_config", "megatron_config", "megatron_core", "monteclora_config", "qalora_group_size",
        "r", "target_parameters", "trainable_token_indices", "use_bdlora", "use_dora", "use_qalora", "use_rslora",
        "velora_config",
    ]
    private static let lycoris: Set = [
        "alpha", "init_weights", "module_dropout", "r", "rank_dropout", "use_effective_conv2d",
    ]

    private static let known: [String: Set<String>] = [
        "LORA": lora.union(targets).union(layers),
        "ADALORA": lora.union(targets).union(layers).union([
            "beta1", "beta2", "deltaT", "init_r", "orth_reg_weight", "target_r", "tfinal", "tinit", "total_step",
        ]),
        "IA3": targets.union(["feedforward_modules", "init_ia3_weights"]),
        "LN_TUNING": targets,
        "LOHA": lycoris.union(targets).union(layers),
        "LOKR": lycoris.union(targets).union(layers).union([
            "decompose_both", "decompose_factor", "rank_dropout_scale",
        ]),
        "PROMPT_TUNING": prompt.union([
            "prompt_tuning_init", "prompt_tuning_init_text", "tokenizer_kwargs", "tokenizer_name_or_path",
        ]),
        // One of ours beside peft's: where an encoder's and a decoder's prefixes are.
        "PREFIX_TUNING": prompt.union([
            "encoder_hidden_size", "init_weights", "prefix_placement", "prefix_projection",
        ]),
        "P_TUNING": prompt.union([
            "encoder_dropout", "encoder_hidden_size", "encoder_num_layers", "encoder_reparameterization_type",
            "virtual_token_placement",
        ]),
    ]

    /// The fields of a configuration that aren't known and aren't off.
    static func unknown(in configuration: JSONNode) -> [JSONMember] {
        guard let type = (try? configuration.optionalString("peft_type")) ?? nil, let own = known[type],
            let members = try? configuration.asObject()
        else { return [] }
        return members.filter { member in
            !common.contains(member.key) && !own.contains(member.key) && !isOff(member.value)
        }
    }

    static func check(_ configuration: JSONNode, warn: WarningSink) {
        for member in unknown(in: configuration) {
            warn(
                Problem(
                    "this field isn't known here, and may change what the adapter computes: compare with peft before you "
                        + "rely on it", file: configuration.file, position: member.keyPosition, key: member.key,
                    severity: .warning))
        }
    }

    private static func isOff(_ value: JSONNode) -> Bool {
        switch value.content {
        case .null, .boolean(false): true
        case .string(let text): text.isEmpty
        case .array(let values): values.isEmpty
        case .object(let members): members.isEmpty
        default: false
        }
    }
}

extension AdapterFolder {
    /// The fields of the configuration that aren't known here and aren't off, so that they may change what is computed.
    public var unknownFields: [String] { AdapterFields.unknown(in: configuration).map(\.key) }
}
