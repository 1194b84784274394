public import Batches
public import Configuration
import Diagnostics
public import Layers
public import Tensors

/// GPT-2 (Radford et al. 2019): h = wte[token] + wpe[position]; in each block h ← h + attn(ln_1(h)), then
/// h ← h + mlp(ln_2(h)); logits = ln_f(h) · wteᵀ.
public final class GPT2: DecoderModel {
    public static let modelType = "gpt2"

    public static let basePath = "transformer"

    public static let tokenTablePath = "transformer.wte"
    public static let headPath = "lm_head"
    public static let tiesHeadByDefault = true

    public static let classifierClass = "GPT2ForSequenceClassification"

    public var transformersClass: String { objective == .languageModel ? "GPT2LMHeadModel" : Self.classifierClass }

    public let decoder: Decoder
    private let configuration: GPT2Configuration
    private let positions: Embedding
    private let finalNorm: LayerNorm

    public init(configuration section: ConfigSection, source: any ParameterSource, objective: Objective) throws {
        let configuration = try GPT2Configuration(section) { source.warnings.append($0) }
        let root = ParameterScope(source)
        let scope = root[Self.basePath]
        let width = configuration.width
        let spread = Initializer.normal(standardDeviation: configuration.initializerRange)
        let vocabulary = Vocabulary(
            size: configuration.vocabularySize, width: width, headPath: Self.headPath,
            isHeadTied: configuration.isHeadTied, initializer: spread)
        let tokens = vocabulary.embedding(scope["wte"])
        positions = Embedding(
            path: scope["wpe"].path,
            weight: scope["wpe"].parameter("weight", [configuration.positionCount, width], spread))
        let blocks = (0..<configuration.layerCount).map { Block(scope["h"]["\($0)"], index: $0, configuration) }
        finalNorm = LayerNorm(scope["ln_f"], width: width, epsilon: configuration.normEpsilon)
        self.configuration = configuration
        decoder = try Decoder(
            root, path: scope.path, objective: objective, location: source.location, vocabulary: vocabulary,
            tokens: tokens, others: [positions], blocks: blocks, norm: finalNorm.path, isIgnorable: Self.isBuffer)
    }

    public var computation: String { configuration.computation }
    public var endOfTextIDs: [Int32] { configuration.endOfTextIDs }
    public var tiesHeadByConfiguration: Bool { configuration.isHeadTied }
    public var dropoutKeys: [String] {
        let (embedding, residual) = (configuration.embeddingDropout, configuration.residualDropout)
        return [("embd_pdrop", embedding), ("attn_pdrop", configuration.attentionDropout), ("resid_pdrop", residual)]
            .filter { $0.1 > 0 }.map(\.0)
    }

    /// The causal masks that checkpoints of old releases hold beside the weights.
    private static func isBuffer(_ name: String) -> Bool {
        name.hasSuffix(".attn.bias") || name.hasSuffix(".attn.masked_bias")
    }

    public var defaultTargets: DefaultTargets {
        DefaultTargets(
            queriesAndValues: ["c_attn"], rescaled: ["c_attn"], feedForwardOutputs: ["mlp.c_proj"],
            norms: ["ln_1", "ln_2", "ln_f"])
    }

    public var promptShape: PromptShape {
        PromptShape(
            width: configuration.width, layerCount: configuration.layerCount, heads: configuration.heads,
            positionCount: configuration.positionCount, positionKey: "n_positions")
    }

    /// wte[token] + wpe[position], in one pass where neither has an adapter.
    public func embedded(_ batch: TokenBatch, virtualTable: Tensor?, _ context: ForwardContext) -> Tensor {
        let tokens = decoder.tokens
        var h: Tensor
        if tokens.adapter == nil, positions.adapter == nil {
            h = embed(
                tokens: batch.tokens, positions: batch.positions, tokenTable: tokens.weight.value,
                virtualTable: virtualTable, positionTable: positions.weight.value)
        } else {
            require(virtualTable == nil, "GPT2: virtual tokens beside an adapter of the embedding")
            h = addResidual(tokens(batch.tokens), positions(batch.positions), dropout: nil)
        }
        h = context.noised(h, tokens: batch.tokens, length: batch.longest)
        return context.dropout(configuration.embeddingDropout).map { dropout(h, $0) } ?? h
    }

    public func normalized(_ h: Tensor) -> Tensor { finalNorm(h) }
}

