public import Batches
public import Configuration
import Diagnostics
public import Layers
public import Tensors

/// GPT-NeoX (Black et al. 2022), which Pythia is: h = embed_in[token]; in each block, in parallel by default,
/// h ← h + attention(input_layernorm(h)) + mlp(post_attention_layernorm(h)), queries and keys turned in the first columns
/// of each head; logits = lm_head(final_layer_norm(h)).
public final class GPTNeoX: DecoderModel {
    public static let modelType = "gpt_neox"

    public static let basePath = "gpt_neox"
    public static let tokenTablePath = "gpt_neox.embed_in"
    public static let headPath = "lm_head"
    /// Checkpoints keep the name that releases of transformers before 5 gave to the module.
    public static let storedHeadPath = "embed_out"
    public static let tiesHeadByDefault = false

    public static let classifierClass = "GPTNeoXForSequenceClassification"

    public var transformersClass: String { objective == .languageModel ? "GPTNeoXForCausalLM" : Self.classifierClass }

    public let decoder: Decoder
    private let configuration: GPTNeoXConfiguration
    private let finalNorm: LayerNorm

    public init(configuration section: ConfigSection, source: any ParameterSource, objective: Objective) throws {
        let configuration = try GPTNeoXConfiguration(section) { source.warnings.append($0) }
        let root = ParameterScope(source)
        let scope = root[Self.basePath]
        let vocabulary = Vocabulary(
            size: configuration.vocabularySize, width: configuration.width, headPath: Self.headPath,
            isHeadTied: configuration.isHeadTied,
            initializer: .normal(standardDeviation: configuration.initializerRange))
        let tokens = vocabulary.embedding(scope["embed_in"])
        let rotary = RotaryPositions(configuration.rotary)
        let blocks = (0..<configuration.layerCount).map {
            Block(scope["layers"]["\($0)"], index: $0, configuration, rotary)
        }
        finalNorm = LayerNorm(
            scope["final_layer_norm"], width: configuration.width, epsilon: configuration.normEpsilon)
        self.configuration = configuration
        decoder = try Decoder(
            root, path: scope.path, objective: objective, location: source.location, vocabulary: vocabulary,
            tokens: tokens, blocks: blocks, norm: finalNorm.path, isIgnorable: Self.isBuffer)
    }

    /// The masks and frequencies that checkpoints of old releases hold beside the weights.
    private static func isBuffer(_ name: String) -> Bool {
        [".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"].contains(where: name.hasSuffix)
    }

    public var computation: String { configuration.computation }
    public var endOfTextIDs: [Int32] { configuration.endOfTextIDs }
    public var tiesHeadByConfiguration: Bool { configuration.isHeadTied }
    public var dropoutKeys: [String] {
        [("attention_dropout", configuration.attentionDropout), ("hidden_dropout", configuration.hiddenDropout)]
            .filter { $0.1 > 0 }.map(\.0)
    }

    public var defaultTargets: DefaultTargets {
        DefaultTargets(
            queriesAndValues: ["query_key_value"], rescaled: ["query_key_value"],
            feedForwardOutputs: ["dense_4h_to_h"],
            norms: ["input_layernorm", "post_attention_layernorm", "final_layer_norm"])
    }

    public var promptShape: PromptShape {
        PromptShape(
            width: configuration.width, layerCount: configuration.layerCount, heads: configuration.heads,
            positionCount: configuration.positionCount, positionKey: "max_position_embeddings")
    }

    public func biases(_ role: BiasRole) -> [BiasPart] {
        let (ending, part): (String, Int?) =
            switch role {
            case .query: (".query_key_value.bias", 0)
            case .key: (".query_key_value.bias", 1)
            case .value: (".query_key_value.bias", 2)
            case .attentionOutput: (".attention.dense.bias", nil)
            case .intermediate: (".dense_h_to_4h.bias", nil)
            case .output: (".dense_4h_to_h.bias", nil)
            case .norm: ("norm.bias", nil)
            }
        let heads = configuration.heads
        return parameters.filter { $0.name.hasSuffix(ending) }.flatMap { parameter in
            guard let part else { return [BiasPart(parameter, elements: nil)] }
            return (0..<heads.count).map { head in
                let first = (3 * head + part) * heads.size
                return BiasPart(parameter, elements: first..<first + heads.size)
            }
        }
    }

