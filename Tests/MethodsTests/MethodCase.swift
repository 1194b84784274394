import Methods
import Testing

/// A method with settings for the small model: what the contract of every method is tested with.
struct MethodCase: Sendable, CustomTestStringConvertible {
    let method: any PEFTMethod.Type
    let family: SmallFamily
    let settings: String
    let tied: Bool
    /// alpha / rank, or alpha / √rank, by a layer's path; `nil` holds the others'.
    let scales: [String?: Double]
    /// Whether the model computes something else as soon as the method is installed.
    let changesOutput: Bool
    /// Whether it begins otherwise with another seed; nil where that isn't known.
    let isRandom: Bool?
    /// Whether what is delivered says the same in other numbers, so that it comes back but for rounding.
    let isConverted: Bool
    /// Whether the tests know in double precision what it computes.
    let hasFormula: Bool
    /// What it computes, where the names of its parameters don't say it.
    let formula: MethodFormula?
    /// What the method puts into the sequences, for the formula in double precision.
    let prompt: PromptOracle?

    var testDescription: String {
        "\(family.testDescription): \(method.name) \(settings)\(tied ? "" : ", untied")"
    }

    init(
        _ method: any PEFTMethod.Type, _ settings: String, on family: SmallFamily = .gpt2, tied: Bool = true,
        scales: [String?: Double] = [nil: 1], changesOutput: Bool = false, isRandom: Bool? = true,
        isConverted: Bool = false, formula: MethodFormula? = nil, prompt: PromptOracle? = nil,
        hasFormula: Bool = true
    ) {
        (self.method, self.settings, self.family, self.tied, self.scales) = (method, settings, family, tied, scales)
        self.changesOutput = changesOutput
        self.isRandom = isRandom
        self.isConverted = isConverted
        self.formula = formula
        self.prompt = prompt
        self.hasFormula = hasFormula
    }

    /// Every method of the registry, those without cases of their own as they are by default.
    static let all =
        ownCases
        + methods.filter { method in !ownCases.contains { $0.method == method } }.map {
            MethodCase($0, "{}", isRandom: nil, hasFormula: false)
        } + SmallFamily.all.dropFirst().flatMap { family in common.compactMap { $0.on(family) } }
        + withEncoder

    private static let ownCases =
        fullAndLoRA + loraVariants + adaLoRA + parameters + layerAdapters + bottlenecks + prompts

    private static let fullAndLoRA = [
        MethodCase(Full.self, "{}", isRandom: false),
        MethodCase(Full.self, "{}", tied: false, isRandom: false),
        MethodCase(LoRA.self, #"{"r": 2, "lora_alpha": 3}"#, scales: [nil: 1.5]),
        MethodCase(LoRA.self, #"{"r": 3, "lora_alpha": 3, "target_modules": "all-linear"}"#),
        MethodCase(
            LoRA.self, #"{"r": 2, "target_modules": "all-linear", "bias": "all"}"#, tied: false, scales: [nil: 4]),
        MethodCase(
            LoRA.self, #"{"r": 2, "target_modules": ["c_attn", "mlp.c_proj"], "bias": "lora_only"}"#,
            scales: [nil: 4]),
        MethodCase(LoRA.self, #"{"r": 2, "bias": "all", "modules_to_save": ["ln_f"]}"#, scales: [nil: 4]),
        MethodCase(LoRA.self, #"{"r": 2, "lora_alpha": 2, "modules_to_save": ["ln_f", "ln_1"]}"#),
        MethodCase(LoRA.self, #"{"r": 2, "lora_alpha": 2, "modules_to_save": ["lm_head"]}"#),
        MethodCase(LoRA.self, #"{"r": 2, "lora_alpha": 2, "modules_to_save": ["lm_head"]}"#, tied: false),
        MethodCase(LoRA.self, #"{"r": 2, "lora_alpha": 2, "modules_to_save": ["wte"]}"#),
        MethodCase(LoRA.self, #"{"r": 2, "lora_alpha": 2, "modules_to_save": ["wte", "lm_head", "wpe"]}"#),
        MethodCase(
            LoRA.self, #"{"r": 2, "lora_alpha": 2, "target_modules": "all-linear", "modules_to_save": ["mlp"]}"#),
        MethodCase(LoRA.self, #"{"r": 4, "lora_alpha": 6, "use_rslora": true}"#, scales: [nil: 3]),
        MethodCase(
            LoRA.self,
            #"""
            {"r": 2, "lora_alpha": 4, "target_modules": ["c_attn", "c_proj"],
             "rank_pattern": {"h.0.attn.c_attn": 5, "mlp.c_proj": 4}, "alpha_pattern": {"c_attn": 10}}
            """#,
            scales: [
                nil: 2, "transformer.h.0.attn.c_attn": 2, "transformer.h.1.attn.c_attn": 5,
                "transformer.h.0.mlp.c_proj": 1, "transformer.h.1.mlp.c_proj": 1,
            ]),
        MethodCase(
            LoRA.self,
            #"{"r": 2, "lora_alpha": 2, "target_modules": ["c_attn", "c_fc"], "layers_to_transform": [1]}"#),
        MethodCase(
            LoRA.self, #"{"r": 2, "lora_alpha": 2, "target_modules": ".*\\.h\\.[0]\\.(attn|mlp)\\.c_(attn|fc)"}"#),
        MethodCase(
            LoRA.self,
            #"{"r": 2, "lora_alpha": 2, "target_modules": ["c_attn", "c_proj"], "exclude_modules": ["mlp.c_proj"]}"#),
    ]
}