extension GPT2 {
    /// One block: attention and feed-forward, each after a norm and added to the residual stream.
    private final class Block: DecoderBlock {
        private let index: Int
        private let path: String
        private let configuration: GPT2Configuration
        private let attentionNorm: LayerNorm
        private let queryKeyValue: Linear
        private let attentionOutput: Linear
        private let feedForwardNorm: LayerNorm
        private let feedForward: Linear
        private let feedForwardOutput: Linear
        let joins: [ResidualJoin]

        init(_ scope: ParameterScope, index: Int, _ configuration: GPT2Configuration) {
            self.index = index
            self.configuration = configuration
            path = scope.path
            let (width, inner) = (configuration.width, configuration.innerWidth)
            let spread = configuration.initializerRange
            // The residual stream's variance grows with every sub-layer that is added to it (the paper, section 2.3).
            let residualSpread = spread / (2 * Float(configuration.layerCount)).squareRoot()
            attentionNorm = LayerNorm(scope["ln_1"], width: width, epsilon: configuration.normEpsilon)
            queryKeyValue = Self.conv1D(scope["attn"]["c_attn"], width, 3 * width, spread)
            attentionOutput = Self.conv1D(scope["attn"]["c_proj"], width, width, residualSpread)
            feedForwardNorm = LayerNorm(scope["ln_2"], width: width, epsilon: configuration.normEpsilon)
            feedForward = Self.conv1D(scope["mlp"]["c_fc"], width, inner, spread)
            feedForwardOutput = Self.conv1D(scope["mlp"]["c_proj"], inner, width, residualSpread)
            joins = ResidualJoin.ends(ofBlock: scope.path, layer: index, width: width)
        }

        /// GPT-2's linear layers keep their weight as [inputs, outputs].
        private static func conv1D(_ scope: ParameterScope, _ inputs: Int, _ outputs: Int, _ spread: Float) -> Linear {
            scope.linear(
                inputs: inputs, outputs: outputs, .normal(standardDeviation: spread), hasBias: true,
                isInputByOutput: true)
        }

        var modules: [NamedModule] {
            [
                NamedModule(path: path, kind: .container),
                NamedModule(path: attentionNorm.path, kind: .norm),
                NamedModule(path: "\(path).attn", kind: .container),
                NamedModule(path: queryKeyValue.path, kind: .linear(queryKeyValue)),
                NamedModule(path: attentionOutput.path, kind: .linear(attentionOutput)),
                NamedModule(path: feedForwardNorm.path, kind: .norm),
                NamedModule(path: "\(path).mlp", kind: .container),
                NamedModule(path: feedForward.path, kind: .linear(feedForward)),
                NamedModule(path: feedForwardOutput.path, kind: .linear(feedForwardOutput)),
            ]
        }

        /// h [rows, width] → h [rows wanted, width].
        func callAsFunction(
            _ h: Tensor, _ batch: TokenBatch, prefix: KeyValuePrefix?, rows: [Int]?, _ context: ForwardContext
        ) -> Tensor {
            var h = h
            var n = attentionNorm(h)
            var a = attend(queryKeyValue(n, context), batch, prefix: prefix, context)
            if let rows {
                a = gatherRows(a, rows)
                h = gatherRows(h, rows)
                if joins[0].adapter != nil { n = gatherRows(n, rows) }
            }
            h = joins[0](
                residual: h, normalized: n, output: attentionOutput(a, context),
                dropout: context.dropout(configuration.residualDropout), context)
            n = feedForwardNorm(h)
            let f = feedForward(n, context, activation: configuration.activation)
            return joins[1](
                residual: h, normalized: n, output: feedForwardOutput(f, context, isLast: joins[1].adapter == nil),
                dropout: context.dropout(configuration.residualDropout), context)
        }

        private func attend(
            _ qkv: Tensor, _ batch: TokenBatch, prefix: KeyValuePrefix?, _ context: ForwardContext
        ) -> Tensor {
            let scale = configuration.attentionScale(layer: index)
            let heads = configuration.heads
            if let cache = context.cache {
                return cache.attend(.packed(qkv), layer: index, offsets: batch.offsets, heads: heads, scale: scale)
            }
            return attention(
                .packed(qkv), prefix: prefix, offsets: batch.offsets, chains: batch.chains, heads: heads, scale: scale,
                isCausal: true,
                dropout: context.dropout(configuration.attentionDropout))
        }
    }
}