    public func embedded(_ batch: TokenBatch, virtualTable: Tensor?, _ context: ForwardContext) -> Tensor {
        let h = decoder.embedded(batch, virtualTable: virtualTable, context)
        return context.dropout(configuration.hiddenDropout).map { dropout(h, $0) } ?? h
    }

    public func normalized(_ h: Tensor) -> Tensor { finalNorm(h) }
}

/// The fields of a GPT-NeoX `config.json` that change a result, with the defaults of `transformers`' `GPTNeoXConfig`.
private struct GPTNeoXConfiguration {
    let vocabularySize: Int
    let positionCount: Int
    let width: Int
    let innerWidth: Int
    let layerCount: Int
    let heads: AttentionHeads
    let activation: Activation
    let normEpsilon: Float
    let attentionDropout: Float
    let hiddenDropout: Float
    let initializerRange: Float
    let isHeadTied: Bool
    let hasAttentionBias: Bool
    let isParallel: Bool
    let rotary: RotaryScaling
    let endOfTextIDs: [Int32]

    private static let sizes = 1...(1 << 24)

    /// - Throws: `Problems` with what isn't supported.
    init(_ section: ConfigSection, warn: WarningSink) throws {
        vocabularySize = section.int("vocab_size", default: 50_432, in: Self.sizes)
        positionCount = section.int("max_position_embeddings", default: 2048, in: Self.sizes)
        width = section.int("hidden_size", default: 6144, in: Self.sizes)
        innerWidth = section.int("intermediate_size", default: 24_576, in: Self.sizes)
        layerCount = section.int("num_hidden_layers", default: 44, in: 0...(1 << 12))
        let headCount = section.int("num_attention_heads", default: 64, in: Self.sizes)
        activation = section.choice("hidden_act", default: Activation.gelu)
        normEpsilon = Float(section.double("layer_norm_eps", default: 1e-5, in: 0...1))
        attentionDropout = section.probability("attention_dropout", default: 0)
        hiddenDropout = section.probability("hidden_dropout", default: 0)
        initializerRange = Float(section.double("initializer_range", default: 0.02, in: 0...))
        isHeadTied = section.bool("tie_word_embeddings", default: GPTNeoX.tiesHeadByDefault)
        hasAttentionBias = section.bool("attention_bias", default: true)
        isParallel = section.bool("use_parallel_residual", default: true)
        let size = max(1, width / headCount)
        rotary = RotaryScaling(
            section, headSize: size, positionCount: positionCount, thetaKey: "rotary_emb_base",
            partKey: "rotary_pct", part: 0.25, warn: warn)
        endOfTextIDs = section.endOfTextIDs
        section.refuseForeignQuantization()
        try section.throwProblems()
        if width % headCount != 0 {
            section.record(
                "\(headCount) heads don't divide the width hidden_size of \(width)", at: "num_attention_heads")
        }
        try section.throwProblems()
        heads = AttentionHeads(count: headCount, keyValueCount: headCount, size: size)
    }

    /// What changes a result beside the tensors and their shapes.
    var computation: String {
        "heads \(heads.count), \(activation.rawValue), epsilon \(normEpsilon), \(rotary.description), "
            + (isParallel ? "parallel" : "in turn")
    }
}

extension GPTNeoX {
    /// One block: attention and feed-forward, both of the block's input or one after the other.
    private final class Block: DecoderBlock {
        private let index: Int
        private let path: String
        private let configuration: GPTNeoXConfiguration
        private let rotary: RotaryPositions
        private let attentionNorm: LayerNorm
        private let queryKeyValue: Linear
        private let attentionOutput: Linear
        private let feedForwardNorm: LayerNorm
        private let feedForward: Linear
        private let feedForwardOutput: Linear
        let joins: [ResidualJoin]

