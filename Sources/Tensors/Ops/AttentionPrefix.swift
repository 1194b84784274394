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

/// How a prefix and the keys, or the values, of several sequences are laid together: in front of each segment of keys with
/// which sequences begin stands a copy of the prefix, so that attention works on one matrix.
struct PrefixLayout {
    enum Part { case keys, values }

    private let prefix: KeyValuePrefix
    private let offsets: [Int]
    private let width: Int
    /// How many rows of the prefix stand in front of each segment's own: all or none.
    private let leads: [Int]
    /// Where the segments begin in the whole, those with a copy of the prefix with that.
    let wholeOffsets: [Int]

    init(prefix: KeyValuePrefix, offsets: [Int], chains: [[Int]]?, heads: AttentionHeads) {
        require(
            prefix.keys.columnCount == heads.keyValueWidth, "attention: a prefix \(prefix.keys.shape) for \(heads)")
        self.prefix = prefix
        self.offsets = offsets
        width = heads.keyValueWidth
        let beginnings = chains.map { Set($0.map { $0[0] }) }
        let leads = offsets.indices.dropLast().map { beginnings?.contains($0) ?? true ? prefix.count : 0 }
        self.leads = leads
        wholeOffsets = leads.indices.reduce(into: [0]) { $0.append($0[$1] + leads[$1] + offsets[$1 + 1] - offsets[$1]) }
    }

    private var segmentCount: Int { leads.count }

    /// [rows + beginnings · n, keyValueWidth]
    func prepended(to part: AttentionPart, _ kind: Part) -> AttentionPart {
        let front = kind == .keys ? prefix.keys : prefix.values
        let whole = Tensor(uninitialized: [wholeOffsets[segmentCount], width])
        WorkerPool.shared.run(segmentCount) { segment in
            var target = whole.data + wholeOffsets[segment] * width
            if leads[segment] > 0 {
                target.update(from: front.data, count: front.count)
                target += front.count
            }
            for row in offsets[segment]..<offsets[segment + 1] {
                target.update(from: part.tensor.data + row * part.stride + part.column, count: width)
                target += width
            }
        }
        return AttentionPart(tensor: whole, column: 0)
    }

    /// The segments' rows of `whole`, without the copies of the prefix.
    func rows(of whole: Tensor) -> Tensor {
        let rows = Tensor(uninitialized: [offsets[segmentCount], width])
        WorkerPool.shared.run(segmentCount) { segment in
            (rows.data + offsets[segment] * width).update(
                from: whole.data + (wholeOffsets[segment] + leads[segment]) * width,
                count: (offsets[segment + 1] - offsets[segment]) * width)
        }
        return rows
    }

    /// Adds the copies of the prefix in `whole` to its gradient, one after the other.
    func addPrefix(of whole: Tensor, to gradient: inout Gradient) {
        let (target, isFresh) = gradient.accumulator(shape: prefix.keys.shape)
        WorkerPool.shared.run(prefix.count) { row in
            let destination = target.data + row * width
            if isFresh { destination.update(repeating: 0, count: width) }
            for segment in 0..<segmentCount where leads[segment] > 0 {
                Tensors.addRows(
                    whole.data + (wholeOffsets[segment] + row) * width, destination, into: destination, count: width)
            }
        }
    }
}
