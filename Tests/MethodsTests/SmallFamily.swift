import Models
import Testing
import TestSupport

/// A family as the contract of every method is tested on it: a small model, and what that computes in double precision.
struct SmallFamily: Sendable, CustomTestStringConvertible {
    let architecture: any Architecture.Type
    /// The members of `config.json` that are the family's own.
    let settings: String
    let oracle: @Sendable () -> any ScalarModel
    /// The names of modules in the settings of `MethodCase.common`, as the family calls them.
    let names: [String: String]
    /// What a method with these settings says where it has nothing to do in the family.
    var refusals: [String: String] = [:]
    /// Whether a head of its own can only come from a checkpoint.
    var isAlwaysTied = false
    /// Whether its loss has kinks that lie within a step of single precision's finite differences.
    var hasKinks = false

    var testDescription: String { architecture.modelType }

    func configuration(tied: Bool, positions: Int, dropout: Double) -> String {
        """
        {"vocab_size": \(SmallModel.vocabulary), "n_positions": \(positions), "max_position_embeddings": \(positions),
         "tie_word_embeddings": \(tied), "embd_pdrop": \(dropout), "resid_pdrop": \(dropout), "attn_pdrop": \(dropout),
         "attention_dropout": \(dropout), "dropout_rate": \(dropout), \(settings)}
        """
    }

    static let gpt2 = gpt2(activation: "gelu_new", scalesByLayer: false)

    static func gpt2(activation: String, scalesByLayer: Bool) -> SmallFamily {
        SmallFamily(
            architecture: GPT2.self,
            settings: """
                "n_embd": 8, "n_layer": 2, "n_head": 2, "n_inner": 12, "activation_function": "\(activation)",
                 "scale_attn_by_inverse_layer_idx": \(scalesByLayer)
                """,
            oracle: {
                var oracle = ScalarGPT2(width: SmallModel.width, heads: SmallModel.heads, layers: SmallModel.layers)
                oracle.activation = activation
                oracle.scalesScoresByLayer = scalesByLayer
                return oracle
            }, names: [:])
    }

    /// Both heads of queries share one of keys and values, and every layer has a bias.
    static let llama = llama(
        Llama.self, keyValueHeads: 1, settings: #""attention_bias": true, "mlp_bias": true, "rope_theta": 100.0"#
    ) { $0.theta = 100 }

    static let mistral = llama(Mistral.self, keyValueHeads: 1, settings: #""sliding_window": 3"#, hasBiases: false) {
        $0.window = 3
    }

    static let qwen2 = llama(Qwen2.self, keyValueHeads: 2, settings: #""rms_norm_eps": 0.01"#) { $0.epsilon = 0.01 }

    /// Its heads aren't as wide as the width divided by their number.
    static let qwen3 = llama(Qwen3.self, keyValueHeads: 1, headSize: 6, settings: #""head_dim": 6"#, hasBiases: false) {
        _ in
    }

    static let neoX = SmallFamily(
        architecture: GPTNeoX.self,
        settings: """
            "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12,
             "rotary_pct": 0.5
            """,
        oracle: {
            ScalarGPTNeoX(
                width: SmallModel.width, layers: SmallModel.layers, heads: SmallModel.heads, inner: SmallModel.inner,
                turning: 2)
        },
        names: [
            "c_attn": "query_key_value", "c_fc": "dense_h_to_4h", "c_proj": "dense_4h_to_h", "wte": "embed_in",
            "ln_f": "final_layer_norm", "ln_1": "input_layernorm",
        ])

    static let t5 = t5(T5.self, settings: #""feed_forward_proj": "relu""#, inner: "wi", hasKinks: true) { _ in }

    /// Gated, and with states that its head reads as they are.
    static let mt5 = t5(MT5.self, settings: #""feed_forward_proj": "gated-gelu""#, inner: "wi_1") {
        $0.isGated = true
        $0.scalesOutput = false
    }

    static let all = [gpt2, llama, mistral, qwen2, qwen3, neoX, t5, mt5]

    private static func t5(
        _ architecture: any Architecture.Type, settings: String, inner: String, hasKinks: Bool = false,
        _ change: @escaping @Sendable (inout ScalarT5) -> Void
    ) -> SmallFamily {
        let embeddingAdapters = [
            #"{"r": 2, "lora_alpha": 2, "target_modules": ["lm_head", "wte"]}"#,
            #"{"r": 2, "lora_alpha": 2, "modules_to_save": ["wte"]}"#,
        ]
        return SmallFamily(
            architecture: architecture,
            settings: """
                "d_model": 8, "num_layers": 2, "num_heads": 2, "d_kv": 3, "d_ff": 12, "decoder_start_token_id": 0,
                 "relative_attention_num_buckets": 6, "relative_attention_max_distance": 5, \(settings)
                """,
            oracle: {
                var oracle = ScalarT5(
                    width: SmallModel.width, layers: SmallModel.layers, heads: SmallModel.heads, headSize: 3,
                    inner: SmallModel.inner, buckets: 6, maximumDistance: 5)
                change(&oracle)
                return oracle
            },
            names: [
                "c_attn": "q", "c_fc": inner, "c_proj": "wo", "wte": "shared", "ln_f": "final_layer_norm",
                "ln_1": "layer_norm",
            ],
            refusals: Dictionary(
                uniqueKeysWithValues: [("bitfit {}", "has no biases")] + embeddingAdapters.map { ("lora \($0)", "") }),
            isAlwaysTied: true, hasKinks: hasKinks)
    }

    private static func llama(
        _ architecture: any Architecture.Type, keyValueHeads: Int, headSize: Int = 4, settings: String,
        hasBiases: Bool = true, _ change: @escaping @Sendable (inout ScalarLlama) -> Void
    ) -> SmallFamily {
        SmallFamily(
            architecture: architecture,
            settings: """
                "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12,
                 "num_key_value_heads": \(keyValueHeads), \(settings)
                """,
            oracle: {
                var oracle = ScalarLlama(
                    width: SmallModel.width, layers: SmallModel.layers, heads: SmallModel.heads,
                    keyValueHeads: keyValueHeads, headSize: headSize, inner: SmallModel.inner)
                change(&oracle)
                return oracle
            },
            names: [
                "c_attn": "q_proj", "c_fc": "up_proj", "c_proj": "down_proj", "wte": "embed_tokens", "ln_f": "norm",
                "ln_1": "input_layernorm",
            ], refusals: hasBiases ? [:] : ["bitfit {}": "has no biases"])
    }
}
