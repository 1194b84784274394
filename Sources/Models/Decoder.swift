public import Batches
import Diagnostics
public import Layers
public import Tensors

/// What language models that read from left to right have in common: a token embedding, blocks one after the other, a norm,
/// and a head.
public final class Decoder {
    let location: String?
    let tokens: Embedding
    let output: OutputHead
    let modules: [NamedModule]
    let blocks: [any DecoderBlock]
    let normPath: String
    var prompt: (any LearnedPrompt)?

    /// Takes the head from `root`, when all else has been asked for, and ends the building.
    ///
    /// - Parameters:
    ///   - path: Of the module that holds everything but the head.
    ///   - table: The token embedding, as `Vocabulary` made it.
    ///   - others: Embeddings beside that of the tokens.
    ///   - isIgnorable: Whether a tensor that nobody asked for is of no account.
    /// - Throws: `Problems` for missing and misshapen tensors.
    init(
        _ root: ParameterScope, path: String, objective: Objective, location: String?, vocabulary: Vocabulary,
        tokens: Embedding, others: [Embedding] = [], blocks: [any DecoderBlock], norm: String,
        isIgnorable: (String) -> Bool
    ) throws {
        let output = OutputHead(root, objective: objective, vocabulary: vocabulary, tokens: tokens)
        self.output = output
        self.location = location
        self.tokens = tokens
        self.blocks = blocks
        normPath = norm
        modules =
            [NamedModule(path: path, kind: .container)]
            + ([tokens] + others).map { NamedModule(path: $0.path, kind: .embedding($0)) }
            + blocks.flatMap(\.modules) + [
                NamedModule(path: norm, kind: .norm),
                NamedModule(path: output.linear.path, kind: .linear(output.linear)),
            ]
        try root.finish { isIgnorable($0) || $0 == output.unusedName }
    }
}

extension Decoder {
    /// The rows of the token embedding, and of `virtualTable` those of tokens −1 − k; for models without a table of
    /// positions.
    func embedded(_ batch: TokenBatch, virtualTable: Tensor?, _ context: ForwardContext) -> Tensor {
        let h: Tensor
        if tokens.adapter == nil {
            h = embed(
                tokens: batch.tokens, positions: batch.positions, tokenTable: tokens.weight.value,
                frozen: tokens.paddingIndex, virtualTable: virtualTable, positionTable: nil)
        } else {
            require(virtualTable == nil, "Decoder: virtual tokens beside an adapter of \(tokens.path)")
            h = tokens(batch.tokens)
        }
        return context.noised(h, tokens: batch.tokens, length: batch.longest)
    }
}

/// One of a decoder's blocks, attention and feed-forward.
protocol DecoderBlock: AnyObject {
    /// The block itself first.
    var modules: [NamedModule] { get }
    var joins: [ResidualJoin] { get }

    /// h [rows, width] → h [rows wanted, width].
    func callAsFunction(
        _ h: Tensor, _ batch: TokenBatch, prefix: KeyValuePrefix?, rows: [Int]?, _ context: ForwardContext
    ) -> Tensor
}

/// A family of decoders: what it embeds and how its last norm computes; the rest comes from its `decoder`.
public protocol DecoderModel: Architecture {
    var decoder: Decoder { get }

    /// The blocks' input, [rows, width]; a token −1 − k is row k of `virtualTable`.
    func embedded(_ batch: TokenBatch, virtualTable: Tensor?, _ context: ForwardContext) -> Tensor

    /// The head's input.
    func normalized(_ h: Tensor) -> Tensor

    /// Whether the configuration says that the language model's head is the token embedding, whatever the file holds.
    var tiesHeadByConfiguration: Bool { get }
}

extension DecoderModel {
    public var objective: Objective { decoder.output.objective }
    public var location: String? { decoder.location }
    public var head: Linear { decoder.output.linear }
    public var outputLayerPath: String { decoder.output.linear.path }
    public var modules: [NamedModule] { decoder.modules }
    public var joins: [ResidualJoin] { decoder.blocks.flatMap(\.joins) }
    public var parameters: [Parameter] { decoder.output.parameters }
    public var tokenEmbedding: Parameter { decoder.tokens.weight }
    public var vocabularySize: Int { decoder.tokens.entryCount }
    public var taskHead: Parameter? { decoder.output.taskWeight }
    public var isHeadTied: Bool { decoder.output.isTied }
    public func untieHead() { decoder.output.untie() }
    public func retieHead() { decoder.output.retie() }

