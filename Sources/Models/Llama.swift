public import Batches
public import Configuration
import Diagnostics
public import Layers
public import Tensors

/// Llama (Touvron et al. 2023): h = embed_tokens[token]; in each block h ← h + o_proj(attention(RoPE(q), RoPE(k), v)) of
/// RMSNorm(h), then h ← h + down_proj(act(gate_proj(n)) ∘ up_proj(n)), n = RMSNorm(h); logits = lm_head(RMSNorm(h)).
public class Llama: DecoderModel {
    public class var modelType: String { "llama" }
    /// What the names of transformers' classes begin with.
    class var classPrefix: String { "Llama" }
    class var traits: LlamaTraits { LlamaTraits(readsAttentionBias: true, readsFeedForwardBias: true) }

    public static var basePath: String { "model" }
    public static var tokenTablePath: String { "model.embed_tokens" }
    public static var headPath: String { "lm_head" }
    public static var tiesHeadByDefault: Bool { false }

    public static var classifierClass: String { "\(classPrefix)ForSequenceClassification" }

    public var transformersClass: String {
        objective == .languageModel ? "\(Self.classPrefix)ForCausalLM" : Self.classifierClass
    }

    public let decoder: Decoder
    private let configuration: LlamaConfiguration
    private let finalNorm: RMSNorm

    public required init(
        configuration section: ConfigSection, source: any ParameterSource, objective: Objective
    ) throws {
        let traits = Self.traits
        let configuration = try LlamaConfiguration(section, traits) { source.warnings.append($0) }
        let root = ParameterScope(source)
        let scope = root[Self.basePath]
        let vocabulary = Vocabulary(
            size: configuration.vocabularySize, width: configuration.width, headPath: Self.headPath,
            isHeadTied: configuration.isHeadTied,
            initializer: .normal(standardDeviation: configuration.initializerRange),
            paddingIndex: configuration.paddingIndex)
        let tokens = vocabulary.embedding(scope["embed_tokens"])
        let rotary = RotaryPositions(configuration.rotary)
        let blocks = (0..<configuration.layerCount).map {
            Block(scope["layers"]["\($0)"], index: $0, configuration, traits, rotary)
        }
        finalNorm = RMSNorm(scope["norm"], width: configuration.width, epsilon: configuration.normEpsilon)
        self.configuration = configuration
        decoder = try Decoder(
            root, path: scope.path, objective: objective, location: source.location, vocabulary: vocabulary,
            tokens: tokens, blocks: blocks, norm: finalNorm.path
        ) { $0.hasSuffix("rotary_emb.inv_freq") }
    }

    public var computation: String { configuration.computation }
    public var endOfTextIDs: [Int32] { configuration.endOfTextIDs }
    public var tiesHeadByConfiguration: Bool { configuration.isHeadTied }
    public var dropoutKeys: [String] { configuration.attentionDropout > 0 ? ["attention_dropout"] : [] }

    public var defaultTargets: DefaultTargets {
        DefaultTargets(
            queriesAndValues: ["q_proj", "v_proj"], rescaled: Self.traits.rescaled,
            feedForwardOutputs: ["down_proj"], norms: Self.traits.trainedNorms)
    }

    public var promptShape: PromptShape {
        PromptShape(
            width: configuration.width, layerCount: configuration.layerCount, heads: configuration.heads,
            positionCount: configuration.positionCount, positionKey: "max_position_embeddings")
    }

    public func biases(_ role: BiasRole) -> [BiasPart] {
        let ending: String
        switch role {
        case .query: ending = ".q_proj.bias"
        case .key: ending = ".k_proj.bias"
        case .value: ending = ".v_proj.bias"
        case .attentionOutput: ending = ".o_proj.bias"
        case .intermediate: ending = ".up_proj.bias"
        case .output: ending = ".down_proj.bias"
        case .norm: return []
        }
        return parameters.filter { $0.name.hasSuffix(ending) }.map { BiasPart($0, elements: nil) }
    }

    public func embedded(_ batch: TokenBatch, virtualTable: Tensor?, _ context: ForwardContext) -> Tensor {
        decoder.embedded(batch, virtualTable: virtualTable, context)
    }

    public func normalized(_ h: Tensor) -> Tensor { finalNorm(h) }
}

/// Mistral 7B (Jiang et al. 2023): Llama where each token sees a window of those before it.
public final class Mistral: Llama {
    public override class var modelType: String { "mistral" }
    override class var classPrefix: String { "Mistral" }
    override class var traits: LlamaTraits {
        LlamaTraits(
            window: .always,
            defaults: .init(innerWidth: 14_336, keyValueCount: 8, positionCount: 131_072, slidingWindow: 4096))
    }
}

/// Qwen2 (Yang et al. 2024): Llama with biases of queries, keys and values.
public final class Qwen2: Llama {
    public override class var modelType: String { "qwen2" }
    override class var classPrefix: String { "Qwen2" }
    override class var traits: LlamaTraits {
        LlamaTraits(
            hasInputBiases: true, window: .optional, rescaled: LlamaTraits.qwenRescaled,
            trainedNorms: LlamaTraits.qwenNorms,
            defaults: .init(
                vocabularySize: 151_936, innerWidth: 22_016, keyValueCount: 32, positionCount: 32_768))
    }
}

/// Qwen3 (Yang et al. 2025): Llama with a norm over each head of queries and keys.
public final class Qwen3: Llama {
    public override class var modelType: String { "qwen3" }
    override class var classPrefix: String { "Qwen3" }
    override class var traits: LlamaTraits {
        LlamaTraits(
            readsAttentionBias: true, normalisesHeads: true, window: .optional, rescaled: LlamaTraits.qwenRescaled,
            trainedNorms: LlamaTraits.qwenNorms,
            defaults: .init(
                vocabularySize: 151_936, innerWidth: 22_016, keyValueCount: 32, headSize: 128, positionCount: 32_768))
    }
}

