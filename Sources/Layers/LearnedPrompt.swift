public import Batches
import Diagnostics
public import Tensors

/// What a method puts into a model's sequences beside their tokens: virtual tokens, or keys and values in front of every
/// layer's own.
public protocol LearnedPrompt: AnyObject {
    /// Virtual tokens in front of every sequence.
    var leadingCount: Int { get }

    /// Virtual tokens that stand where the data's template puts them.
    var placedCount: Int { get }

    /// Keys and values in front of each layer's own.
    var prefixCount: Int { get }

    /// The vectors of the virtual tokens, [leadingCount + placedCount, width]; nil where there are none. Computed once a
    /// pass.
    func embeddings(_ context: ForwardContext) -> Tensor?

    /// The keys and values in front of each layer's own, [prefixCount, width of all key/value heads]. Computed once a pass.
    func prefixes(_ context: ForwardContext) -> LayerPrefixes
}

/// Keys and values in front of those of a model's attentions, layer by layer; empty where there are none.
public struct LayerPrefixes {
    /// Of the layers that predict.
    public var own: [KeyValuePrefix] = []
    /// Of their attention to what an encoder read.
    public var sources: [KeyValuePrefix] = []
    /// Of the encoder's layers.
    public var encoder: [KeyValuePrefix] = []

    public init(own: [KeyValuePrefix] = [], sources: [KeyValuePrefix] = [], encoder: [KeyValuePrefix] = []) {
        self.own = own
        self.sources = sources
        self.encoder = encoder
    }
}

extension LearnedPrompt {
    public var leadingCount: Int { 0 }
    public var placedCount: Int { 0 }
    public var prefixCount: Int { 0 }
    public func embeddings(_ context: ForwardContext) -> Tensor? { nil }
    public func prefixes(_ context: ForwardContext) -> LayerPrefixes { LayerPrefixes() }

    /// By how much the positions of the data's tokens grow.
    public var positionOffset: Int { leadingCount + prefixCount }
}

/// The sizes of a model that a learned prompt must fit.
public struct PromptShape: Sendable, Hashable {
    public let width: Int
    /// The layers that predict.
    public let layerCount: Int
    /// The layers of an encoder; nil where there is none.
    public let encoderLayerCount: Int?
    public let heads: AttentionHeads
    /// The most rows, virtual ones included, that a sequence can have.
    public let positionCount: Int
    /// The configuration's name for that, such as `n_positions`.
    public let positionKey: String

    public init(
        width: Int, layerCount: Int, encoderLayerCount: Int? = nil, heads: AttentionHeads, positionCount: Int,
        positionKey: String
    ) {
        self.width = width
        self.layerCount = layerCount
        self.encoderLayerCount = encoderLayerCount
        self.heads = heads
        self.positionCount = positionCount
        self.positionKey = positionKey
    }
}

/// A batch as the model computes it once its prompt is in it.
public struct PromptedBatch {
    public let batch: TokenBatch
    /// The rows that are wanted; nil for all.
    public let rows: [Int]?
    /// The vectors of the virtual tokens in the batch.
    public let virtualTable: Tensor?
    /// By layer; empty where there is no prefix.
    public let prefixes: [KeyValuePrefix]

    /// The batch with `prompt` in it: virtual tokens in front, where sequences begin, and positions behind them.
    ///
    /// - Parameter rows: The rows of `batch` that are wanted; nil for all.
    public init(_ batch: TokenBatch, rows: [Int]?, _ prompt: (any LearnedPrompt)?, _ context: ForwardContext) {
        let hasVirtualTokens = batch.tokens.contains { $0 < 0 }
        guard let prompt else {
            require(!hasVirtualTokens, "PromptedBatch: virtual tokens without a prompt")
            (self.batch, self.rows, virtualTable, prefixes) = (batch, rows, nil, [])
            return
        }
        let lengths = context.cache?.lengths
        let isBeginning = { (sequence: Int) in (lengths?[sequence] ?? 0) == 0 && prompt.leadingCount > 0 }
        let beginnings = (0..<batch.sequenceCount).contains(where: isBeginning)
        virtualTable = hasVirtualTokens || beginnings ? prompt.embeddings(context) : nil
        // A cache already holds the prefix.
        prefixes = context.cache == nil ? prompt.prefixes(context).own : []
        if prompt.positionOffset == 0 {
            (self.batch, self.rows) = (batch, rows)
        } else {
            let (whole, places) = batch.prepending(
                virtualTokens: prompt.leadingCount, positionOffset: prompt.positionOffset, whereBeginning: isBeginning)
            self.batch = whole
            self.rows = beginnings ? rows?.map { places[$0] } ?? places : rows
        }
    }
}