        init(
            _ scope: ParameterScope, index: Int, _ configuration: GPTNeoXConfiguration, _ rotary: RotaryPositions
        ) {
            self.index = index
            self.configuration = configuration
            self.rotary = rotary
            path = scope.path
            let (width, inner) = (configuration.width, configuration.innerWidth)
            func linear(_ scope: ParameterScope, _ inputs: Int, _ outputs: Int, bias: Bool = true) -> Linear {
                scope.linear(
                    inputs: inputs, outputs: outputs, .normal(standardDeviation: configuration.initializerRange),
                    hasBias: bias)
            }
            attentionNorm = LayerNorm(scope["input_layernorm"], width: width, epsilon: configuration.normEpsilon)
            feedForwardNorm = LayerNorm(
                scope["post_attention_layernorm"], width: width, epsilon: configuration.normEpsilon)
            let (attention, bias) = (scope["attention"], configuration.hasAttentionBias)
            queryKeyValue = linear(attention["query_key_value"], width, 3 * width, bias: bias)
            attentionOutput = linear(attention["dense"], width, width, bias: bias)
            feedForward = linear(scope["mlp"]["dense_h_to_4h"], width, inner)
            feedForwardOutput = linear(scope["mlp"]["dense_4h_to_h"], inner, width)
            joins = ResidualJoin.ends(ofBlock: scope.path, layer: index, width: width)
        }

        var modules: [NamedModule] {
            [
                NamedModule(path: path, kind: .container),
                NamedModule(path: attentionNorm.path, kind: .norm),
                NamedModule(path: feedForwardNorm.path, kind: .norm),
                NamedModule(path: "\(path).attention", kind: .container),
                NamedModule(path: queryKeyValue.path, kind: .linear(queryKeyValue)),
                NamedModule(path: attentionOutput.path, kind: .linear(attentionOutput)),
                NamedModule(path: "\(path).mlp", kind: .container),
                NamedModule(path: feedForward.path, kind: .linear(feedForward)),
                NamedModule(path: feedForwardOutput.path, kind: .linear(feedForwardOutput)),
            ]
        }

        func callAsFunction(
            _ h: Tensor, _ batch: TokenBatch, prefix: KeyValuePrefix?, rows: [Int]?, _ context: ForwardContext
        ) -> Tensor {
            var n = attentionNorm(h)
            var a = attend(queryKeyValue(n, context), batch, prefix: prefix, context)
            var input = h
            if let rows {
                a = gatherRows(a, rows)
                input = gatherRows(h, rows)
                if joins[0].adapter != nil { n = gatherRows(n, rows) }
            }
            let joined = joins[0](
                residual: input, normalized: n, output: attentionOutput(a, context),
                dropout: context.dropout(configuration.hiddenDropout), context)
            n = feedForwardNorm(configuration.isParallel ? input : joined)
            let f = feedForward(n, context, activation: configuration.activation)
            return joins[1](
                residual: joined, normalized: n,
                output: feedForwardOutput(f, context, isLast: joins[1].adapter == nil),
                dropout: context.dropout(configuration.hiddenDropout), context)
        }

        /// - Parameter qkv: [rows, 3 · width], head by head its query, its key and its value.
        private func attend(
            _ qkv: Tensor, _ batch: TokenBatch, prefix: KeyValuePrefix?, _ context: ForwardContext
        ) -> Tensor {
            let heads = configuration.heads
            func part(_ index: Int) -> Tensor {
                takeColumns(qkv, index * heads.size..<(index + 1) * heads.size, ofEvery: 3 * heads.size)
            }
            let input = AttentionInput.separate(
                queries: rotary.turned(part(0), batch, heads), keys: rotary.turned(part(1), batch, heads),
                values: part(2))
            let scale = 1 / Float(heads.size).squareRoot()
            if let cache = context.cache {
                return cache.attend(input, layer: index, offsets: batch.offsets, heads: heads, scale: scale)
            }
            return attention(
                input, prefix: prefix, offsets: batch.offsets, chains: batch.chains, heads: heads, scale: scale,
                isCausal: true,
                dropout: context.dropout(configuration.attentionDropout))
        }
    }
}
