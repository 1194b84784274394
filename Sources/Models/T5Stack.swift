import Batches
import Diagnostics
import Layers
import Tensors

/// T5's encoder or its decoder: blocks one after the other and a norm, with dropout before the first and behind the last.
final class T5Stack {
    let blocks: [T5Block]
    private let path: String
    private let isDecoder: Bool
    private let dropoutProbability: Float
    private let positions: RelativePositions?
    private let finalNorm: RMSNorm

    init(_ scope: ParameterScope, _ configuration: T5Configuration, isDecoder: Bool) {
        path = scope.path
        self.isDecoder = isDecoder
        dropoutProbability = configuration.dropout
        let count = isDecoder ? configuration.decoderLayerCount : configuration.encoderLayerCount
        blocks = (0..<count).map {
            T5Block(scope["block"]["\($0)"], index: $0, configuration, isDecoder: isDecoder)
        }
        positions = blocks.first?.relativePositions
        finalNorm = RMSNorm(
            scope["final_layer_norm"], width: configuration.width, epsilon: configuration.normEpsilon,
            initially: configuration.initializerFactor)
    }

    var modules: [NamedModule] {
        [NamedModule(path: path, kind: .container)] + blocks.flatMap(\.modules)
            + [NamedModule(path: finalNorm.path, kind: .norm)]
    }

    /// The paths of the blocks and of the norm behind them.
    var parts: [String] { blocks.map { $0.modules[0].path } + [finalNorm.path] }

    /// x [rows, width] → [rows wanted, width].
    ///
    /// - Parameter parts: The numbers of the blocks that x goes through, the norm as one more; x is what comes before the
    ///   first of them.
    func callAsFunction(
        _ x: Tensor, offsets: [Int], prefixes: LayerPrefixes, memory: T5Memory?, rows: [Int]?,
        through parts: Range<Int>,
        _ context: ForwardContext
    ) -> Tensor {
        func dropped(_ x: Tensor) -> Tensor { context.dropout(dropoutProbability).map { dropout(x, $0) } ?? x }
        var h = x
        if parts.lowerBound == 0 {
            h = dropped(x)
            if blocks.isEmpty, let rows { h = gatherRows(h, rows) }
        }
        let own = isDecoder ? prefixes.own : prefixes.encoder
        let before = context.cache?.lengths ?? Array(repeating: own.first?.count ?? 0, count: offsets.count - 1)
        let longest = offsets.indices.dropLast().map { offsets[$0 + 1] - offsets[$0] + before[$0] }.max() ?? 0
        let bias = parts.lowerBound < blocks.count ? positions?.bias(keys: longest) : nil
        for index in parts {
            if index == blocks.count {
                h = dropped(finalNorm(h))
                continue
            }
            let block = blocks[index]
            let parts = T5Block.Parts(
                offsets: offsets, bias: bias, prefix: own.isEmpty ? nil : own[index],
                sourcePrefix: prefixes.sources.isEmpty ? nil : prefixes.sources[index], memory: memory)
            if index == blocks.count - 1 {
                // Its record is the first to be gone through: keeping it costs no more than computing it again.
                h = block(h, parts, rows: rows, context)
            } else {
                h = context.checkpointed { [h] in block(h, parts, rows: nil, $0) }
            }
        }
        return h
    }
}

/// One of T5's blocks: self-attention, in a decoder attention to what the encoder made, and feed-forward, each after a norm
/// and added to the residual stream.
final class T5Block {
    /// What a pass has for a block beside its input.
    struct Parts {
        let offsets: [Int]
        let bias: AttentionBias?
        let prefix: KeyValuePrefix?
        let sourcePrefix: KeyValuePrefix?
        /// nil for an encoder, and where a cache has its keys and values.
        let memory: T5Memory?
    }

    /// q, k, v and o of an attention, and the norm before it.
    private struct Attention {
        let path: String
        let norm: RMSNorm
        let queries, keys, values, output: Linear

        init(_ scope: ParameterScope, _ name: String, _ configuration: T5Configuration) {
            let (width, inner) = (configuration.width, configuration.heads.outputWidth)
            let attention = scope[name]
            path = attention.path
            let factor = configuration.initializerFactor
            func linear(_ name: String, _ inputs: Int, _ outputs: Int, _ scale: Int) -> Linear {
                T5Block.linear(attention[name], inputs, outputs, factor / Float(scale).squareRoot())
            }
            queries = linear("q", width, inner, width * configuration.heads.size)
            keys = linear("k", width, inner, width)
            values = linear("v", width, inner, width)
            output = linear("o", inner, width, inner)
            norm = RMSNorm(
                scope["layer_norm"], width: width, epsilon: configuration.normEpsilon, initially: factor)
        }

