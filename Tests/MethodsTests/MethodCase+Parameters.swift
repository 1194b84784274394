import Methods

extension MethodCase {
    /// The methods that train parameters of the model itself.
    static let parameters = [
        MethodCase(BitFit.self, "{}", isRandom: false),
        MethodCase(BitFit.self, "{}", tied: false, isRandom: false),
        MethodCase(BitFit.self, #"{"biases": "query"}"#, isRandom: false),
        MethodCase(BitFit.self, #"{"biases": ["intermediate", "query", "key"]}"#, isRandom: false),
        MethodCase(BitFit.self, #"{"biases": ["norm", "output"], "modules_to_save": ["ln_f"]}"#, isRandom: false),
        MethodCase(BitFit.self, #"{"biases": "value", "modules_to_save": ["h.0", "lm_head"]}"#, isRandom: false),
        MethodCase(LastLayers.self, "{}", isRandom: false),
        MethodCase(LastLayers.self, #"{"layers": 2, "final_norm": false}"#, isRandom: false),
        MethodCase(LastLayers.self, #"{"layers": 0, "final_norm": false, "head": true}"#, isRandom: false),
        MethodCase(LastLayers.self, #"{"layers": 0, "head": true}"#, tied: false, isRandom: false),
        MethodCase(LNTuning.self, "{}", isRandom: false),
        MethodCase(LNTuning.self, #"{"target_modules": ["ln_f", "h.1.mlp.c_fc", "wte"]}"#, isRandom: false),
        MethodCase(
            LNTuning.self, #"{"target_modules": ["ln_1", "ln_f"], "modules_to_save": ["ln_f", "lm_head"]}"#,
            isRandom: false),
        MethodCase(
            LNTuning.self, #"{"target_modules": ".*ln_[12]", "exclude_modules": ["h.1.ln_1"]}"#, isRandom: false),
    ]
}
