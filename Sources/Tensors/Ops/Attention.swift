import Diagnostics

/// How an attention's queries, keys and values are laid out: `keyValueCount` heads of keys and values, each shared by
/// `count / keyValueCount` heads of queries next to each other.
public struct AttentionHeads: Sendable, Hashable {
    public let count: Int
    public let keyValueCount: Int
    public let size: Int

    public init(count: Int, keyValueCount: Int, size: Int) {
        require(
            count > 0 && size > 0 && keyValueCount > 0 && count % keyValueCount == 0,
            "AttentionHeads: \(count) heads of \(size) over \(keyValueCount) of keys and values")
        self.count = count
        self.keyValueCount = keyValueCount
        self.size = size
    }

    /// Columns of the queries of all heads, then the keys, then the values.
    public var packedWidth: Int { (count + 2 * keyValueCount) * size }
    public var outputWidth: Int { count * size }
    var groupSize: Int { count / keyValueCount }
}

/// softmax(scale · Q Kᵀ) V for every head of every sequence.
///
/// `qkv` is [rows, packedWidth]; the sequence s is the rows offsets[s]..<offsets[s + 1], so nothing is padded. With
/// `isCausal` a row sees itself and the rows of its sequence before it, and in any case all of the `prefix`. `dropout`
/// acts on the probabilities after the softmax. Returns [rows, outputWidth], the heads side by side.
///
/// The probabilities are never stored: besides `qkv` and the result only one number per row and head is kept.
public func attention(
    _ qkv: Tensor, prefix: KeyValuePrefix? = nil, offsets: [Int], heads: AttentionHeads, scale: Float, isCausal: Bool,
    dropout: Dropout?
) -> Tensor {
    require(
        qkv.columnCount == heads.packedWidth && offsets.first == 0 && offsets.last == qkv.rowCount
            && zip(offsets, offsets.dropFirst()).allSatisfy { $0 <= $1 },
        "attention: qkv \(qkv.shape) for \(heads), offsets \(offsets)")
    let rows = qkv.rowCount
    let layout = prefix.map { PrefixLayout(prefix: $0, offsets: offsets, heads: heads) }
    let plan = AttentionPlan(
        qkv: layout?.prepended(to: qkv) ?? qkv.detached(), offsets: offsets, past: prefix?.count ?? 0, heads: heads,
        scale: scale, isCausal: isCausal, dropout: dropout.flatMap { $0.probability > 0 ? $0 : nil })
    let y = Tensor(uninitialized: [rows, heads.outputWidth])
    let isRecorded = [qkv, prefix?.keys, prefix?.values].contains { $0?.needsGradient == true }
    let logSums = isRecorded ? Tensor(uninitialized: [heads.count, rows]) : nil
    let parts = plan.forwardParts
    WorkerPool.shared.run(parts.count) { index in
        let part = parts[index]
        let start = offsets[part.sequence]
        attentionForward(
            plan.head(part.head, sequence: part.sequence), range: part.queries,
            output: y.data + start * heads.outputWidth + part.head * heads.size, outputStride: heads.outputWidth,
            logSums: logSums.map { $0.data + part.head * rows + start })
    }
    guard let logSums else { return y }
    let output = y.detached()
    guard let layout else {
        return y.record([
            pullback(for: qkv) { dy, gradient in
                let (target, isFresh) = gradient.accumulator(shape: plan.qkv.shape)
                plan.backward(output: output, dy, logSums: logSums, into: target, adding: !isFresh)
            }
        ])
    }
    // With a prefix the gradient of what was laid together is computed once and taken apart.
    let whole = SharedGradient { dy in
        let gradient = Tensor(uninitialized: plan.qkv.shape)
        plan.backward(output: output, dy, logSums: logSums, into: gradient, adding: false)
        return gradient
    }
    return y.record([
        pullback(for: qkv) { dy, gradient in layout.addRows(of: whole(dy), to: &gradient) },
        pullback(for: layout.prefix.keys) { dy, gradient in layout.addPrefix(of: whole(dy), .keys, to: &gradient) },
        pullback(for: layout.prefix.values) { dy, gradient in layout.addPrefix(of: whole(dy), .values, to: &gradient) },
    ])
}