    public var headFields: [(key: String, value: Bool)] {
        taskHead == nil && tiesHeadByConfiguration && !isHeadTied ? [("tie_word_embeddings", false)] : []
    }

    public var prompt: (any LearnedPrompt)? {
        get { decoder.prompt }
        set { decoder.prompt = newValue }
    }

    public var maximumLength: Int { promptShape.positionCount - (decoder.prompt?.positionOffset ?? 0) }

    public func batch(_ examples: [Example], sharingPrompts: Bool) -> TokenBatch {
        sharingPrompts ? TokenBatch(sharing: examples) : TokenBatch(examples)
    }

    public func states(_ batch: TokenBatch, rows: [Int]?, _ context: ForwardContext) -> Tensor {
        let prompted = PromptedBatch(batch, rows: rows, decoder.prompt, context)
        let first = context.kept?.place.block ?? 0
        return passed(prompted, through: first..<decoder.blocks.count + 1, context)
    }

    public func states(
        _ batch: TokenBatch, below place: StatePlace, rows: [Int]?, _ context: ForwardContext
    ) -> KeptStates {
        let prompted = PromptedBatch(batch, rows: rows, nil, context)
        return KeptStates(place: place, own: passed(prompted, through: 0..<place.block, context), sources: nil)
    }

    /// What the blocks of some numbers, and the norm as one block more, make of a batch: of its tokens, or of the states that
    /// are kept of it.
    private func passed(_ prompted: PromptedBatch, through parts: Range<Int>, _ context: ForwardContext) -> Tensor {
        let (batch, rows) = (prompted.batch, prompted.rows)
        let positionCount = promptShape.positionCount
        require(
            context.cache == nil || batch.parents.isEmpty,
            "\(Self.modelType): a cache of sequences that go on from others")
        require(
            batch.positions.allSatisfy { $0 < positionCount },
            "\(Self.modelType): position \(batch.positions.max() ?? 0) of \(positionCount)")
        let blocks = decoder.blocks
        var h: Tensor
        if let kept = context.kept?.own {
            let count = parts.lowerBound < blocks.count ? batch.rowCount : rows?.count ?? batch.rowCount
            require(kept.rowCount == count, "\(Self.modelType): states \(kept.shape) of \(count) rows")
            h = kept
        } else {
            h = embedded(batch, virtualTable: prompted.virtualTable, context)
            if blocks.isEmpty, let rows { h = gatherRows(h, rows) }
        }
        for index in parts {
            if index == blocks.count {
                h = normalized(h)
                continue
            }
            let prefix = prompted.prefixes.isEmpty ? nil : prompted.prefixes[index]
            if index == blocks.count - 1 {
                // Its record is the first to be gone through: keeping it costs no more than computing it again.
                h = blocks[index](h, batch, prefix: prefix, rows: rows, context)
            } else {
                h = context.checkpointed { [h] in blocks[index](h, batch, prefix: prefix, rows: nil, $0) }
            }
        }
        return h
    }

    public var trainedPlace: StatePlace? {
        guard decoder.prompt == nil else { return nil }
        let parts = decoder.blocks.map { $0.modules[0].path } + [decoder.normPath, decoder.output.linear.path]
        let block = lowest(of: trainedPaths, among: parts)
        return block == 0 ? nil : StatePlace(block: block, of: decoder.blocks.count)
    }

    public func opening(_ prompt: [Int32]) -> [Int32] { prompt }

    public func makeCache(prompts: [[Int32]], capacity: Int) -> KeyValueCache {
        let shape = promptShape
        let sequences = prompts.count
        let cache = KeyValueCache(
            layerCount: shape.layerCount, sequences: sequences,
            capacity: capacity + (decoder.prompt?.positionOffset ?? 0), width: shape.heads.keyValueWidth)
        if sequences > 0, let prompt = decoder.prompt { cache.begin(with: prompt.prefixes(.inference()).own) }
        let leading = decoder.prompt?.leadingCount ?? 0
        cache.read(prompts.map { $0.count + leading }, behind: decoder.prompt?.prefixCount ?? 0)
        return cache
    }
}