        var modules: [NamedModule] {
            [NamedModule(path: path, kind: .container)]
                + [queries, keys, values, output].map { NamedModule(path: $0.path, kind: .linear($0)) }
        }
    }

    private let index: Int
    private let path: String
    private let configuration: T5Configuration
    private let isDecoder: Bool
    private let own: Attention
    private let source: Attention?
    /// wi_0, whose activation is multiplied by wi_1's output; wi alone where nothing is multiplied.
    private let inner: [Linear]
    private let innerOutput: Linear
    private let feedForwardNorm: RMSNorm
    private let layerPaths: [String]
    let joins: [ResidualJoin]
    /// Where the bias by distance comes from, in the first block.
    let relativePositions: RelativePositions?

    init(_ scope: ParameterScope, index: Int, _ configuration: T5Configuration, isDecoder: Bool) {
        self.index = index
        self.configuration = configuration
        self.isDecoder = isDecoder
        path = scope.path
        let layers = (0..<3).map { scope["layer"]["\($0)"] }
        let last = isDecoder ? 2 : 1
        own = Attention(layers[0], "SelfAttention", configuration)
        let factor = configuration.initializerFactor
        if index == 0 {
            let table = layers[0]["SelfAttention"]["relative_attention_bias"]
            relativePositions = RelativePositions(
                table: Embedding(
                    path: table.path,
                    weight: table.parameter(
                        "weight", [configuration.bucketCount, configuration.heads.count],
                        .normal(standardDeviation: factor / Float(configuration.width).squareRoot()))),
                isBidirectional: !isDecoder, maximum: configuration.maximumDistance)
        } else {
            relativePositions = nil
        }
        source = isDecoder ? Attention(layers[1], "EncDecAttention", configuration) : nil
        let feedForward = layers[last]["DenseReluDense"]
        let (width, innerWidth) = (configuration.width, configuration.innerWidth)
        let spread = factor / Float(width).squareRoot()
        inner = (configuration.isGated ? ["wi_0", "wi_1"] : ["wi"]).map {
            Self.linear(feedForward[$0], width, innerWidth, spread)
        }
        innerOutput = Self.linear(feedForward["wo"], innerWidth, width, factor / Float(innerWidth).squareRoot())
        feedForwardNorm = RMSNorm(
            layers[last]["layer_norm"], width: width, epsilon: configuration.normEpsilon, initially: factor)
        layerPaths = layers.prefix(last + 1).map(\.path)
        let number = (isDecoder ? configuration.encoderLayerCount : 0) + index
        let subLayers: [ResidualJoin.SubLayer] =
            isDecoder ? [.attention, .sourceAttention, .feedForward] : [.attention, .feedForward]
        joins = zip(layers, subLayers).map {
            ResidualJoin(adapterPath: $0.path, layer: number, subLayer: $1, width: width)
        }
    }

    private static func linear(_ scope: ParameterScope, _ inputs: Int, _ outputs: Int, _ spread: Float) -> Linear {
        scope.linear(inputs: inputs, outputs: outputs, .normal(standardDeviation: spread), hasBias: false)
    }

    var modules: [NamedModule] {
        var modules = [NamedModule(path: path, kind: .container)]
        func add(_ path: String, _ norm: RMSNorm, _ others: [NamedModule]) {
            modules +=
                [NamedModule(path: path, kind: .container)] + others + [NamedModule(path: norm.path, kind: .norm)]
        }
        let table = relativePositions.map { NamedModule(path: $0.table.path, kind: .embedding($0.table)) }
        add(layerPaths[0], own.norm, own.modules + [table].compactMap { $0 })
        if let source { add(layerPaths[1], source.norm, source.modules) }
        let last = layerPaths[layerPaths.count - 1]
        add(
            last, feedForwardNorm,
            [NamedModule(path: "\(last).DenseReluDense", kind: .container)]
                + (inner + [innerOutput]).map { NamedModule(path: $0.path, kind: .linear($0)) })
        return modules
    }

