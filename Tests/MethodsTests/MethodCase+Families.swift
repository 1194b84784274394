import Methods

extension MethodCase {
    /// Every method, with settings in GPT-2's names, for the families that came after it.
    static let common: [MethodCase] =
        [
            MethodCase(Full.self, "{}", isRandom: false),
            MethodCase(Full.self, "{}", tied: false, isRandom: false),
            MethodCase(LoRA.self, #"{"r": 2, "lora_alpha": 3}"#, scales: [nil: 1.5]),
            MethodCase(
                LoRA.self, #"{"r": 2, "lora_alpha": 8, "target_modules": "all-linear", "bias": "all"}"#, tied: false,
                scales: [nil: 4]),
            MethodCase(LoRA.self, #"{"r": 2, "lora_alpha": 2, "modules_to_save": ["ln_f", "lm_head"]}"#),
            MethodCase(LoRA.self, #"{"r": 2, "lora_alpha": 2, "modules_to_save": ["wte"]}"#),
            MethodCase(LoRA.self, #"{"r": 2, "lora_alpha": 2, "layers_to_transform": [1]}"#),
        ]
        + [
            #"{"r": 2, "lora_alpha": 2, "target_modules": "all-linear", "use_dora": true}"#,
            #"{"r": 2, "lora_alpha": 2, "target_modules": ["lm_head", "wte"]}"#,
            #"{"r": 2, "lora_alpha": 2, "trainable_token_indices": [5, 1, 3]}"#,
        ].flatMap { settings in
            [true, false].map { MethodCase(LoRA.self, settings, tied: $0, formula: loraFormula()) }
        }
        + [
            MethodCase(
                LoRA.self,
                #"{"r": 2, "lora_alpha": 2, "init_lora_weights": "pissa", "target_modules": ["c_attn", "c_proj"]}"#,
                isRandom: false, isConverted: true, formula: loraFormula()),
            MethodCase(
                LoRA.self,
                #"""
                {"r": 2, "lora_alpha": 2, "init_lora_weights": "loftq", "loftq_config": {"loftq_iter": 2},
                 "target_modules": ["c_attn", "c_proj"]}
                """#,
                changesOutput: true, isRandom: false, formula: loraFormula()),
            adaLoRA[0],
            MethodCase(IA3.self, "{}", isRandom: false),
            MethodCase(LoHa.self, #"{"r": 2, "alpha": 9, "target_modules": "all-linear"}"#, scales: [nil: 4.5]),
            MethodCase(LoKr.self, #"{"r": 2, "alpha": 3, "target_modules": "all-linear"}"#, scales: [nil: 1.5]),
            MethodCase(BottleneckAdapter.self, #"{"size": 3}"#, changesOutput: true),
            MethodCase(BottleneckAdapter.self, #"{"variant": "houlsby", "size": 3}"#, changesOutput: true),
            MethodCase(BottleneckAdapter.self, #"{"variant": "parallel", "scaling": 8}"#),
            MethodCase(BitFit.self, "{}", isRandom: false),
            MethodCase(LastLayers.self, "{}", isRandom: false),
            MethodCase(LNTuning.self, "{}", isRandom: false),
            MethodCase(PromptTuning.self, #"{"num_virtual_tokens": 3}"#, changesOutput: true, prompt: .leading(3)),
            MethodCase(PrefixTuning.self, #"{"num_virtual_tokens": 2}"#, changesOutput: true, prompt: .prefix(2)),
            MethodCase(
                PrefixTuning.self, #"{"num_virtual_tokens": 3, "prefix_projection": true, "encoder_hidden_size": 5}"#,
                changesOutput: true, prompt: .projectedPrefix(3)),
            MethodCase(
                PTuning.self, #"{"num_virtual_tokens": 3, "encoder_hidden_size": 7}"#, changesOutput: true,
                prompt: .perceptron(3)),
            MethodCase(PTuningV2.self, #"{"num_virtual_tokens": 2}"#, changesOutput: true, prompt: .prefix(2)),
        ]

    /// What only models with an encoder have.
    static let withEncoder = [
        MethodCase(
            PrefixTuning.self, #"{"num_virtual_tokens": 2, "prefix_placement": "every_attention"}"#, on: .t5,
            changesOutput: true, prompt: .everyAttention(2)),
        MethodCase(
            PromptTuning.self, #"{"num_virtual_tokens": 2, "num_transformer_submodules": 1}"#, on: .mt5,
            changesOutput: true, prompt: .leading(2)),
        MethodCase(
            BottleneckAdapter.self, #"{"variant": "houlsby", "cross_adapter": true, "size": 3}"#, on: .mt5,
            changesOutput: true),
        MethodCase(
            LoRA.self,
            #"{"r": 2, "lora_alpha": 2, "modules_to_save": ["SelfAttention"], "layers_pattern": "block", "layers_to_transform": [1]}"#,
            on: .t5),
        MethodCase(
            LoRA.self, #"{"r": 2, "lora_alpha": 2, "target_modules": ["lm_head", "EncDecAttention.k"]}"#, on: .mt5,
            formula: loraFormula()),
    ]

    /// The same settings in a family's names; nil where the method has nothing to do there.
    func on(_ family: SmallFamily) -> MethodCase? {
        if family.refusals["\(method.name) \(settings)"] != nil || !tied && family.isAlwaysTied { return nil }
        let names = family.names.reduce(settings) { $0.replacing("\"\($1.key)\"", with: "\"\($1.value)\"") }
        return MethodCase(
            method, names, on: family, tied: tied, scales: scales, changesOutput: changesOutput, isRandom: isRandom,
            isConverted: isConverted, formula: formula, prompt: prompt, hasFormula: hasFormula)
    }
}
