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

/// How a prefix and the rows of several sequences are laid together: in front of each sequence stands a copy of the
/// prefix, so that attention works on one matrix.
struct PrefixLayout {
    enum Part { case keys, values }

    let prefix: KeyValuePrefix
    private let offsets: [Int]
    private let heads: AttentionHeads

    init(prefix: KeyValuePrefix, offsets: [Int], heads: AttentionHeads) {
        require(
            prefix.keys.columnCount == heads.keyValueCount * heads.size,
            "attention: a prefix \(prefix.keys.shape) for \(heads)")
        self.prefix = prefix
        self.offsets = offsets
        self.heads = heads
    }

    private var sequenceCount: Int { offsets.count - 1 }
    private var width: Int { heads.packedWidth }
    private var partWidth: Int { heads.keyValueCount * heads.size }

    /// Where a sequence's rows and, `prefix.count` rows before, its copy of the prefix are in the whole.
    private func firstRow(_ sequence: Int) -> Int { offsets[sequence] + (sequence + 1) * prefix.count }

    private func column(_ part: Part) -> Int { heads.outputWidth + (part == .keys ? 0 : partWidth) }

    /// [rows + sequences · n, packedWidth]; the queries of the prefix's rows are 0.
    func prepended(to rows: Tensor) -> Tensor {
        let whole = Tensor(uninitialized: [rows.rowCount + sequenceCount * prefix.count, width])
        WorkerPool.shared.run(sequenceCount) { sequence in
            let first = firstRow(sequence)
            for row in 0..<prefix.count {
                let target = whole.data + (first - prefix.count + row) * width
                target.update(repeating: 0, count: heads.outputWidth)
                (target + column(.keys)).update(from: prefix.keys.data + row * partWidth, count: partWidth)
                (target + column(.values)).update(from: prefix.values.data + row * partWidth, count: partWidth)
            }
            let length = offsets[sequence + 1] - offsets[sequence]
            (whole.data + first * width).update(from: rows.data + offsets[sequence] * width, count: length * width)
        }
        return whole
    }

    /// Adds the sequences' rows of `whole` to their gradient.
    func addRows(of whole: Tensor, to gradient: inout Gradient) {
        let (target, isFresh) = gradient.accumulator(shape: [offsets[sequenceCount], width])
        WorkerPool.shared.run(sequenceCount) { sequence in
            let count = (offsets[sequence + 1] - offsets[sequence]) * width
            let source = whole.data + firstRow(sequence) * width
            let destination = target.data + offsets[sequence] * width
            if isFresh {
                destination.update(from: source, count: count)
            } else {
                Tensors.addRows(source, destination, into: destination, count: count)
            }
        }
    }

    /// Adds the copies of the prefix in `whole` to its gradient, one sequence after the other.
    func addPrefix(of whole: Tensor, _ part: Part, to gradient: inout Gradient) {
        let (target, isFresh) = gradient.accumulator(shape: prefix.keys.shape)
        WorkerPool.shared.run(prefix.count) { row in
            let destination = target.data + row * partWidth
            if isFresh { destination.update(repeating: 0, count: partWidth) }
            for sequence in 0..<sequenceCount {
                let source = whole.data + (firstRow(sequence) - prefix.count + row) * width + column(part)
                Tensors.addRows(source, destination, into: destination, count: partWidth)
            }
        }
    }
}
