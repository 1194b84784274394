public import Batches
public import Configuration
import Diagnostics
public import Layers
public import Tensors

/// T5 (Raffel et al. 2020): an encoder and a decoder over one token embedding, h ← h + SelfAttention(n(h)), in the decoder
/// h ← h + EncDecAttention(n(h), e), then h ← h + FF(n(h)), with root-mean-square norms n, unscaled scores and a bias by
/// distance in each stack; logits = lm_head(n(h)), in T5 1.0 of n(h) / √width.
public class T5: Architecture {
    public class var modelType: String { "t5" }
    /// What the names of transformers' classes begin with.
    class var classPrefix: String { "T5" }
    class var traits: T5Traits { T5Traits() }

    public static var basePath: String { "" }
    public static var tokenTablePath: String { "shared" }
    public static var headPath: String { "lm_head" }
    public static var tiesHeadByDefault: Bool { true }

    public static var classifierClass: String { "\(classPrefix)ForSequenceClassification" }

    public var transformersClass: String { "\(Self.classPrefix)ForConditionalGeneration" }

    public let location: String?
    public let modules: [NamedModule]
    public var prompt: (any LearnedPrompt)?
    private let configuration: T5Configuration
    private let tokens: Embedding
    private let encoder: T5Stack
    private let decoder: T5Stack
    private let output: OutputHead

    public required init(
        configuration section: ConfigSection, source: any ParameterSource, objective: Objective
    ) throws {
        let configuration = try T5Configuration(section, Self.traits) { source.warnings.append($0) }
        guard objective == .languageModel else {
            throw Problem(
                "a model with an encoder and a decoder has no head for labels here: let it write them, with prompt and "
                    + "completion", file: source.location)
        }
        let root = ParameterScope(source)
        let vocabulary = Vocabulary(
            size: configuration.vocabularySize, width: configuration.width, headPath: Self.headPath, isHeadTied: true,
            initializer: .normal(standardDeviation: configuration.initializerFactor))
        tokens = vocabulary.embedding(root["shared"], otherwise: Self.tokenTableCopies)
        for name in Self.tokenTableCopies { root.copy(name, of: tokens.weight) }
        encoder = T5Stack(root["encoder"], configuration, isDecoder: false)
        decoder = T5Stack(root["decoder"], configuration, isDecoder: true)
        // T5 1.1's files say that the head has a weight of its own by leaving out what T5 1.0's head does.
        output = OutputHead(
            root, objective: objective, vocabulary: vocabulary, tokens: tokens,
            warnsOfOwnWeight: configuration.scalesOutput)
        self.configuration = configuration
        location = source.location
        modules =
            [
                NamedModule(
                    path: "shared", kind: .embedding(tokens),
                    obstacle:
                        "is read through other modules in transformers, so that nothing there would depend on it; "
                        + "single rows train by trainable_token_indices",
                    rowObstacle: output.isTied
                        ? nil
                        : "has a head beside it that peft takes for the same table: it would put the rows of the embedding "
                            + "there too")
            ] + encoder.modules + decoder.modules + [NamedModule(path: Self.headPath, kind: .linear(output.linear))]
        try root.finish { $0.hasSuffix(".EncDecAttention.relative_attention_bias.weight") }
    }

    public var objective: Objective { output.objective }
    public var head: Linear { output.linear }
    public var outputLayerPath: String { output.linear.path }
    public var joins: [ResidualJoin] { (encoder.blocks + decoder.blocks).flatMap(\.joins) }
    public var parameters: [Parameter] { output.parameters }
    public var tokenEmbedding: Parameter { tokens.weight }
    public var vocabularySize: Int { tokens.entryCount }
    public var taskHead: Parameter? { nil }
    public var isHeadTied: Bool { output.isTied }
    public func untieHead() { output.untie() }
    public func retieHead() { output.retie() }

    public static var unquantizedModules: [String] { ["wo"] }

