public import Tensors

/// The keys and values of the tokens that a model has already seen, for several sequences side by side.
public final class KeyValueCache {
    /// One layer's memory: for each sequence [capacity, key/value width].
    public final class Layer {
        public fileprivate(set) var keys: [Tensor]
        public fileprivate(set) var values: [Tensor]

        fileprivate init(sequences: Int, capacity: Int, width: Int) {
            keys = (0..<sequences).map { _ in Tensor(uninitialized: [capacity, width]) }
            values = (0..<sequences).map { _ in Tensor(uninitialized: [capacity, width]) }
        }
    }

    public let layers: [Layer]
    /// The most tokens that a sequence can have.
    public let capacity: Int
    /// How many tokens each sequence has so far; counted up once all layers have added a pass's tokens.
    public private(set) var lengths: [Int]

    public init(layerCount: Int, sequences: Int, capacity: Int, width: Int) {
        layers = (0..<layerCount).map { _ in Layer(sequences: sequences, capacity: capacity, width: width) }
        self.capacity = capacity
        lengths = Array(repeating: 0, count: sequences)
    }

    /// Attention of new tokens to themselves and to everything before them in their sequence.
    public func attend(_ qkv: Tensor, layer: Int, offsets: [Int], heads: AttentionHeads, scale: Float) -> Tensor {
        preconditionFailure("KeyValueCache: attention over \(layers[layer].keys.count) cached sequences")
    }
}
