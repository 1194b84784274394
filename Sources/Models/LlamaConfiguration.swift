import Configuration
import Diagnostics
import Tensors

/// What the families that compute as Llama does have of their own.
public struct LlamaTraits: Sendable {
    enum Window: Sendable {
        case none
        /// `sliding_window` for all layers.
        case always
        /// Where `use_sliding_window` says so, in the layers from `max_window_layers` on, or as `layer_types` says.
        case optional
    }

    /// Whether queries, keys and values have biases where `attention_bias` isn't in the configuration.
    var hasInputBiases = false
    /// Whether the configuration's `attention_bias` counts, for the output layer too.
    var readsAttentionBias = false
    var readsFeedForwardBias = false
    /// Whether queries and keys are normalised, head by head.
    var normalisesHeads = false
    var window = Window.none
    /// What IA³ and LN tuning train where the run names nothing; both as peft's tables have them for the family.
    var rescaled = ["k_proj", "v_proj"]
    var trainedNorms = ["input_layernorm", "post_attention_layernorm", "norm"]
    /// The defaults of `transformers`' configuration.
    var defaults = Defaults()

    /// peft's table for Qwen scales queries where its paper scales keys.
    static let qwenRescaled = ["q_proj", "v_proj"]
    static let qwenNorms = ["post_attention_layernorm"]

    struct Defaults: Sendable {
        var vocabularySize = 32_000
        var width = 4096
        var innerWidth = 11_008
        var layerCount = 32
        var headCount = 32
        var keyValueCount: Int?
        var headSize: Int?
        var positionCount = 2048
        var theta = 10_000.0
        var slidingWindow: Int?
    }
}

/// The fields of a Llama-like `config.json` that change a result.
struct LlamaConfiguration {
    let vocabularySize: Int
    let positionCount: Int
    let width: Int
    let innerWidth: Int
    let layerCount: Int
    let heads: AttentionHeads
    let activation: Activation
    let normEpsilon: Float
    let attentionDropout: Float
    let initializerRange: Float
    let isHeadTied: Bool
    let hasInputBiases: Bool
    let hasOutputBias: Bool
    let hasFeedForwardBias: Bool
    let rotary: RotaryScaling
    /// For each layer the most tokens that a query sees; nil for all.
    let windows: [Int?]
    let endOfTextIDs: [Int32]
    /// `pad_token_id`, whose row of the embedding gets no gradient where it is read.
    let paddingIndex: Int32?

    private static let sizes = 1...(1 << 24)

    /// - Throws: `Problems` with what isn't supported.
    init(_ section: ConfigSection, _ traits: LlamaTraits, warn: WarningSink) throws {
        let defaults = traits.defaults
        vocabularySize = section.int("vocab_size", default: defaults.vocabularySize, in: Self.sizes)
        positionCount = section.int("max_position_embeddings", default: defaults.positionCount, in: Self.sizes)
        width = section.int("hidden_size", default: defaults.width, in: Self.sizes)
        innerWidth = section.int("intermediate_size", default: defaults.innerWidth, in: Self.sizes)
        layerCount = section.int("num_hidden_layers", default: defaults.layerCount, in: 0...(1 << 12))
        let headCount = section.int("num_attention_heads", default: defaults.headCount, in: Self.sizes)
        let keyValueCount =
            section.optionalInt("num_key_value_heads", in: Self.sizes) ?? defaults.keyValueCount ?? headCount
        let headSize =
            section.optionalInt("head_dim", in: Self.sizes) ?? defaults.headSize ?? max(1, width / headCount)
        activation = section.choice("hidden_act", default: Activation.silu)
        normEpsilon = Float(section.double("rms_norm_eps", default: 1e-6, in: 0...1))
        attentionDropout = section.probability("attention_dropout", default: 0)
        initializerRange = Float(section.double("initializer_range", default: 0.02, in: 0...))
        isHeadTied = section.bool("tie_word_embeddings", default: Llama.tiesHeadByDefault)
        let bias = traits.readsAttentionBias && section.bool("attention_bias", default: false)
        (hasInputBiases, hasOutputBias) = (bias || traits.hasInputBiases, bias)
        hasFeedForwardBias = traits.readsFeedForwardBias && section.bool("mlp_bias", default: false)
        rotary = RotaryScaling(section, headSize: headSize, positionCount: positionCount, warn: warn)
        windows = Self.windows(section, traits, layerCount)
        endOfTextIDs = section.endOfTextIDs
        paddingIndex = section.paddingIndex(vocabularySize)
        section.refuseForeignQuantization()
        try section.throwProblems()
        if headCount % keyValueCount != 0 {
            section.record(
                "\(keyValueCount) heads of keys and values don't divide \(headCount) heads", at: "num_key_value_heads")
        }
        if headSize % 2 != 0 { section.record("\(headSize) columns of a head don't turn by twos", at: "head_dim") }
        try section.throwProblems()
        heads = AttentionHeads(count: headCount, keyValueCount: keyValueCount, size: headSize)
    }

    private static func windows(_ section: ConfigSection, _ traits: LlamaTraits, _ layerCount: Int) -> [Int?] {
        let none = [Int?](repeating: nil, count: layerCount)
        switch traits.window {
        case .none: return none
        case .always:
            let size =
                section.keys.contains("sliding_window")
                ? section.optionalInt("sliding_window", in: sizes) : traits.defaults.slidingWindow
            return none.map { _ in size }
        case .optional:
            let isUsed = section.bool("use_sliding_window", default: false)
            let size = section.optionalInt("sliding_window", in: sizes) ?? 4096
            let full = section.int("max_window_layers", default: 28, in: 0...)
            guard isUsed else { return none }
            guard let types = section.optionalStrings("layer_types") else {
                return (0..<layerCount).map { $0 >= full ? size : nil }
            }
            if types.count != layerCount {
                section.record("names \(types.count) layers, but the model has \(layerCount)", at: "layer_types")
                return none
            }
            for type in types where type != "full_attention" && type != "sliding_attention" {
                section.record("'\(type)' isn't supported", at: "layer_types")
            }
            return types.map { $0 == "sliding_attention" ? size : nil }
        }
    }

    /// What changes a result beside the tensors and their shapes.
    var computation: String {
        "heads \(heads.count)/\(heads.keyValueCount), \(activation.rawValue), epsilon \(normEpsilon), "
            + "\(rotary.description), windows \(windows.map { $0.map(String.init) ?? "-" }.joined(separator: " "))"
    }
}