extension Llama {
    /// One block: attention and feed-forward, each after a norm and added to the residual stream.
    private final class Block: DecoderBlock {
        private let index: Int
        private let path: String
        private let configuration: LlamaConfiguration
        private let rotary: RotaryPositions
        private let attentionNorm: RMSNorm
        private let queries: Linear
        private let keys: Linear
        private let values: Linear
        private let attentionOutput: Linear
        private let queryNorm: RMSNorm?
        private let keyNorm: RMSNorm?
        private let feedForwardNorm: RMSNorm
        private let gate: Linear
        private let up: Linear
        private let down: Linear
        let joins: [ResidualJoin]

        init(
            _ scope: ParameterScope, index: Int, _ configuration: LlamaConfiguration, _ traits: LlamaTraits,
            _ rotary: RotaryPositions
        ) {
            self.index = index
            self.configuration = configuration
            self.rotary = rotary
            path = scope.path
            let (width, heads, epsilon) = (configuration.width, configuration.heads, configuration.normEpsilon)
            func linear(_ scope: ParameterScope, _ inputs: Int, _ outputs: Int, bias: Bool) -> Linear {
                scope.linear(
                    inputs: inputs, outputs: outputs, .normal(standardDeviation: configuration.initializerRange),
                    hasBias: bias)
            }
            let attention = scope["self_attn"]
            let hasBiases = configuration.hasInputBiases
            queries = linear(attention["q_proj"], width, heads.outputWidth, bias: hasBiases)
            keys = linear(attention["k_proj"], width, heads.keyValueWidth, bias: hasBiases)
            values = linear(attention["v_proj"], width, heads.keyValueWidth, bias: hasBiases)
            attentionOutput = linear(
                attention["o_proj"], heads.outputWidth, width, bias: configuration.hasOutputBias)
            let norms = traits.normalisesHeads
            queryNorm = norms ? RMSNorm(attention["q_norm"], width: heads.size, epsilon: epsilon) : nil
            keyNorm = norms ? RMSNorm(attention["k_norm"], width: heads.size, epsilon: epsilon) : nil
            let (feedForward, inner) = (scope["mlp"], configuration.innerWidth)
            let hasInnerBiases = configuration.hasFeedForwardBias
            gate = linear(feedForward["gate_proj"], width, inner, bias: hasInnerBiases)
            up = linear(feedForward["up_proj"], width, inner, bias: hasInnerBiases)
            down = linear(feedForward["down_proj"], inner, width, bias: hasInnerBiases)
            attentionNorm = RMSNorm(scope["input_layernorm"], width: width, epsilon: epsilon)
            feedForwardNorm = RMSNorm(scope["post_attention_layernorm"], width: width, epsilon: epsilon)
            joins = ResidualJoin.ends(ofBlock: scope.path, layer: index, width: width)
        }

        var modules: [NamedModule] {
            func linears(_ layers: Linear...) -> [NamedModule] {
                layers.map { NamedModule(path: $0.path, kind: .linear($0)) }
            }
            func norms(_ norms: RMSNorm?...) -> [NamedModule] {
                norms.compactMap { $0.map { NamedModule(path: $0.path, kind: .norm) } }
            }
            return [
                NamedModule(path: path, kind: .container), NamedModule(path: "\(path).self_attn", kind: .container),
            ] + linears(queries, keys, values, attentionOutput) + norms(queryNorm, keyNorm)
                + [NamedModule(path: "\(path).mlp", kind: .container)] + linears(gate, up, down)
                + norms(attentionNorm, feedForwardNorm)
        }

        func callAsFunction(
            _ h: Tensor, _ batch: TokenBatch, prefix: KeyValuePrefix?, rows: [Int]?, _ context: ForwardContext
        ) -> Tensor {
            var h = h
            var n = attentionNorm(h)
            var a = attend(n, batch, prefix: prefix, context)
            if let rows {
                a = gatherRows(a, rows)
                h = gatherRows(h, rows)
                if joins[0].adapter != nil { n = gatherRows(n, rows) }
            }
            h = joins[0](
                residual: h, normalized: n, output: attentionOutput(a, context), dropout: nil, context)
            n = feedForwardNorm(h)
            let f = gatedProduct(gate(n, context), up(n, context), activation: configuration.activation)
            return joins[1](
                residual: h, normalized: n, output: down(f, context, isLast: joins[1].adapter == nil), dropout: nil,
                context)
        }

        private func attend(
            _ n: Tensor, _ batch: TokenBatch, prefix: KeyValuePrefix?, _ context: ForwardContext
        ) -> Tensor {
            let heads = configuration.heads
            func turned(_ x: Tensor, _ norm: RMSNorm?) -> Tensor {
                rotary.turned(norm.map { $0(x) } ?? x, batch, heads)
            }
            let input = AttentionInput.separate(
                queries: turned(queries(n, context), queryNorm), keys: turned(keys(n, context), keyNorm),
                values: values(n, context))
            let scale = 1 / Float(heads.size).squareRoot()
            let window = configuration.windows[index]
            if let cache = context.cache {
                return cache.attend(
                    input, layer: index, offsets: batch.offsets, heads: heads, scale: scale, window: window)
            }
            return attention(
                input, prefix: prefix, offsets: batch.offsets, chains: batch.chains, heads: heads, scale: scale,
                isCausal: true,
                window: window, dropout: context.dropout(configuration.attentionDropout))
        }
    }
}
