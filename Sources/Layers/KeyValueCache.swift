import Diagnostics
public import Tensors

/// The keys and values of a text's first tokens, which many sequences can begin with: they are computed once and lie in
/// memory once.
public struct KeyValueBeginning {
    /// Some tokens, layer by layer; the tensors may have room for more.
    struct Part {
        var layers: [KeyValuePrefix]
        var count: Int
    }

    var parts: [Part]
    /// Of what an encoder read, layer by layer.
    var sources: [KeyValuePrefix]

    /// Tokens, those in front that a method has learned included.
    public var count: Int { parts.reduce(0) { $0 + $1.count } }

    /// The first `count` tokens alone.
    public func prefix(_ count: Int) -> KeyValueBeginning {
        require(count >= 0 && count <= self.count, "KeyValueBeginning: \(count) of \(self.count) tokens")
        var copy = KeyValueBeginning(parts: [], sources: sources)
        var rest = count
        for part in parts where rest > 0 {
            copy.parts.append(Part(layers: part.layers, count: min(rest, part.count)))
            rest -= part.count
        }
        return copy
    }
}

/// The keys and values of the tokens that a model has already seen, for several sequences side by side.
///
/// Sequences may have different lengths, leave at any time, and be joined with those of another cache.
public final class KeyValueCache {
    /// The memory of one sequence: for each layer [rows, width of all key/value heads], which grows up to what `capacity`
    /// leaves.
    private struct Sequence {
        /// What stands before the sequence's own rows, never written.
        var beginning = KeyValueBeginning(parts: [], sources: [])
        var beginningCount = 0
        var keys: [Tensor]
        var values: [Tensor]
        /// Tokens, those of the beginning included.
        let capacity: Int
        /// Own rows.
        var ownCount = 0
        /// Own rows in the same tensors with which others begin, and which therefore stay as they are.
        var lentCount = 0
        /// Up to which length tokens are read together, and how many: see `CachedSequence.readCount`.
        var readEnd = 0
        var readCount = 0

        var length: Int { beginningCount + ownCount }

        mutating func begin(with beginning: KeyValueBeginning) {
            self.beginning = beginning
            beginningCount = beginning.count
        }

        func copy() -> Sequence {
            var copy = self
            copy.lentCount = 0
            for layer in keys.indices {
                copy.keys[layer] = Self.moved(keys[layer], rows: keys[layer].rowCount, used: ownCount)
                copy.values[layer] = Self.moved(values[layer], rows: values[layer].rowCount, used: ownCount)
            }
            return copy
        }

        /// Makes room for `count` own rows in one layer.
        mutating func reserve(_ count: Int, layer: Int) {
            let rows = keys[layer].rowCount
            if count <= rows { return }
            let more = min(capacity - beginningCount, max(count, 2 * rows))
            keys[layer] = Self.moved(keys[layer], rows: more, used: ownCount)
            values[layer] = Self.moved(values[layer], rows: more, used: ownCount)
        }

        private static func moved(_ tensor: Tensor, rows: Int, used: Int) -> Tensor {
            let copy = Tensor(uninitialized: [rows, tensor.columnCount])
            copy.data.update(from: tensor.data, count: used * tensor.columnCount)
            return copy
        }

        /// All tokens of a layer with `count` new ones.
        func rows(_ count: Int, layer: Int) -> [KeyValueRows] {
            beginning.parts.map { part in
                let rows = part.layers[layer]
                return KeyValueRows(
                    keys: UnsafePointer(rows.keys.data), values: UnsafePointer(rows.values.data), count: part.count)
            } + [
                KeyValueRows(
                    keys: UnsafePointer(keys[layer].data), values: UnsafePointer(values[layer].data),
                    count: ownCount + count)
            ]
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

    /// A sequence behind each of some beginnings, with room for so many more tokens.
    public init(continuing beginnings: [KeyValueBeginning], capacities: [Int]) {
        let shapes = beginnings.map { $0.parts.first?.layers ?? [] }
        layerCount = shapes.first?.count ?? 0
        let (layerCount, width) = (layerCount, shapes.first?.first?.keys.columnCount ?? 0)
        require(
            capacities.count == beginnings.count && capacities.allSatisfy { $0 >= 0 }
                && shapes.allSatisfy { $0.count == layerCount && layerCount > 0 },
            "KeyValueCache: \(capacities.count) capacities for beginnings of \(shapes.map(\.count)) layers")
        sequences = zip(beginnings, capacities).map { beginning, capacity in
            let rows = min(capacity, Self.firstRows)
            var sequence = Sequence(
                keys: (0..<layerCount).map { _ in Tensor(uninitialized: [rows, width]) },
                values: (0..<layerCount).map { _ in Tensor(uninitialized: [rows, width]) },
                capacity: beginning.count + capacity)
            sequence.begin(with: beginning)
            return sequence
        }
    }

    /// All that a sequence has so far, for others to begin with; it may go on by itself.
    public func beginning(of index: Int) -> KeyValueBeginning {
        let sequence = sequences[index]
        var beginning = sequence.beginning
        if sequence.ownCount > 0 {
            sequences[index].lentCount = sequence.ownCount
            beginning.parts.append(
                .init(
                    layers: zip(sequence.keys, sequence.values).map { KeyValuePrefix(keys: $0, values: $1) },
                    count: sequence.ownCount))
        }
        return beginning
    }

    /// Says how many tokens of each sequence, all in all, are read as one text, however many passes they come in.
    public func read(_ counts: [Int], behind learned: Int) {
        require(counts.count == sequences.count, "KeyValueCache: \(counts.count) texts of \(sequences.count) sequences")
        for index in sequences.indices {
            sequences[index].readCount = counts[index]
            sequences[index].readEnd = learned + counts[index]
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
            }
            sequences[index].begin(
                with: KeyValueBeginning(
                    parts: [.init(layers: prefixes, count: length)], sources: sequences[index].beginning.sources))
        }
    }

