import Methods

extension MethodCase {
    /// LoRA beside a plain pair in a linear layer of a block.
    static let loraVariants: [MethodCase] =
        [
            lora(#""lora_alpha": 3, "use_dora": true, "target_modules": "all-linear""#, scales: [nil: 1.5]),
            lora(
                #""use_dora": true, "use_rslora": true, "lora_alpha": 3, "bias": "all""#,
                scales: [nil: 3 / 2.0.squareRoot()]),
            lora(#""target_modules": ["c_attn", "mlp.c_proj"], "lora_bias": true"#, scales: [nil: 4]),
            lora(#""target_modules": ["c_fc"], "lora_bias": true, "bias": "lora_only""#, scales: [nil: 4]),
            lora(#""init_lora_weights": false, "lora_alpha": 2"#, changesOutput: true),
            lora(#""init_lora_weights": "gaussian", "lora_alpha": 2"#),
            lora(#""init_lora_weights": "orthogonal", "lora_alpha": 2, "target_modules": "all-linear""#),
            lora(
                #""init_lora_weights": "pissa", "lora_alpha": 3, "target_modules": "all-linear""#, scales: [nil: 1.5],
                isRandom: false, isConverted: true),
            lora(
                #""init_lora_weights": "pissa", "lora_alpha": 3, "use_rslora": true, "use_dora": true"#,
                scales: [nil: 3 / 2.0.squareRoot()], isRandom: false, isConverted: true),
            lora(
                #""init_lora_weights": "olora", "lora_alpha": 3, "target_modules": ["c_fc", "c_proj"]"#,
                scales: [nil: 1.5], isRandom: false, isConverted: true),
            lora(
                #""init_lora_weights": "loftq", "lora_alpha": 2, "target_modules": "all-linear""#, changesOutput: true,
                isRandom: false),
            lora(
                #""init_lora_weights": "loftq", "loftq_config": {"loftq_bits": 8, "loftq_iter": 3}, "lora_alpha": 20"#,
                scales: [nil: 10], changesOutput: true, isRandom: false),
            lora(
                #""init_lora_weights": "loftq", "loftq_config": {"loftq_iter": 5}, "lora_alpha": 3, "use_dora": true"#,
                scales: [nil: 1.5], changesOutput: true, isRandom: false),
            lora(
                #""init_lora_weights": "loftq", "lora_alpha": 2, "target_modules": ["lm_head", "c_fc"]"#, tied: false,
                changesOutput: true, isRandom: false),
        ]
        + [true, false].flatMap { tied in
            [
                lora(#""lora_alpha": 3, "target_modules": ["c_attn", "lm_head"]"#, tied: tied, scales: [nil: 1.5]),
                lora(#""lora_alpha": 2, "target_modules": ["lm_head"], "use_dora": true"#, tied: tied),
                lora(#""lora_alpha": 3, "target_modules": ["wte", "wpe", "c_attn"]"#, tied: tied, scales: [nil: 1.5]),
                lora(
                    #""lora_alpha": 3, "target_modules": ["wte", "wpe", "c_attn"], "use_dora": true"#, tied: tied,
                    scales: [nil: 1.5]),
                lora(#""lora_alpha": 2, "target_modules": ["wte", "lm_head"]"#, tied: tied),
                lora(
                    #""lora_alpha": 2, "target_modules": ["wte", "c_fc"], "modules_to_save": ["lm_head"]"#, tied: tied),
                lora(
                    #""lora_alpha": 2, "target_modules": ["lm_head", "c_fc"], "modules_to_save": ["wte"]"#, tied: tied),
                lora(#""lora_alpha": 2, "trainable_token_indices": [5, 1, 3]"#, tied: tied),
                lora(
                    #""lora_alpha": 2, "trainable_token_indices": {"wte": [5, 1, 3], "wpe": [5, 1, 3]}"#, tied: tied),
            ]
        }

    private static func lora(
        _ settings: String, tied: Bool = true, scales: [String?: Double] = [nil: 1], changesOutput: Bool = false,
        isRandom: Bool = true, isConverted: Bool = false
    ) -> MethodCase {
        MethodCase(
            LoRA.self, #"{"r": 2, \#(settings)}"#, tied: tied, scales: scales, changesOutput: changesOutput,
            isRandom: isRandom, isConverted: isConverted, formula: loraFormula(scales))
    }
}
