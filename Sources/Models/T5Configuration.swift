import Configuration
import Diagnostics
import Tensors

/// How a family of T5's layout differs from T5 itself.
struct T5Traits {
    /// What a configuration needn't say.
    struct Defaults {
        var vocabularySize = 32128
        var innerWidth = 2048
        var layerCount = 6
        var headCount = 8
        var feedForward = "relu"
        var startTokenID: Int?
    }

    var defaults = Defaults()
    /// Whether a model may scale the states that its head reads, as T5 1.0 does.
    var readsOutputScale = true
    /// The layers of which IA³ scales the outputs by default.
    var rescaled = ["k", "v"]
    /// The layers of which it scales the inputs.
    var feedForwardOutputs = ["wo"]
    /// What peft takes for the first layers of the feed-forward parts, also where these have two.
    var innerLayers = ["wi"]
}

/// The fields of a T5's `config.json` that change a result, with the defaults of `transformers`' `T5Config`.
struct T5Configuration {
    let vocabularySize: Int
    let width: Int
    let innerWidth: Int
    let encoderLayerCount: Int
    let decoderLayerCount: Int
    let heads: AttentionHeads
    let bucketCount: Int
    let maximumDistance: Int
    let activation: Activation
    /// Whether the inside of the feed-forward part is act(wi_0 x) ∘ wi_1 x.
    let isGated: Bool
    let dropout: Float
    let normEpsilon: Float
    let initializerFactor: Float
    /// Whether the head reads the states times width^−½ (T5 1.0).
    let scalesOutput: Bool
    /// The decoder's first token.
    let startTokenID: Int32
    let endOfTextIDs: [Int32]
    /// `tie_word_embeddings` and `scale_decoder_outputs` as they stand in the file.
    let writtenTie: Bool?
    let writtenScale: Bool?

    /// More than any model has, and few enough for the products of two or three sizes to be numbers still.
    private static let sizes = 1...(1 << 24)

    /// Other names of sizes, which `transformers` reads too (its `attribute_map`).
    private static let synonyms = [
        "d_model": "hidden_size", "num_heads": "num_attention_heads", "num_layers": "num_hidden_layers",
        "d_kv": "head_dim",
    ]

    /// - Parameter warn: Receives what stands there twice.
    /// - Throws: `Problems` with what isn't supported.
    init(_ section: ConfigSection, _ traits: T5Traits, warn: WarningSink) throws {
        func warnOfDifference(_ key: String, from other: String) {
            var problem = section.problem("differs from \(other), which counts, as in transformers", at: key)
            problem.severity = .warning
            warn(problem)
        }
        func size(_ key: String, default value: Int, in limit: ClosedRange<Int> = Self.sizes) -> Int {
            guard let synonym = Self.synonyms[key], section.has(synonym) else {
                return section.int(key, default: value, in: limit)
            }
            let size = section.int(synonym, default: value, in: limit)
            if section.has(key), section.int(key, default: size, in: limit) != size {
                warnOfDifference(key, from: synonym)
            }
            return size
        }
        let defaults = traits.defaults
        vocabularySize = section.int("vocab_size", default: defaults.vocabularySize, in: Self.sizes)
        width = size("d_model", default: 512)
        innerWidth = section.int("d_ff", default: defaults.innerWidth, in: Self.sizes)
        encoderLayerCount = size("num_layers", default: defaults.layerCount, in: 0...(1 << 12))
        decoderLayerCount =
            section.optionalInt("num_decoder_layers", in: 0...(1 << 12)) ?? encoderLayerCount
        let headCount = size("num_heads", default: defaults.headCount, in: 1...(1 << 16))
        let headSize = size("d_kv", default: 64, in: 1...(1 << 16))
        bucketCount = section.int("relative_attention_num_buckets", default: 32, in: 4...(1 << 16))
        maximumDistance = section.int("relative_attention_max_distance", default: 128, in: 2...(1 << 24))
        let feedForward = section.string("feed_forward_proj", default: defaults.feedForward)
        let (namedGate, namedActivation) = Self.feedForward(feedForward, section)
        // What transformers derives from the name it writes too, and computes by what is written.
        isGated = section.bool("is_gated_act", default: namedGate)
        activation = section.choice("dense_act_fn", default: namedActivation)
        if section.has("feed_forward_proj") {
            if isGated != namedGate { warnOfDifference("feed_forward_proj", from: "is_gated_act") }
            if activation != namedActivation { warnOfDifference("feed_forward_proj", from: "dense_act_fn") }
        }
        dropout = section.probability("dropout_rate", default: 0.1)
        normEpsilon = Float(section.double("layer_norm_epsilon", default: 1e-6, in: 0...1))
        initializerFactor = Float(section.double("initializer_factor", default: 1, in: 0...))
        writtenTie = section.has("tie_word_embeddings") ? section.bool("tie_word_embeddings", default: true) : nil
        writtenScale =
            section.has("scale_decoder_outputs") ? section.bool("scale_decoder_outputs", default: true) : nil
        scalesOutput = traits.readsOutputScale && (writtenScale ?? (writtenTie ?? true))
        let start = section.optionalInt("decoder_start_token_id") ?? defaults.startTokenID
        if let start {
            if start < 0 || start >= vocabularySize {
                section.record("must be a token below \(vocabularySize), got \(start)", at: "decoder_start_token_id")
            }
        } else {
            section.record(
                "missing: the token that the decoder begins with, which T5's own files have as 0",
                at: "decoder_start_token_id")
        }
        startTokenID = Int32(clamping: start ?? 0)
        endOfTextIDs = section.has("eos_token_id") || section.keys.contains("eos_token_id") ? section.endOfTextIDs : [1]
        if !section.bool("is_encoder_decoder", default: true) {
            section.record("a T5 without its encoder or its decoder isn't supported", at: "is_encoder_decoder")
        }
        section.refuseForeignQuantization()
        try section.throwProblems()
        // Half of the encoder's buckets are for what comes after, and half of those for single distances.
        if maximumDistance <= bucketCount / 2 {
            section.record(
                "must be more than half of relative_attention_num_buckets (\(bucketCount)), got \(maximumDistance)",
                at: "relative_attention_max_distance")
        }
        if headCount.multipliedReportingOverflow(by: headSize).partialValue > Self.sizes.upperBound {
            section.record("\(headCount) heads of \(headSize) are more than any model has", at: "num_heads")
        }
        try section.throwProblems()
        heads = AttentionHeads(count: headCount, keyValueCount: headCount, size: headSize)
    }

    /// `relu`, `gated-gelu` and the like; the gated one with the tanh form, as everywhere in T5 1.1.
    private static func feedForward(_ text: String, _ section: ConfigSection) -> (Bool, Activation) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        let isGated = parts.count == 2 && parts[0] == "gated"
        let name = text == "gated-gelu" ? Activation.geluNew.rawValue : parts.last ?? ""
        guard isGated || parts.count == 1, let activation = Activation(rawValue: name) else {
            let known = Activation.allCases.map(\.rawValue).joined(separator: ", ")
            section.record(
                "'\(text)' isn't supported: an activation (\(known)), or gated- and one of them",
                at: "feed_forward_proj")
            return (false, .relu)
        }
        return (isGated, activation)
    }

    /// What changes a result beside the tensors and their shapes.
    var computation: String {
        "heads \(heads.count), \(isGated ? "gated " : "")\(activation.rawValue), epsilon \(normEpsilon), "
            + "buckets \(bucketCount) to \(maximumDistance), scaled output \(scalesOutput), start \(startTokenID)"
    }
}