    /// Gives each sequence the keys and values of what an encoder read for it, layer by layer.
    public func remember(_ sources: [[KeyValuePrefix]]) {
        require(
            sources.count == sequences.count && sources.allSatisfy { $0.count == layerCount },
            "KeyValueCache: sources of \(sources.map(\.count)) layers for \(sequences.count) sequences of \(layerCount)"
        )
        for index in sequences.indices { sequences[index].beginning.sources = sources[index] }
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

    /// Makes a sequence what another is that has the same tokens but for the last `count`, and the same source; what either
    /// goes on from and what others began with stay as they are.
    public func copy(_ source: Int, to target: Int, last count: Int) {
        let (from, length) = (sequences[source], sequences[target].length)
        require(
            from.length == length && from.beginningCount == sequences[target].beginningCount
                && (0...from.ownCount).contains(count) && sequences[target].lentCount <= from.ownCount - count
                && source != target,
            "KeyValueCache: the last \(count) of \(from.length) tokens, \(from.beginningCount) of them a beginning, for a "
                + "sequence of \(length), \(sequences[target].beginningCount) of them a beginning")
        for layer in 0..<layerCount {
            let width = from.keys[layer].columnCount
            let (start, number) = ((from.ownCount - count) * width, count * width)
            let (keys, values) = (sequences[target].keys[layer], sequences[target].values[layer])
            (keys.data + start).update(from: from.keys[layer].data + start, count: number)
            (values.data + start).update(from: from.values[layer].data + start, count: number)
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
            let sequence = sequences[index]
            require(
                sequence.keys[layer].columnCount == width && sequence.length + rows.count <= sequence.capacity,
                "KeyValueCache: \(rows.count) more than \(sequence.length) tokens of width \(width) in "
                    + "\([sequence.capacity, sequence.keys[layer].columnCount])")
            sequences[index].reserve(sequence.ownCount + rows.count, layer: layer)
            let (keys, values) = (sequences[index].keys[layer], sequences[index].values[layer])
            input.writeKeysAndValues(
                of: rows, heads, keys: keys.data + sequence.ownCount * width,
                values: values.data + sequence.ownCount * width)
            return CachedSequence(
                rows: rows, parts: sequences[index].rows(rows.count, layer: layer),
                readCount: max(rows.count, sequence.length < sequence.readEnd ? sequence.readCount : 0))
        }
        if layer == layerCount - 1 {
            for index in sequences.indices { sequences[index].ownCount += offsets[index + 1] - offsets[index] }
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
                && sequences.allSatisfy { $0.beginning.sources.indices.contains(layer) },
            "KeyValueCache: \(queries.shape), offsets \(offsets) of \(sequences.count) sequences, sources of layer \(layer)"
        )
        let calls = sequences.indices.map { index in
            let source = sequences[index].beginning.sources[layer]
            require(
                source.keys.columnCount == heads.keyValueWidth,
                "KeyValueCache: sources \(source.keys.shape) for \(heads)")
            let rows = offsets[index]..<offsets[index + 1]
            return CachedSequence(
                rows: rows,
                parts: [
                    KeyValueRows(
                        keys: UnsafePointer(source.keys.data), values: UnsafePointer(source.values.data),
                        count: source.count)
                ], readCount: rows.count)
        }
        return withExtendedLifetime(sequences) {
            attendCached(queries, sequences: calls, heads: heads, scale: scale, isCausal: false)
        }
    }
}
