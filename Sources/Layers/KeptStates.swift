import Diagnostics
public import Tensors

/// A place in a model that states can be taken from and put back at, so that what lies below needn't be computed again.
public struct StatePlace: Sendable, Hashable {
    /// The block whose input they are, counted from 0; the number of blocks for the norm behind them, and one more for
    /// the head. With an encoder those of the decoder.
    public let block: Int
    public let blockCount: Int
    /// The same of an encoder, where one more than its blocks means all of it; nil where there is none.
    public let encoderBlock: Int?
    public let encoderBlockCount: Int

    public init(block: Int, of blockCount: Int, encoderBlock: Int? = nil, ofEncoder encoderBlockCount: Int = 0) {
        require(
            block >= 0 && block <= blockCount + 1 && encoderBlock ?? 0 >= 0
                && encoderBlock ?? 0 <= encoderBlockCount + 1
                && (block == 0 || encoderBlock == nil || encoderBlock == encoderBlockCount + 1),
            "StatePlace: block \(block) of \(blockCount), \(encoderBlock ?? -1) of an encoder's \(encoderBlockCount)")
        self.block = block
        self.blockCount = blockCount
        self.encoderBlock = encoderBlock
        self.encoderBlockCount = encoderBlockCount
    }

    /// Whether no block is left above, so that only the rows that are wanted have a state.
    public var isBehindBlocks: Bool { block >= blockCount }
    /// Whether states of the rows that predict are part of it.
    public var hasOwn: Bool { encoderBlock == nil || block > 0 }
    /// Whether an encoder's states are part of it.
    public var hasSources: Bool { encoderBlock != nil && !isBehindBlocks }
}

/// Hidden states of a batch at a place, from which a pass goes on.
public struct KeptStates {
    public let place: StatePlace
    /// Of the rows that predict, [rows, width]: all rows of the batch, those that are wanted where no block is left above.
    public let own: Tensor?
    /// Of the rows that an encoder reads, [rows of the sources, width].
    public let sources: Tensor?

    public init(place: StatePlace, own: Tensor?, sources: Tensor?) {
        require(
            (own != nil) == place.hasOwn && (sources != nil) == place.hasSources,
            "KeptStates: \(own?.shape ?? []) and \(sources?.shape ?? []) at \(place)")
        self.place = place
        self.own = own
        self.sources = sources
    }
}
