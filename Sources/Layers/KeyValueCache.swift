import Diagnostics
public import Tensors

/// The keys and values of the tokens that a model has already seen, for several sequences side by side.
///
/// Sequences may have different lengths, leave at any time, and be joined with those of another cache.
public final class KeyValueCache {
    /// The memory of one sequence: for each layer [capacity, width of all key/value heads].
    private struct Sequence {
        var keys: [Tensor]
        var values: [Tensor]
        var length = 0
    }

    private let layerCount: Int
    private var sequences: [Sequence]

    /// Room for `sequences` sequences of at most `capacity` tokens, empty at first.
    public init(layerCount: Int, sequences: Int, capacity: Int, width: Int) {
        self.layerCount = layerCount
        self.sequences = (0..<sequences).map { _ in
            Sequence(
                keys: (0..<layerCount).map { _ in Tensor(uninitialized: [capacity, width]) },
                values: (0..<layerCount).map { _ in Tensor(uninitialized: [capacity, width]) })
        }
    }

    /// Puts keys and values, layer by layer, in front of those that every sequence will have; all are empty so far.
    public func begin(with prefixes: [KeyValuePrefix]) {
        guard let length = prefixes.first?.count else { return }
        require(
            prefixes.count == layerCount && sequences.allSatisfy { $0.length == 0 },
            "KeyValueCache: \(prefixes.count) prefixes for \(layerCount) layers")
        for index in sequences.indices {
            let sequence = sequences[index]
            for (prefix, (keys, values)) in zip(prefixes, zip(sequence.keys, sequence.values)) {
                require(
                    prefix.keys.columnCount == keys.columnCount && length <= keys.rowCount,
                    "KeyValueCache: a prefix \(prefix.keys.shape) in \(keys.shape)")
                keys.data.update(from: prefix.keys.data, count: prefix.keys.count)
                values.data.update(from: prefix.values.data, count: prefix.values.count)
            }
            sequences[index].length = length
        }
    }

    /// How many sequences there are.
    public var count: Int { sequences.count }
    /// How many tokens each sequence has; counted up once the last layer has added a pass's tokens.
    public var lengths: [Int] { sequences.map(\.length) }

    /// Takes over the sequences of another cache of the same model, behind the own ones; the other one is empty then.
    public func append(_ other: KeyValueCache) {
        require(other.layerCount == layerCount, "KeyValueCache: \(layerCount) and \(other.layerCount) layers")
        sequences += other.sequences
        other.sequences = []
    }

    /// Drops all sequences but those at `indices`, which ascend.
    public func keep(_ indices: [Int]) { sequences = indices.map { sequences[$0] } }

    /// Adds the keys and values of a pass's new tokens to layer `layer`, and lets their queries attend to all tokens of
    /// their sequences so far.
    ///
    /// `qkv` is [rows, packed width] with the rows offsets[s]..<offsets[s + 1] for sequence s; returns
    /// [rows, output width].
    public func attend(_ qkv: Tensor, layer: Int, offsets: [Int], heads: AttentionHeads, scale: Float) -> Tensor {
        require(
            offsets.count == sequences.count + 1 && offsets.last == qkv.rowCount,
            "KeyValueCache: offsets \(offsets) for \(sequences.count) sequences, qkv \(qkv.shape)")
        require(
            layer >= 0 && layer < layerCount && qkv.columnCount == heads.packedWidth
                && zip(offsets, offsets.dropFirst()).allSatisfy { $0 <= $1 } && offsets.first == 0,
            "KeyValueCache: qkv \(qkv.shape) for \(heads), offsets \(offsets), layer \(layer) of \(layerCount)")
        let width = heads.keyValueCount * heads.size
        let calls = sequences.indices.map { index in
            let sequence = sequences[index]
            let rows = offsets[index]..<offsets[index + 1]
            let (keys, values) = (sequence.keys[layer], sequence.values[layer])
            require(
                keys.columnCount == width && sequence.length + rows.count <= keys.rowCount,
                "KeyValueCache: \(rows.count) more than \(sequence.length) tokens of width \(width) in \(keys.shape)")
            for row in rows {
                let source = qkv.data + row * heads.packedWidth + heads.outputWidth
                let start = (sequence.length + row - rows.lowerBound) * width
                (keys.data + start).update(from: source, count: width)
                (values.data + start).update(from: source + width, count: width)
            }
            return CachedSequence(
                rows: rows, keys: UnsafePointer(keys.data), values: UnsafePointer(values.data),
                length: sequence.length + rows.count)
        }
        if layer == layerCount - 1 {
            for index in sequences.indices { sequences[index].length = calls[index].length }
        }
        return withExtendedLifetime(sequences) {
            attendCached(qkv, sequences: calls, heads: heads, scale: scale)
        }
    }
}
