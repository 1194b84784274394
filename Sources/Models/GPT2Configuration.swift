public import Configuration
import Diagnostics
import Tensors

/// The fields of a GPT-2 `config.json` that change a result, with the defaults of `transformers`' `GPT2Config`.
struct GPT2Configuration {
    let vocabularySize: Int
    let positionCount: Int
    let width: Int
    let layerCount: Int
    let headCount: Int
    let innerWidth: Int
    let activation: Activation
    let normEpsilon: Float
    let embeddingDropout: Float
    let residualDropout: Float
    let attentionDropout: Float
    let scalesAttention: Bool
    let scalesAttentionByLayer: Bool
    let initializerRange: Float
    let isHeadTied: Bool
    let endOfTextIDs: [Int32]

    var headSize: Int { width / headCount }
    var heads: AttentionHeads { AttentionHeads(count: headCount, keyValueCount: headCount, size: headSize) }

    /// More than any model has, and few enough for the products of two or three sizes to be numbers still.
    private static let sizes = 1...(1 << 24)
    private static let layerCounts = 0...(1 << 12)

    /// Other names of sizes, which `transformers` reads too (its `attribute_map`).
    private static let synonyms = [
        "n_positions": "max_position_embeddings", "n_embd": "hidden_size", "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads",
    ]
    /// What other families compute otherwise because of these, and GPT-2 in `transformers` doesn't.
    private static let foreign = [
        "rope_theta", "rope_scaling", "rope_parameters", "alibi", "sliding_window", "num_key_value_heads",
    ]
    /// Fields that `transformers` doesn't load without a value.
    private static let needed = [
        "vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "activation_function", "layer_norm_epsilon",
    ]

    /// - Parameter warn: Receives what has no effect, or stands there twice.
    init(_ section: ConfigSection, warn: WarningSink) throws {
        func size(_ key: String, default value: Int, in limit: ClosedRange<Int>) -> Int {
            guard let synonym = Self.synonyms[key], section.has(synonym) else {
                return section.int(key, default: value, in: limit)
            }
            let size = section.int(synonym, default: value, in: limit)
            if section.has(key), section.int(key, default: size, in: limit) != size {
                var problem = section.problem("differs from \(synonym), which counts, as in transformers", at: key)
                problem.severity = .warning
                warn(problem)
            }
            return size
        }
        for key in Self.needed where section.keys.contains(key) && !section.has(key) {
            section.record("expected a value, got null", at: key)
        }
        vocabularySize = section.int("vocab_size", default: 50257, in: Self.sizes)
        positionCount = size("n_positions", default: 1024, in: Self.sizes)
        width = size("n_embd", default: 768, in: Self.sizes)
        layerCount = size("n_layer", default: 12, in: Self.layerCounts)
        headCount = size("n_head", default: 12, in: Self.sizes)
        innerWidth = section.optionalInt("n_inner", in: Self.sizes) ?? 4 * width
        activation = section.choice("activation_function", default: Activation.geluNew)
        normEpsilon = Float(section.double("layer_norm_epsilon", default: 1e-5, in: 0...1))
        embeddingDropout = section.probability("embd_pdrop", default: 0.1)
        residualDropout = section.probability("resid_pdrop", default: 0.1)
        attentionDropout = section.probability("attn_pdrop", default: 0.1)
        scalesAttention = section.bool("scale_attn_weights", default: true)
        scalesAttentionByLayer = section.bool("scale_attn_by_inverse_layer_idx", default: false)
        initializerRange = Float(section.double("initializer_range", default: 0.02, in: 0...))
        isHeadTied = section.bool("tie_word_embeddings", default: GPT2.tiesHeadByDefault)
        endOfTextIDs = section.endOfTextIDs
        func ignore(_ key: String, _ message: String) {
            var problem = section.problem(message, at: key)
            problem.severity = .warning
            warn(problem)
        }
        if section.bool("add_cross_attention", default: false) {
            ignore("add_cross_attention", "has no effect: without an encoder no cross-attention is computed")
        }
        for key in Self.foreign
        where section.has(key) && section.node(key)?.content != .scalar("false", isQuoted: false) {
            ignore(key, "has no effect on GPT-2, here as in transformers")
        }
        if section.has("per_layer_config") {
            section.record("layers of different kinds aren't supported", at: "per_layer_config")
        }
        section.refuseForeignQuantization()
        try section.throwProblems()
        if width % headCount != 0 {
            let key = ["num_attention_heads", "n_head"].first(where: section.has) ?? "n_head"
            section.record("\(headCount) heads don't divide the width n_embd of \(width)", at: key)
        }
        try section.throwProblems()
    }

    /// What changes a result beside the tensors and their shapes.
    var computation: String {
        "heads \(headCount), \(activation.rawValue), epsilon \(normEpsilon), scaled \(scalesAttention), by layer "
            + "\(scalesAttentionByLayer)"
    }

    /// What the scores q · k are multiplied by in layer `index`.
    func attentionScale(layer index: Int) -> Float {
        var scale: Float = scalesAttention ? 1 / Float(headSize).squareRoot() : 1
        if scalesAttentionByLayer { scale /= Float(index + 1) }
        return scale
    }
}

extension ConfigSection {
    /// Records a problem where the model is quantized otherwise than bitsandbytes does.
    func refuseForeignQuantization() {
        guard has("quantization_config") else { return }
        let settings = section("quantization_config")
        let method = settings.optionalString("quant_method")
        // As transformers has it, these say more than the method's name.
        let isKnown = ["load_in_4bit", "load_in_8bit"].contains { settings.optionalBool($0) == true }
        settings.ignoreUnread()
        if isKnown || method.map({ ["bitsandbytes", "bitsandbytes_4bit", "bitsandbytes_8bit"].contains($0) }) == true {
            return
        }
        record(
            (method.map { "quantization by '\($0)' isn't supported" } ?? "says nothing of how the model is quantized")
                + ": bitsandbytes' 4 and 8 bits are supported (load_in_4bit, load_in_8bit); save the model unquantized",
            at: "quantization_config")
    }

    /// `pad_token_id` as torch's embeddings take it: a negative one counts from the vocabulary's end.
    func paddingIndex(_ vocabularySize: Int) -> Int32? {
        guard let index = optionalInt("pad_token_id") else { return nil }
        if index >= vocabularySize || index < -vocabularySize {
            record("must be below the vocabulary's \(vocabularySize), got \(index)", at: "pad_token_id")
            return nil
        }
        return Int32(clamping: index < 0 ? vocabularySize + index : index)
    }

    /// `eos_token_id`: none, one or several, in their order.
    public var endOfTextIDs: [Int32] {
        (optionalInts("eos_token_id") ?? []).map { Int32(clamping: $0) }
    }
}
