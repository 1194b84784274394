import Diagnostics

/// What an attention works on.
public enum AttentionInput {
    /// [rows, packedWidth]: the queries of all heads, then the keys, then the values.
    case packed(Tensor)
    /// [rows, outputWidth], and twice [rows of keys, keyValueWidth].
    case separate(queries: Tensor, keys: Tensor, values: Tensor)
}

/// The queries, keys or values of all heads: columns of a matrix from `column` on.
struct AttentionPart {
    let tensor: Tensor
    let column: Int

    var stride: Int { tensor.columnCount }

    func detached() -> AttentionPart { AttentionPart(tensor: tensor.detached(), column: column) }

    func rows(_ first: Int, _ count: Int, head: Int, of size: Int) -> Rows {
        Rows(data: tensor.data + first * stride + column + head * size, stride: stride, count: count, width: size)
    }

    /// Adds a gradient of these columns alone to what they hold, which means nothing where `isFresh`.
    func add(_ gradient: Tensor, isFresh: Bool) {
        let width = gradient.columnCount
        WorkerPool.shared.run(over: gradient.rowCount, grain: rowGrain(width)) { rows in
            for row in rows {
                let (source, target) = (gradient.data + row * width, tensor.data + row * stride + column)
                if isFresh {
                    target.update(from: source, count: width)
                } else {
                    addRows(source, target, into: target, count: width)
                }
            }
        }
    }
}

struct AttentionParts {
    let queries: AttentionPart
    let keys: AttentionPart
    let values: AttentionPart
}

extension AttentionInput: CustomStringConvertible {
    public var description: String {
        switch self {
        case .packed(let qkv): "qkv \(qkv.shape)"
        case .separate(let queries, let keys, let values):
            "queries \(queries.shape), keys \(keys.shape), values \(values.shape)"
        }
    }

    /// A matrix with the queries of all heads in its first columns.
    public var queries: Tensor {
        switch self {
        case .packed(let qkv): qkv
        case .separate(let queries, _, _): queries
        }
    }

    /// Copies keys and values of the given rows to memory with room for [rows, keyValueWidth] each.
    public func writeKeysAndValues(
        of rows: Range<Int>, _ heads: AttentionHeads, keys: UnsafeMutablePointer<Float>,
        values: UnsafeMutablePointer<Float>
    ) {
        let parts = parts(heads)
        let width = heads.keyValueWidth
        require(
            rows.lowerBound >= 0 && rows.upperBound <= parts.keys.tensor.rowCount,
            "writeKeysAndValues: rows \(rows) of \(self)")
        for (target, part) in [(keys, parts.keys), (values, parts.values)] {
            for (place, row) in rows.enumerated() {
                (target + place * width).update(from: part.tensor.data + row * part.stride + part.column, count: width)
            }
        }
    }

    var tensors: [Tensor] {
        switch self {
        case .packed(let qkv): [qkv]
        case .separate(let queries, let keys, let values): [queries, keys, values]
        }
    }

    func parts(_ heads: AttentionHeads) -> AttentionParts {
        switch self {
        case .packed(let qkv):
            AttentionParts(
                queries: AttentionPart(tensor: qkv, column: 0),
                keys: AttentionPart(tensor: qkv, column: heads.outputWidth),
                values: AttentionPart(tensor: qkv, column: heads.outputWidth + heads.keyValueWidth))
        case .separate(let queries, let keys, let values):
            AttentionParts(
                queries: AttentionPart(tensor: queries, column: 0), keys: AttentionPart(tensor: keys, column: 0),
                values: AttentionPart(tensor: values, column: 0))
        }
    }

    /// Whether the shapes are those of sequences that begin and end at the offsets, and chains what `attention` takes; a
    /// causal attention needs a key for each query.
    public func fits(
        _ heads: AttentionHeads, offsets: [Int], keyOffsets: [Int], chains: [[Int]]? = nil, isCausal: Bool
    ) -> Bool {
        func covers(_ offsets: [Int], _ rows: Int) -> Bool {
            offsets.first == 0 && offsets.last == rows && zip(offsets, offsets.dropFirst()).allSatisfy { $0 <= $1 }
        }
        let lengths = zip(offsets, offsets.dropFirst()).map { $1 - $0 }
        if let chains, !KeySegments.areTrees(chains, segmentCount: keyOffsets.count - 1) { return false }
        let keyCounts = KeySegments(offsets: keyOffsets, chains: chains).counts
        guard lengths.count == keyCounts.count, !isCausal || zip(lengths, keyCounts).allSatisfy({ $0 <= $1 }) else {
            return false
        }
        switch self {
        case .packed(let qkv):
            return qkv.columnCount == heads.packedWidth && covers(offsets, qkv.rowCount) && keyOffsets == offsets
        case .separate(let queries, let keys, let values):
            return queries.columnCount == heads.outputWidth && keys.columnCount == heads.keyValueWidth
                && values.shape == keys.shape && covers(offsets, queries.rowCount)
                && covers(keyOffsets, keys.rowCount)
        }
    }
}