    public static var tokenTableCopies: [String] { ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"] }

    /// Releases before 5 of transformers take `tie_word_embeddings` for what scales the head's input and for what makes the
    /// head the token embedding, whatever else the files say; so a head that isn't both has a weight of its own there, in
    /// which the scale is.
    public var storedHead: (any StoredTensor)? {
        if isStoredTied { return nil }
        guard configuration.scalesOutput else { return head.weight.value }
        let scaled = head.weight.tensor.copy()
        for i in 0..<scaled.count { scaled.data[i] *= outputScale }
        return scaled
    }

    public var headFields: [(key: String, value: Bool)] {
        let tie = configuration.writtenTie ?? true
        var fields: [(key: String, value: Bool)] = tie == isStoredTied ? [] : [("tie_word_embeddings", isStoredTied)]
        if let scale = configuration.writtenScale, scale != isStoredTied {
            fields.append(("scale_decoder_outputs", isStoredTied))
        }
        return fields
    }

    private var isStoredTied: Bool { isHeadTied && configuration.scalesOutput }

    /// What the states are multiplied by for a head that reads them scaled.
    private var outputScale: Float { 1 / Float(configuration.width).squareRoot() }

    public var computation: String { configuration.computation }
    public var endOfTextIDs: [Int32] { configuration.endOfTextIDs }
    public var dropoutKeys: [String] { configuration.dropout > 0 ? ["dropout_rate"] : [] }

    public var defaultTargets: DefaultTargets {
        DefaultTargets(
            queriesAndValues: ["q", "v"], rescaled: Self.traits.rescaled,
            feedForwardOutputs: Self.traits.feedForwardOutputs, norms: ["layer_norm", "final_layer_norm"],
            allocated: ["q", "k", "v", "o"] + Self.traits.innerLayers + ["wo"])
    }

    public func biases(_ role: BiasRole) -> [BiasPart] { [] }

    /// Positions are distances, of which the last bucket has all that are large, so that nothing limits a text.
    private static let positionCount = 1 << 30

    public var promptShape: PromptShape {
        PromptShape(
            width: configuration.width, layerCount: configuration.decoderLayerCount,
            encoderLayerCount: configuration.encoderLayerCount, heads: configuration.heads,
            positionCount: Self.positionCount, positionKey: "relative positions")
    }

    public var maximumLength: Int { Self.positionCount - (prompt?.positionOffset ?? 0) }

    public func batch(_ examples: [Example], sharingPrompts: Bool) -> TokenBatch {
        var batch = TokenBatch(examples)
        if sharingPrompts { batch.source = SourceRows(examples.compactMap(\.source)) }
        return batch
    }

    public func opening(_ prompt: [Int32]) -> [Int32] { [configuration.startTokenID] }

    public func states(_ batch: TokenBatch, rows: [Int]?, _ context: ForwardContext) -> Tensor {
        let prefixes = context.cache == nil ? prompt?.prefixes(context) ?? LayerPrefixes() : LayerPrefixes()
        let first = context.kept?.place.block ?? 0
        var memory: T5Memory?
        if context.cache == nil, first < decoder.blocks.count {
            memory = encoded(read(batch), prefixes, through: nil, context)
        }
        let h = decoded(batch, prefixes, memory, rows: rows, through: first..<decoder.blocks.count + 1, context)
        require(batch.parents.isEmpty, "\(Self.modelType): a decoder's texts go on from others")
        guard configuration.scalesOutput else { return h }
        return scaleColumns(h, by: Tensor(repeating: outputScale, [configuration.width]), bias: nil)
    }

    public func states(
        _ batch: TokenBatch, below place: StatePlace, rows: [Int]?, _ context: ForwardContext
    ) -> KeptStates {
        let prefixes = LayerPrefixes()
        let memory = encoded(
            read(batch), prefixes, through: place.encoderBlock.map { 0..<$0 }, context)
        var own: Tensor?
        if place.hasOwn {
            own = decoded(batch, prefixes, memory, rows: rows, through: 0..<place.block, context)
        }
        return KeptStates(place: place, own: own, sources: place.hasSources ? memory.states : nil)
    }

    public var trainedPlace: StatePlace? {
        guard prompt == nil else { return nil }
        let (encoderPath, decoderPath) = ("encoder.", "decoder.")
        let paths = trainedPaths
        let own = paths.filter { !$0.hasPrefix(encoderPath) }
        let (count, sourceCount) = (decoder.blocks.count, encoder.blocks.count)
        if own.contains(where: {
            !$0.hasPrefix(decoderPath) && $0 != Self.headPath && !$0.hasPrefix(Self.headPath + ".")
        }) {
            return nil
        }
        let sources = paths.filter { $0.hasPrefix(encoderPath) }
        let encoderBlock = sources.isEmpty ? sourceCount + 1 : lowest(of: sources, among: encoder.parts)
        if encoderBlock == 0 { return nil }
        let block = encoderBlock <= sourceCount ? 0 : lowest(of: own, among: decoder.parts + [Self.headPath])
        return StatePlace(block: block, of: count, encoderBlock: encoderBlock, ofEncoder: sourceCount)
    }

    /// What an encoder reads for a batch.
    private func read(_ batch: TokenBatch) -> SourceRows {
        guard let source = batch.source else { defect("\(Self.modelType): a batch without sources") }
        require(
            source.indices.count == batch.sequenceCount,
            "\(Self.modelType): \(source.indices.count) sources for \(batch.sequenceCount) sequences")
        return source
    }

    /// What some of the decoder's blocks, and its norm as one block more, make of a batch or of the states that are kept of
    /// it.
    private func decoded(
        _ batch: TokenBatch, _ prefixes: LayerPrefixes, _ memory: T5Memory?, rows: [Int]?, through parts: Range<Int>,
        _ context: ForwardContext
    ) -> Tensor {
        if let kept = context.kept?.own {
            let count = parts.lowerBound < decoder.blocks.count ? batch.rowCount : rows?.count ?? batch.rowCount
            require(kept.rowCount == count, "\(Self.modelType): states \(kept.shape) of \(count) rows")
        }
        return decoder(
            context.kept?.own ?? tokenRows(batch.tokens, batch.offsets, virtualTable: nil, context),
            offsets: batch.offsets, prefixes: prefixes,
            memory: memory, rows: rows, through: parts, context)
    }

    public func makeCache(prompts: [[Int32]], capacity: Int) -> KeyValueCache {
        let cache = KeyValueCache(
            layerCount: configuration.decoderLayerCount, sequences: prompts.count,
            capacity: capacity + (prompt?.prefixCount ?? 0), width: configuration.heads.keyValueWidth)
        if prompts.isEmpty { return cache }
        let context = ForwardContext.inference()
        let prefixes = prompt?.prefixes(context) ?? LayerPrefixes()
        if !prefixes.own.isEmpty { cache.begin(with: prefixes.own) }
        // Each by itself, so that what one gets doesn't depend on the others.
        let memories = prompts.map { encoded(SourceRows([$0]), prefixes, through: nil, context) }
        cache.remember(
            memories.map { memory in decoder.blocks.map { $0.keysAndValues(of: memory, prefixes, context) } })
        return cache
    }

    /// What the encoder makes of the sources, the prompt's virtual tokens in front, or of the states that are kept of them.
    ///
    /// - Parameter parts: Some of the encoder's blocks, and its norm as one block more; nil for all that is left.
    private func encoded(
        _ source: SourceRows, _ prefixes: LayerPrefixes, through parts: Range<Int>?, _ context: ForwardContext
    ) -> T5Memory {
        let leading = prompt?.leadingCount ?? 0
        let source = source.prepending(virtualTokens: leading)
        let hasVirtualTokens = source.tokens.contains { $0 < 0 }
        require(!hasVirtualTokens || prompt != nil, "\(Self.modelType): virtual tokens without a prompt")
        let table = hasVirtualTokens ? prompt?.embeddings(context) : nil
        let kept = context.kept?.sources
        if let kept {
            require(
                kept.rowCount == source.tokens.count,
                "\(Self.modelType): states \(kept.shape) of \(source.tokens.count) rows of sources")
        }
        let states = encoder(
            kept ?? tokenRows(source.tokens, source.offsets, virtualTable: table, context), offsets: source.offsets,
            prefixes: prefixes,
            memory: nil, rows: nil,
            through: parts ?? (context.kept?.place.encoderBlock ?? 0)..<encoder.blocks.count + 1, context)
        return T5Memory(states: states, source: source)
    }

    private func tokenRows(
        _ tokens: [Int32], _ offsets: [Int], virtualTable: Tensor?, _ context: ForwardContext
    ) -> Tensor {
        let h: Tensor
        if self.tokens.adapter != nil {
            require(virtualTable == nil, "\(Self.modelType): virtual tokens beside an adapter of the embedding")
            h = self.tokens(tokens)
        } else {
            h = embed(
                tokens: tokens, positions: Array(repeating: 0, count: tokens.count),
                tokenTable: self.tokens.weight.value, virtualTable: virtualTable, positionTable: nil)
        }
        let longest = zip(offsets, offsets.dropFirst()).reduce(0) { max($0, $1.1 - $1.0) }
        return context.noised(
            h, tokens: tokens, length: longest - (virtualTable == nil ? 0 : prompt?.leadingCount ?? 0))
    }
}

/// mT5 (Xue et al. 2021): T5 1.1 over many languages.
public final class MT5: T5 {
    public override class var modelType: String { "mt5" }
    override class var classPrefix: String { "MT5" }
    override class var traits: T5Traits {
        T5Traits(
            defaults: .init(
                vocabularySize: 250_112, innerWidth: 1024, layerCount: 8, headCount: 6, feedForward: "gated-gelu",
                startTokenID: 0), readsOutputScale: false, rescaled: ["k", "v", "wi_1"], feedForwardOutputs: [],
            innerLayers: ["wi_0", "wi_1"])
    }
}

/// What an encoder made of the sources of a batch.
struct T5Memory {
    /// [rows of the sources, width]
    let states: Tensor
    let source: SourceRows
}