    /// h [rows, width] → h [rows wanted, width].
    func callAsFunction(_ h: Tensor, _ parts: Parts, rows: [Int]?, _ context: ForwardContext) -> Tensor {
        var (h, n) = (h, own.norm(h))
        var a = attend(n, parts, context)
        var offsets = parts.offsets
        if let rows {
            (a, h) = (gatherRows(a, rows), gatherRows(h, rows))
            if joins[0].adapter != nil { n = gatherRows(n, rows) }
            offsets = offsets.map { end in rows.partitioningIndex { $0 >= end } }
        }
        h = join(0, h, n, own.output(a, context), context)
        if let source {
            n = source.norm(h)
            a = attend(source, n, offsets: offsets, parts, context)
            h = join(1, h, n, source.output(a, context), context)
        }
        n = feedForwardNorm(h)
        var f: Tensor
        if inner.count == 2 {
            f = gatedProduct(inner[0](n, context), inner[1](n, context), activation: configuration.activation)
        } else {
            f = inner[0](n, context, activation: configuration.activation)
        }
        if let choice = context.dropout(configuration.dropout) { f = dropout(f, choice) }
        let last = joins.count - 1
        return join(last, h, n, innerOutput(f, context, isLast: joins[last].adapter == nil), context)
    }

    private func join(_ index: Int, _ h: Tensor, _ n: Tensor, _ output: Tensor, _ context: ForwardContext) -> Tensor {
        joins[index](
            residual: h, normalized: n, output: output, dropout: context.dropout(configuration.dropout), context)
    }

    private func attend(_ n: Tensor, _ parts: Parts, _ context: ForwardContext) -> Tensor {
        let input = AttentionInput.separate(
            queries: own.queries(n, context), keys: own.keys(n, context), values: own.values(n, context))
        let heads = configuration.heads
        if isDecoder, let cache = context.cache {
            return cache.attend(
                input, layer: index, offsets: parts.offsets, heads: heads, scale: 1, bias: parts.bias)
        }
        return attention(
            input, prefix: parts.prefix, offsets: parts.offsets, heads: heads, scale: 1, isCausal: isDecoder,
            bias: parts.bias, dropout: context.dropout(configuration.dropout))
    }

    private func attend(
        _ source: Attention, _ n: Tensor, offsets: [Int], _ parts: Parts, _ context: ForwardContext
    ) -> Tensor {
        let queries = source.queries(n, context)
        let heads = configuration.heads
        if let cache = context.cache {
            return cache.attendToSources(queries, layer: index, offsets: offsets, heads: heads, scale: 1)
        }
        guard let memory = parts.memory else { defect("T5: a decoder without what an encoder made") }
        return attention(
            .separate(
                queries: queries, keys: source.keys(memory.states, context),
                values: source.values(memory.states, context)), prefix: parts.sourcePrefix, offsets: offsets,
            keyOffsets: memory.source.offsets, chains: memory.source.chains, heads: heads, scale: 1, isCausal: false,
            dropout: context.dropout(configuration.dropout))
    }

    /// The keys and values of the one source of `memory`, behind those of a prefix.
    func keysAndValues(of memory: T5Memory, _ prefixes: LayerPrefixes, _ context: ForwardContext) -> KeyValuePrefix {
        guard let source else { defect("T5: an encoder attends to no sources") }
        let own = KeyValuePrefix(
            keys: source.keys(memory.states, context), values: source.values(memory.states, context))
        return prefixes.sources.isEmpty ? own : prefixes.sources[index].followed(by: own)
    }
}

extension KeyValuePrefix {
    /// These keys and values with others behind them, without record.
    fileprivate func followed(by other: KeyValuePrefix) -> KeyValuePrefix {
        func joined(_ a: Tensor, _ b: Tensor) -> Tensor {
            let whole = Tensor(uninitialized: [a.rowCount + b.rowCount, a.columnCount])
            whole.data.update(from: a.data, count: a.count)
            (whole.data + a.count).update(from: b.data, count: b.count)
            return whole
        }
        return KeyValuePrefix(keys: joined(keys, other.keys), values: joined(values, other.values))
    }
}

extension [Int] {
    /// The first index of ascending elements from which on all satisfy `isBehind`.
    fileprivate func partitioningIndex(where isBehind: (Int) -> Bool) -> Int { firstIndex(where: isBehind) ?? count }
}
