public import Batches
public import Configuration
import Diagnostics
public import Layers
public import Tensors

/// GPT-2 (Radford et al. 2019): h = wte[token] + wpe[position]; in each block h ← h + attn(ln_1(h)), then
/// h ← h + mlp(ln_2(h)); logits = ln_f(h) · wteᵀ.
public final class GPT2: Architecture {
    public static let modelType = "gpt2"

    public static let classifierClass = "GPT2ForSequenceClassification"

    public let objective: Objective
    public var transformersClass: String { objective == .languageModel ? "GPT2LMHeadModel" : Self.classifierClass }
    public let outputLayerPath: String
    public private(set) var head: Linear
    public private(set) var modules: [NamedModule]
    public var prompt: (any LearnedPrompt)?

    public let location: String?
    private let configuration: GPT2Configuration

    public var computation: String { configuration.computation }
    private let ownParameters: [Parameter]
    public var tokenEmbedding: Parameter { tokens.weight }
    private let tokens: Embedding
    private let positions: Embedding
    /// Whether the head had the token embedding's weight from the start.
    private let isBuiltTied: Bool
    private let blocks: [Block]
    private let finalNorm: LayerNorm

    public init(configuration section: ConfigSection, source: any ParameterSource, objective: Objective) throws {
        let configuration = try GPT2Configuration(section) { source.warnings.append($0) }
        let root = ParameterScope(source)
        let scope = root["transformer"]
        let width = configuration.width
        let spread = Initializer.normal(standardDeviation: configuration.initializerRange)
        let table = [configuration.vocabularySize, width]
        tokens = Embedding(
            path: scope["wte"].path,
            weight: configuration.isHeadTied
                ? scope["wte"].parameter("weight", table, spread, otherwise: Self.headName)
                : scope["wte"].parameter("weight", table, spread))
        positions = Embedding(
            path: scope["wpe"].path,
            weight: scope["wpe"].parameter("weight", [configuration.positionCount, width], spread))
        blocks = (0..<configuration.layerCount).map { Block(scope["h"]["\($0)"], index: $0, configuration) }
        finalNorm = LayerNorm(scope["ln_f"], width: width, epsilon: configuration.normEpsilon)
        let headWeight: Parameter
        if let outputs = objective.outputCount {
            outputLayerPath = "score"
            headWeight = root["score"].optional("weight", [outputs, width], spread)
        } else {
            outputLayerPath = "lm_head"
            if !configuration.isHeadTied {
                headWeight = root["lm_head"].parameter("weight", table, spread)
            } else if let own = root["lm_head"].parameter("weight", differingFrom: tokens.weight) {
                headWeight = own
                root.warn(
                    "differs from the token embedding, though tie_word_embeddings says that they are one: both are kept",
                    about: own.name)
            } else {
                headWeight = tokens.weight
            }
        }
        head = Linear(path: outputLayerPath, weight: headWeight, bias: nil, isInputByOutput: false)
        self.configuration = configuration
        self.objective = objective
        location = source.location
        isBuiltTied = headWeight === tokens.weight
        ownParameters = root.parameters
        modules =
            [
                NamedModule(path: "transformer", kind: .container),
                NamedModule(path: "transformer.wte", kind: .embedding(tokens)),
                NamedModule(path: "transformer.wpe", kind: .embedding(positions)),
            ] + blocks.flatMap(\.modules) + [
                NamedModule(path: "transformer.ln_f", kind: .norm),
                NamedModule(path: outputLayerPath, kind: .linear(head)),
            ]
        let ignoresHead = objective != .languageModel
        try root.finish { Self.isBuffer($0) || (ignoresHead && $0 == Self.headName) }
    }

    private static let headName = "lm_head.weight"

    public var joins: [ResidualJoin] { blocks.flatMap(\.joins) }

    public var taskHead: Parameter? { objective == .languageModel ? nil : head.weight }
    public var isHeadTied: Bool { head.weight === tokenEmbedding }
    public var parameters: [Parameter] {
        isHeadTied || !isBuiltTied ? ownParameters : ownParameters + [head.weight]
    }

    public func untieHead() {
        if isHeadTied { setHead(Parameter(name: Self.headName, value: tokenEmbedding.value)) }
    }

    public func retieHead() {
        if isBuiltTied { setHead(tokenEmbedding) }
    }

