import Methods

extension MethodCase {
    /// Bottlenecks at the ends of sub-layers; only those that begin with zeros change nothing at first.
    static let bottlenecks = [
        MethodCase(BottleneckAdapter.self, #"{"size": 3}"#, changesOutput: true),
        MethodCase(
            BottleneckAdapter.self, #"{"variant": "houlsby", "reduction_factor": 2}"#, tied: false, changesOutput: true),
        MethodCase(BottleneckAdapter.self, #"{"variant": "parallel", "scaling": 8}"#),
        MethodCase(
            BottleneckAdapter.self,
            #"{"variant": "houlsby", "size": 2, "scaling": "learned", "init_weights": "houlsby", "leave_out": [0]}"#,
            changesOutput: true),
        MethodCase(
            BottleneckAdapter.self,
            #"{"variant": "parallel", "mh_adapter": true, "scaling": "channel", "size": 5, "init_weights": "bert"}"#,
            changesOutput: true),
        MethodCase(
            BottleneckAdapter.self,
            #"{"size": 2, "residual_before_ln": false, "original_ln_after": false, "non_linearity": "gelu_new"}"#,
            changesOutput: true),
        MethodCase(
            BottleneckAdapter.self,
            #"{"size": 2, "residual_before_ln": false, "non_linearity": "gelu", "init_weights": "mam_adapter"}"#,
            changesOutput: true),
    ]

    /// The methods that put adapters other than LoRA's into linear layers.
    static let layerAdapters = [
        MethodCase(IA3.self, "{}", isRandom: false),
        MethodCase(
            IA3.self, #"{"target_modules": "all-linear", "feedforward_modules": ["c_proj"]}"#, tied: false,
            isRandom: false),
        MethodCase(
            IA3.self,
            #"{"target_modules": ["c_attn", "h.1.mlp.c_fc"], "feedforward_modules": [], "modules_to_save": ["ln_f"]}"#,
            isRandom: false),
        MethodCase(IA3.self, #"{"init_ia3_weights": false}"#, changesOutput: true),
        // At the small model's sizes a rank of 1 goes as a low-rank term and one of 2 as a whole matrix.
        MethodCase(LoHa.self, #"{"r": 1, "alpha": 8}"#, scales: [nil: 8]),
        MethodCase(LoHa.self, #"{"r": 2, "alpha": 9, "target_modules": "all-linear"}"#, scales: [nil: 4.5]),
        MethodCase(
            LoHa.self,
            #"""
            {"r": 2, "alpha": 1, "target_modules": ["c_attn", "c_fc"], "modules_to_save": ["ln_1", "lm_head"],
             "rank_pattern": {"c_fc": 1}, "alpha_pattern": {"c_fc": 3}}
            """#,
            scales: [nil: 0.5, "transformer.h.0.mlp.c_fc": 3, "transformer.h.1.mlp.c_fc": 3]),
        MethodCase(
            LoHa.self, #"{"r": 2, "alpha": 16, "init_weights": false, "layers_to_transform": [1]}"#, scales: [nil: 8],
            changesOutput: true),
        MethodCase(LoKr.self, #"{"r": 2, "alpha": 3, "target_modules": "all-linear"}"#, scales: [nil: 1.5]),
        MethodCase(LoKr.self, #"{"r": 1, "alpha": 2, "target_modules": ["c_attn", "c_proj"]}"#, scales: [nil: 2]),
        MethodCase(
            LoKr.self, #"{"r": 1, "alpha": 1, "target_modules": "all-linear", "decompose_both": true}"#, tied: false),
        MethodCase(LoKr.self, #"{"r": 3, "alpha": 3, "decompose_factor": 3, "modules_to_save": ["ln_f"]}"#),
        MethodCase(
            LoKr.self, #"{"r": 1, "alpha": 8, "init_weights": "lycoris", "decompose_factor": 1}"#, scales: [nil: 8]),
        MethodCase(
            LoKr.self, #"{"r": 2, "alpha": 2, "init_weights": false, "decompose_both": true}"#, changesOutput: true),
    ]
}
