import Configuration
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
    let endOfTextID: Int32?

    var headSize: Int { width / headCount }
    var heads: AttentionHeads { AttentionHeads(count: headCount, keyValueCount: headCount, size: headSize) }

    /// More than any model has, and few enough for the products of two or three sizes to be numbers still.
    private static let sizes = 1...(1 << 24)
    private static let layerCounts = 0...(1 << 12)

    init(_ section: ConfigSection) throws {
        vocabularySize = section.int("vocab_size", default: 50257, in: Self.sizes)
        positionCount = section.int("n_positions", default: 1024, in: Self.sizes)
        width = section.int("n_embd", default: 768, in: Self.sizes)
        layerCount = section.int("n_layer", default: 12, in: Self.layerCounts)
        headCount = section.int("n_head", default: 12, in: Self.sizes)
        innerWidth = section.optionalInt("n_inner", in: Self.sizes) ?? 4 * width
        activation = section.choice("activation_function", default: Activation.geluNew)
        normEpsilon = Float(section.double("layer_norm_epsilon", default: 1e-5, in: 0...1))
        embeddingDropout = Float(section.double("embd_pdrop", default: 0.1, in: 0..<1))
        residualDropout = Float(section.double("resid_pdrop", default: 0.1, in: 0..<1))
        attentionDropout = Float(section.double("attn_pdrop", default: 0.1, in: 0..<1))
        scalesAttention = section.bool("scale_attn_weights", default: true)
        scalesAttentionByLayer = section.bool("scale_attn_by_inverse_layer_idx", default: false)
        initializerRange = Float(section.double("initializer_range", default: 0.02, in: 0...))
        isHeadTied = section.bool("tie_word_embeddings", default: true)
        endOfTextID = section.optionalInt("eos_token_id", in: 0...).map(Int32.init(clamping:))
        if width % headCount != 0 {
            section.record("\(headCount) heads don't divide the width n_embd of \(width)", at: "n_head")
        }
        if section.bool("add_cross_attention", default: false) {
            section.record("a model with cross-attention isn't supported", at: "add_cross_attention")
        }
        if section.has("quantization_config") {
            section.record(
                "quantized checkpoints aren't supported; save the model unquantized", at: "quantization_config")
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
