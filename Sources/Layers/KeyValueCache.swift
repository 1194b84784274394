import Diagnostics
public import Tensors

/// The keys and values of the tokens that a model has already seen, for several sequences side by side.
///
/// Sequences may have different lengths, leave at any time, and be joined with those of another cache.
public final class KeyValueCache {
    /// The memory of one sequence: for each layer [rows, width of all key/value heads], which grows up to `capacity` rows.
    private struct Sequence {
        var keys: [Tensor]
        var values: [Tensor]
        let capacity: Int
        var length = 0
        /// Of what an encoder read, layer by layer; never written again, so that copies share them.
        var sources: [KeyValuePrefix] = []

        func copy() -> Sequence {
            var copy = self
            for layer in keys.indices {
                copy.keys[layer] = Self.moved(keys[layer], rows: keys[layer].rowCount, used: length)
                copy.values[layer] = Self.moved(values[layer], rows: values[layer].rowCount, used: length)
            }
            return copy
        }

        /// Makes room for `count` rows in one layer.
        mutating func reserve(_ count: Int, layer: Int) {
            let rows = keys[layer].rowCount
            if count <= rows { return }
            let more = min(capacity, max(count, 2 * rows))
            keys[layer] = Self.moved(keys[layer], rows: more, used: length)
            values[layer] = Self.moved(values[layer], rows: more, used: length)
        }

        private static func moved(_ tensor: Tensor, rows: Int, used: Int) -> Tensor {
            let copy = Tensor(uninitialized: [rows, tensor.columnCount])
            copy.data.update(from: tensor.data, count: used * tensor.columnCount)
            return copy
        }
    }

    /// Rows that a sequence has room for at once.
    private static let firstRows = 256

    private let layerCount: Int
    private var sequences: [Sequence]

    /// Room for `sequences` sequences of at most `capacity` tokens, empty at first.
    public init(layerCount: Int, sequences: Int, capacity: Int, width: Int) {
        self.layerCount = layerCount
        let rows = min(capacity, Self.firstRows)
        self.sequences = (0..<sequences).map { _ in
            Sequence(
                keys: (0..<layerCount).map { _ in Tensor(uninitialized: [rows, width]) },
                values: (0..<layerCount).map { _ in Tensor(uninitialized: [rows, width]) }, capacity: capacity)
        }
    }

    /// Puts keys and values, layer by layer, in front of those that every sequence will have; all are empty so far.
    public func begin(with prefixes: [KeyValuePrefix]) {
        guard let length = prefixes.first?.count else { return }
        require(
            prefixes.count == layerCount && sequences.allSatisfy { $0.length == 0 },
            "KeyValueCache: \(prefixes.count) prefixes for \(layerCount) layers")
        for index in sequences.indices {
            for (layer, prefix) in prefixes.enumerated() {
                require(
                    prefix.keys.columnCount == sequences[index].keys[layer].columnCount
                        && length <= sequences[index].capacity,
                    "KeyValueCache: a prefix \(prefix.keys.shape) in \(sequences[index].keys[layer].shape)")
                sequences[index].reserve(length, layer: layer)
                let (keys, values) = (sequences[index].keys[layer], sequences[index].values[layer])
                keys.data.update(from: prefix.keys.data, count: prefix.keys.count)
                values.data.update(from: prefix.values.data, count: prefix.values.count)
            }
            sequences[index].length = length
        }
    }

    /// Gives each sequence the keys and values of what an encoder read for it, layer by layer.
    public func remember(_ sources: [[KeyValuePrefix]]) {
        require(
            sources.count == sequences.count && sources.allSatisfy { $0.count == layerCount },
            "KeyValueCache: sources of \(sources.map(\.count)) layers for \(sequences.count) sequences of \(layerCount)"
        )
        for index in sequences.indices { sequences[index].sources = sources[index] }
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

    /// Leaves the sequences at `indices`, in that order; one that stands there again is copied, so that both go on by
    /// themselves.
    public func keep(_ indices: [Int]) {
        var used = Set<Int>()
        sequences = indices.map { index in
            used.insert(index).inserted ? sequences[index] : sequences[index].copy()
        }
    }

    /// Adds the keys and values of a pass's new tokens to layer `layer`, and lets their queries attend to all tokens of
    /// their sequences so far, or to the last `window`.
    ///
    /// The rows offsets[s]..<offsets[s + 1] of `input` are sequence s; returns [rows, output width].
    public func attend(
        _ input: AttentionInput, layer: Int, offsets: [Int], heads: AttentionHeads, scale: Float, window: Int? = nil,
        bias: AttentionBias? = nil
    ) -> Tensor {
        require(
            offsets.count == sequences.count + 1 && layer >= 0 && layer < layerCount
                && input.fits(heads, offsets: offsets, keyOffsets: offsets, isCausal: true),
            "KeyValueCache: \(input) for \(heads), offsets \(offsets) of \(sequences.count) sequences, layer \(layer) of "
                + "\(layerCount)")
        let width = heads.keyValueWidth
        let calls = sequences.indices.map { index in
            let rows = offsets[index]..<offsets[index + 1]
            let capacity = sequences[index].capacity
            require(
                sequences[index].keys[layer].columnCount == width
                    && sequences[index].length + rows.count <= capacity,
                "KeyValueCache: \(rows.count) more than \(sequences[index].length) tokens of width \(width) in "
                    + "\([capacity, sequences[index].keys[layer].columnCount])")
            sequences[index].reserve(sequences[index].length + rows.count, layer: layer)
            let sequence = sequences[index]
            let (keys, values) = (sequence.keys[layer], sequence.values[layer])
            input.writeKeysAndValues(
                of: rows, heads, keys: keys.data + sequence.length * width,
                values: values.data + sequence.length * width)
            return CachedSequence(
                rows: rows, keys: UnsafePointer(keys.data), values: UnsafePointer(values.data),
                length: sequence.length + rows.count)
        }
        if layer == layerCount - 1 {
            for index in sequences.indices { sequences[index].length = calls[index].length }
        }
        return withExtendedLifetime(sequences) {
            attendCached(input.queries, sequences: calls, heads: heads, scale: scale, window: window, bias: bias)
        }
    }

    /// Lets queries attend to all that an encoder read for their sequences.
    ///
    /// The rows offsets[s]..<offsets[s + 1] of `queries` [rows, output width] are sequence s; returns [rows, output width].
    public func attendToSources(
        _ queries: Tensor, layer: Int, offsets: [Int], heads: AttentionHeads, scale: Float
    ) -> Tensor {
        require(
            offsets.count == sequences.count + 1 && offsets.last == queries.rowCount
                && sequences.allSatisfy { $0.sources.indices.contains(layer) },
            "KeyValueCache: \(queries.shape), offsets \(offsets) of \(sequences.count) sequences, sources of layer \(layer)"
        )
        let calls = sequences.indices.map { index in
            let source = sequences[index].sources[layer]
            require(
                source.keys.columnCount == heads.keyValueWidth,
                "KeyValueCache: sources \(source.keys.shape) for \(heads)")
            return CachedSequence(
                rows: offsets[index]..<offsets[index + 1], keys: UnsafePointer(source.keys.data),
                values: UnsafePointer(source.values.data), length: source.count)
        }
        return withExtendedLifetime(sequences) {
            attendCached(queries, sequences: calls, heads: heads, scale: scale, isCausal: false)
        }
    }
}
