import Diagnostics

/// Keys and values that stand in front of those of every sequence and are seen by all of its queries.
public struct KeyValuePrefix {
    /// [n, keyValueCount · size] each
    public let keys: Tensor
    public let values: Tensor

    public init(keys: Tensor, values: Tensor) {
        require(keys.shape == values.shape, "KeyValuePrefix: keys \(keys.shape), values \(values.shape)")
        self.keys = keys
        self.values = values
    }

    public var count: Int { keys.rowCount }
}

/// How a prefix and the keys, or the values, of several sequences are laid together: in front of each sequence stands a
/// copy of the prefix, so that attention works on one matrix.
struct PrefixLayout {
    enum Part { case keys, values }

    private let prefix: KeyValuePrefix
    private let offsets: [Int]
    private let width: Int

    init(prefix: KeyValuePrefix, offsets: [Int], heads: AttentionHeads) {
        require(
            prefix.keys.columnCount == heads.keyValueWidth, "attention: a prefix \(prefix.keys.shape) for \(heads)")
        self.prefix = prefix
        self.offsets = offsets
        width = heads.keyValueWidth
    }

    private var sequenceCount: Int { offsets.count - 1 }

    /// Where the sequences begin in the whole, each with its copy of the prefix.
    var wholeOffsets: [Int] { offsets.indices.map { offsets[$0] + $0 * prefix.count } }

    /// [rows + sequences · n, keyValueWidth]
    func prepended(to part: AttentionPart, _ kind: Part) -> AttentionPart {
        let front = kind == .keys ? prefix.keys : prefix.values
        let begins = wholeOffsets
        let whole = Tensor(uninitialized: [begins[sequenceCount], width])
        WorkerPool.shared.run(sequenceCount) { sequence in
            var target = whole.data + begins[sequence] * width
            target.update(from: front.data, count: front.count)
            target += front.count
            for row in offsets[sequence]..<offsets[sequence + 1] {
                target.update(from: part.tensor.data + row * part.stride + part.column, count: width)
                target += width
            }
        }
        return AttentionPart(tensor: whole, column: 0)
    }

    /// The sequences' rows of `whole`, without the copies of the prefix.
    func rows(of whole: Tensor) -> Tensor {
        let begins = wholeOffsets
        let rows = Tensor(uninitialized: [offsets[sequenceCount], width])
        WorkerPool.shared.run(sequenceCount) { sequence in
            (rows.data + offsets[sequence] * width).update(
                from: whole.data + (begins[sequence] + prefix.count) * width,
                count: (offsets[sequence + 1] - offsets[sequence]) * width)
        }
        return rows
    }

    /// Adds the copies of the prefix in `whole` to its gradient, one sequence after the other.
    func addPrefix(of whole: Tensor, to gradient: inout Gradient) {
        let begins = wholeOffsets
        let (target, isFresh) = gradient.accumulator(shape: prefix.keys.shape)
        WorkerPool.shared.run(prefix.count) { row in
            let destination = target.data + row * width
            if isFresh { destination.update(repeating: 0, count: width) }
            for sequence in 0..<sequenceCount {
                Tensors.addRows(
                    whole.data + (begins[sequence] + row) * width, destination, into: destination, count: width)
            }
        }
    }
}