    private func setHead(_ weight: Parameter) {
        head = Linear(path: outputLayerPath, weight: weight, bias: nil, isInputByOutput: false)
        modules[modules.count - 1] = NamedModule(path: outputLayerPath, kind: .linear(head))
    }

    public var vocabularySize: Int { configuration.vocabularySize }
    public var maximumLength: Int { configuration.positionCount - (prompt?.positionOffset ?? 0) }
    public var endOfTextIDs: [Int32] { configuration.endOfTextIDs }
    public var tiesHeadByConfiguration: Bool { configuration.isHeadTied }

    /// The causal masks that checkpoints of old releases hold beside the weights.
    private static func isBuffer(_ name: String) -> Bool {
        name.hasSuffix(".attn.bias") || name.hasSuffix(".attn.masked_bias")
    }

    public var defaultTargets: DefaultTargets {
        DefaultTargets(
            queriesAndValues: ["c_attn"], keysAndValues: ["c_attn"], feedForwardOutputs: ["mlp.c_proj"],
            norms: ["ln_1", "ln_2", "ln_f"])
    }

    public var promptShape: PromptShape {
        PromptShape(
            width: configuration.width, layerCount: configuration.layerCount, heads: configuration.heads,
            positionCount: configuration.positionCount)
    }

    public func states(_ batch: TokenBatch, rows: [Int]?, _ context: ForwardContext) -> Tensor {
        let prompted = PromptedBatch(batch, rows: rows, prompt, context)
        let (batch, rows) = (prompted.batch, prompted.rows)
        require(
            batch.positions.allSatisfy { $0 < configuration.positionCount }, "GPT2: a position past n_positions")
        var h = embedded(batch, virtualTable: prompted.virtualTable)
        if let choice = context.dropout(configuration.embeddingDropout) { h = dropout(h, choice) }
        for (index, block) in blocks.enumerated() {
            let isLast = index == blocks.count - 1
            let prefix = prompted.prefixes.isEmpty ? nil : prompted.prefixes[index]
            if isLast {
                // Its record is the first to be gone through: keeping it costs no more than computing it again.
                h = block(h, batch, prefix: prefix, rows: rows, context)
            } else {
                h = context.checkpointed { [h] in block(h, batch, prefix: prefix, rows: nil, $0) }
            }
        }
        if blocks.isEmpty, let rows { h = gatherRows(h, rows) }
        return finalNorm(h)
    }

    /// wte[token] + wpe[position], in one pass where neither has an adapter.
    private func embedded(_ batch: TokenBatch, virtualTable: Tensor?) -> Tensor {
        if tokens.adapter == nil, positions.adapter == nil {
            return embed(
                tokens: batch.tokens, positions: batch.positions, tokenTable: tokens.weight.value,
                virtualTable: virtualTable, positionTable: positions.weight.value)
        }
        require(virtualTable == nil, "GPT2: virtual tokens beside an adapter of the embedding")
        return addResidual(tokens(batch.tokens), positions(batch.positions), dropout: nil)
    }

    public func makeCache(sequences: Int, capacity: Int) -> KeyValueCache {
        let cache = KeyValueCache(
            layerCount: configuration.layerCount, sequences: sequences,
            capacity: capacity + (prompt?.positionOffset ?? 0), width: configuration.width)
        if sequences > 0, let prompt { cache.begin(with: prompt.prefixes(.inference())) }
        return cache
    }
}

extension GPT2 {
    /// One block: attention and feed-forward, each after a norm and added to the residual stream.
    private final class Block {
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
            joins = [ResidualJoin.SubLayer.attention, .feedForward].map {
                ResidualJoin(blockPath: scope.path, subLayer: $0, width: width)
            }
        }

        /// GPT-2's linear layers keep their weight as [inputs, outputs].
        private static func conv1D(_ scope: ParameterScope, _ inputs: Int, _ outputs: Int, _ spread: Float) -> Linear {
            let weight = scope.parameter("weight", [inputs, outputs], .normal(standardDeviation: spread))
            let bias = scope.parameter("bias", [outputs], .constant(0))
            return Linear(path: scope.path, weight: weight, bias: bias, isInputByOutput: true)
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
                .packed(qkv), prefix: prefix, offsets: batch.offsets, heads: heads, scale: scale, isCausal: true,
                dropout: context.dropout(configuration.attentionDropout))
        }
    }
}