/// One call of `attention`, cut into parts by its shape alone.
private struct AttentionPlan {
    /// Each sequence's rows behind `past` rows of the prefix, whose queries mean nothing.
    let qkv: Tensor
    /// Of the rows that have queries.
    let offsets: [Int]
    let past: Int
    let heads: AttentionHeads
    let scale: Float
    let isCausal: Bool
    let dropout: Dropout?

    struct Part {
        var sequence: Int
        var head: Int
        var queries: Range<Int>
    }

    /// The row of `qkv` where a sequence's keys begin.
    private func firstRow(_ sequence: Int) -> Int { offsets[sequence] + sequence * past }

    private func length(_ sequence: Int) -> Int { offsets[sequence + 1] - offsets[sequence] }

    /// Sequence by sequence and head by head a share of the queries, the costly ones first so that the threads finish
    /// together.
    var forwardParts: [Part] {
        var parts: [Part] = []
        for sequence in 0..<offsets.count - 1 {
            for first in stride(from: 0, to: length(sequence), by: AttentionBlock.partQueries) {
                let queries = first..<min(length(sequence), first + AttentionBlock.partQueries)
                for head in 0..<heads.count { parts.append(Part(sequence: sequence, head: head, queries: queries)) }
            }
        }
        func cost(_ part: Part) -> Int {
            part.queries.count * (past + (isCausal ? part.queries.upperBound : length(part.sequence)))
        }
        return parts.sorted { cost($0) > cost($1) }
    }

    func head(_ index: Int, sequence: Int) -> AttentionHead {
        let start = qkv.data + firstRow(sequence) * heads.packedWidth
        let group = index / heads.groupSize
        let count = past + length(sequence)
        func rows(_ column: Int) -> Rows {
            Rows(data: start + column * heads.size, stride: heads.packedWidth, count: count, width: heads.size)
        }
        let longest = past + zip(offsets, offsets.dropFirst()).reduce(0) { max($0, $1.1 - $1.0) }
        return AttentionHead(
            queries: rows(index).slice(past, count - past), keys: rows(heads.count + group),
            values: rows(heads.count + heads.keyValueCount + group),
            past: past, isCausal: isCausal, scale: scale, dropout: dropout,
            firstElement: (index * (offsets.last ?? 0) + offsets[sequence]) * longest, elementStride: longest)
    }

    /// One part for each sequence and each head of keys and values: nobody else adds to the part's gradients.
    func backward(output: Tensor, _ dy: Tensor, logSums: Tensor, into gradient: Tensor, adding: Bool) {
        let sequences = (0..<offsets.count - 1).sorted { length($0) > length($1) }
        let (width, size) = (heads.outputWidth, heads.size)
        WorkerPool.shared.run(sequences.count * heads.keyValueCount) { index in
            let sequence = sequences[index / heads.keyValueCount]
            let group = index % heads.keyValueCount
            let start = offsets[sequence]
            let target = gradient.data + firstRow(sequence) * heads.packedWidth
            func rows(_ tensor: Tensor, _ head: Int) -> Rows {
                Rows(
                    data: tensor.data + start * width + head * size, stride: width, count: length(sequence),
                    width: size)
            }
            let members = (group * heads.groupSize..<(group + 1) * heads.groupSize).map { head in
                AttentionHeadGradient(
                    head: self.head(head, sequence: sequence), output: rows(output, head),
                    outputGradient: rows(dy, head), logSums: logSums.data + head * output.rowCount + start,
                    queryGradient: target + past * heads.packedWidth + head * size)
            }
            attentionBackward(
                members, keyGradient: target + (heads.count + group) * size,
                valueGradient: target + (heads.count + heads.keyValueCount + group) * size,
                stride: heads.packedWidth, adding: adding)
        }
    }
}
