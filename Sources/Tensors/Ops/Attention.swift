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
    public var packedWidth: Int { outputWidth + 2 * keyValueWidth }
    public var outputWidth: Int { count * size }
    /// Columns of the keys of all heads, or of the values.
    public var keyValueWidth: Int { keyValueCount * size }
    var groupSize: Int { count / keyValueCount }
}

/// softmax(scale · Q Kᵀ + bias) V for every head of every sequence.
///
/// The sequence s is the rows offsets[s]..<offsets[s + 1] of the queries and of the result, and the rows
/// keyOffsets[s]..<keyOffsets[s + 1] of keys and values, so nothing is padded; without `keyOffsets` they are the same.
/// With `chains` these are segments of keys, and the keys of the sequence s are those of the segments chains[s] one behind
/// the other, so that sequences that begin alike have their beginning once: a segment stands behind the same ones in every
/// chain, and in one chain at least.
/// With `isCausal` a row sees itself, which is as far from its sequence's end among the keys, and the rows before it, at
/// most `window` in all; and in any case, so far as the window reaches, the `prefix`, which stands in front of all keys.
/// `dropout` acts on the probabilities after the softmax. Returns [rows, outputWidth], the heads side by side.
///
/// The probabilities are never stored: besides the input and the result only one number per row and head is kept.
public func attention(
    _ input: AttentionInput, prefix: KeyValuePrefix? = nil, offsets: [Int], keyOffsets: [Int]? = nil,
    chains: [[Int]]? = nil, heads: AttentionHeads, scale: Float, isCausal: Bool, window: Int? = nil,
    bias: AttentionBias? = nil,
    dropout: Dropout?
) -> Tensor {
    let keyOffsets = keyOffsets ?? offsets
    require(
        input.fits(heads, offsets: offsets, keyOffsets: keyOffsets, chains: chains, isCausal: isCausal)
            && (window ?? 1) > 0,
        "attention: \(input) for \(heads), offsets \(offsets)"
            + (keyOffsets == offsets ? "" : ", keys' offsets \(keyOffsets)")
            + (chains.map { ", chains \($0)" } ?? "") + (window.map { ", window \($0)" } ?? ""))
    let rows = offsets.last ?? 0
    let parts = input.parts(heads)
    let layout = prefix.map { PrefixLayout(prefix: $0, offsets: keyOffsets, chains: chains, heads: heads) }
    let plan = AttentionPlan(
        queries: parts.queries.detached(), keys: layout?.prepended(to: parts.keys, .keys) ?? parts.keys.detached(),
        values: layout?.prepended(to: parts.values, .values) ?? parts.values.detached(), offsets: offsets,
        segments: KeySegments(offsets: layout?.wholeOffsets ?? keyOffsets, chains: chains), heads: heads, scale: scale,
        isCausal: isCausal,
        window: window ?? .max, bias: bias, dropout: dropout.flatMap { $0.probability > 0 ? $0 : nil })
    require(
        plan.isBiasCovering, "attention: a bias \(bias?.table.shape ?? []) from \(bias?.origin ?? 0) for \(heads)")
    let y = Tensor(uninitialized: [rows, heads.outputWidth])
    let isRecorded =
        input.tensors.contains { $0.needsGradient }
        || [prefix?.keys, prefix?.values, bias?.table].contains { $0?.needsGradient == true }
    let logSums = isRecorded ? Tensor(uninitialized: [heads.count, rows]) : nil
    let work = plan.forwardParts
    WorkerPool.shared.run(work.count) { index in
        let part = work[index]
        let start = offsets[part.sequence]
        let keys = plan.keys(ofGroup: part.head / heads.groupSize, sequence: part.sequence)
        defer { withExtendedLifetime(keys) {} }
        attentionForward(
            plan.head(part.head, sequence: part.sequence, keys), range: part.queries,
            output: y.data + start * heads.outputWidth + part.head * heads.size, outputStride: heads.outputWidth,
            logSums: logSums.map { $0.data + part.head * rows + start })
    }
    guard let logSums else { return y }
    let output = y.detached()
    if layout == nil, bias?.table.needsGradient != true, case .packed(let qkv) = input {
        return y.record([
            pullback(for: qkv) { dy, gradient in
                let (target, isFresh) = gradient.accumulator(shape: qkv.shape)
                plan.backward(
                    output: output, dy, logSums: logSums, into: AttentionInput.packed(target).parts(heads),
                    biasGradients: nil, adding: !isFresh)
            }
        ])
    }
    // The gradients of all parts come from one pass, from which each input takes its own.
    let whole = SharedGradient { dy in
        let gradients = AttentionInput.separate(
            queries: Tensor(uninitialized: [rows, heads.outputWidth]),
            keys: Tensor(uninitialized: [plan.keys.tensor.rowCount, heads.keyValueWidth]),
            values: Tensor(uninitialized: [plan.keys.tensor.rowCount, heads.keyValueWidth])
        ).parts(heads)
        let terms = bias.flatMap { $0.table.needsGradient ? plan.biasGradients(of: $0) : nil }
        plan.backward(output: output, dy, logSums: logSums, into: gradients, biasGradients: terms, adding: false)
        return (parts: gradients, biasTerms: terms)
    }
    func keyGradient(_ gradients: AttentionParts, _ part: KeyPath<AttentionParts, AttentionPart>) -> Tensor {
        layout?.rows(of: gradients[keyPath: part].tensor) ?? gradients[keyPath: part].tensor
    }
    let otherPullbacks = [
        pullback(for: prefix?.keys) { dy, gradient in layout?.addPrefix(of: whole(dy).parts.keys.tensor, to: &gradient)
        },
        pullback(for: prefix?.values) { dy, gradient in
            layout?.addPrefix(of: whole(dy).parts.values.tensor, to: &gradient)
        },
        pullback(for: bias?.table) { dy, gradient in
            if let bias, let terms = whole(dy).biasTerms { sumOverSequences(terms, bias.table, into: &gradient) }
        },
    ]
    switch input {
    case .packed(let qkv):
        return y.record(
            [
                pullback(for: qkv) { dy, gradient in
                    let (target, isFresh) = gradient.accumulator(shape: qkv.shape)
                    let (gradients, places) = (whole(dy).parts, AttentionInput.packed(target).parts(heads))
                    places.queries.add(gradients.queries.tensor, isFresh: isFresh)
                    places.keys.add(keyGradient(gradients, \.keys), isFresh: isFresh)
                    places.values.add(keyGradient(gradients, \.values), isFresh: isFresh)
                }
            ] + otherPullbacks)
    case .separate(let queries, let keys, let values):
        return y.record(
            [
                pullback(for: queries) { dy, gradient in gradient.add(whole(dy).parts.queries.tensor) },
                pullback(for: keys) { dy, gradient in gradient.add(keyGradient(whole(dy).parts, \.keys)) },
                pullback(for: values) { dy, gradient in gradient.add(keyGradient(whole(dy).parts, \.values)) },
            ] + otherPullbacks)
    }
}

/// One call of `attention`, cut into parts by its shape alone.
private struct AttentionPlan {
    let queries: AttentionPart
    /// Those of the prefix included.
    let keys: AttentionPart
    let values: AttentionPart
    let offsets: [Int]
    /// Of `keys` and `values`.
    let segments: KeySegments
    let heads: AttentionHeads
    let scale: Float
    let isCausal: Bool
    let window: Int
    let bias: AttentionBias?
    let dropout: Dropout?

    /// Whether the bias, where there is one, has a term for each pair of a query and a key.
    var isBiasCovering: Bool {
        guard let bias else { return true }
        return (0..<offsets.count - 1).allSatisfy {
            bias.covers(heads, queryCount: length($0), keyCount: keyCount($0))
        }
    }

    /// Room for the gradient of the bias from each sequence, [sequences, heads, distances].
    func biasGradients(of bias: AttentionBias) -> Tensor {
        Tensor(zeros: [offsets.count - 1, heads.count, bias.table.columnCount])
    }

    struct Part {
        var sequence: Int
        var head: Int
        var queries: Range<Int>
    }

    private func length(_ sequence: Int) -> Int { offsets[sequence + 1] - offsets[sequence] }

    private func keyCount(_ sequence: Int) -> Int { segments.counts[sequence] }

    /// How many keys precede that of a sequence's first query.
    private func past(_ sequence: Int) -> Int { keyCount(sequence) - length(sequence) }

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
            let seen = isCausal ? past(part.sequence) + part.queries.upperBound : keyCount(part.sequence)
            return part.queries.count * min(seen, window)
        }
        return parts.sorted { cost($0) > cost($1) }
    }

    /// Keys and values that the heads of a group see in a sequence; those of several segments are copied together.
    func keys(ofGroup group: Int, sequence: Int) -> SequenceKeys {
        let pieces = segments.chain(of: sequence).map(segments.rows)
        if pieces.count == 1 {
            return SequenceKeys(
                keys: keys.rows(pieces[0].lowerBound, pieces[0].count, head: group, of: heads.size),
                values: values.rows(pieces[0].lowerBound, pieces[0].count, head: group, of: heads.size), copies: nil)
        }
        let (count, size) = (keyCount(sequence), heads.size)
        let copies = TensorStorage(shape: [2, count, size])
        func gathered(_ part: AttentionPart, to target: UnsafeMutablePointer<Float>) -> Rows {
            var next = target
            for piece in pieces {
                let rows = part.rows(piece.lowerBound, piece.count, head: group, of: size)
                for row in 0..<rows.count {
                    next.update(from: rows.data + row * rows.stride, count: size)
                    next += size
                }
            }
            return Rows(data: target, stride: size, count: count, width: size)
        }
        return SequenceKeys(
            keys: gathered(keys, to: copies.base), values: gathered(values, to: copies.base + count * size),
            copies: copies)
    }

    func head(_ index: Int, sequence: Int, _ keys: SequenceKeys) -> AttentionHead {
        AttentionHead(
            queries: queries.rows(offsets[sequence], length(sequence), head: index, of: heads.size),
            keys: keys.keys, values: keys.values, past: past(sequence), isCausal: isCausal, window: window,
            scale: scale,
            bias: bias?.center(head: index), dropout: dropout,
            firstElement: (index * (offsets.last ?? 0) + offsets[sequence]) * segments.longest,
            elementStride: segments.longest)
    }

    /// One part for each sequence and each head of keys and values: nobody else adds to the part's gradients. Those of keys
    /// that several sequences see are of the first of them; the others have memory of their own, which is added then.
    func backward(
        output: Tensor, _ dy: Tensor, logSums: Tensor, into gradients: AttentionParts, biasGradients: Tensor?,
        adding: Bool
    ) {
        let others = segments.laterReaders
        let later = [
            Tensor(uninitialized: [others.rowCount, heads.keyValueWidth]),
            Tensor(uninitialized: [others.rowCount, heads.keyValueWidth]),
        ]
        let sequences = (0..<offsets.count - 1).sorted { length($0) > length($1) }
        let (width, size) = (heads.outputWidth, heads.size)
        WorkerPool.shared.run(sequences.count * heads.keyValueCount) { index in
            let sequence = sequences[index / heads.keyValueCount]
            let group = index % heads.keyValueCount
            let start = offsets[sequence]
            func rows(_ tensor: Tensor, _ head: Int) -> Rows {
                Rows(
                    data: tensor.data + start * width + head * size, stride: width, count: length(sequence),
                    width: size)
            }
            func target(_ part: AttentionPart, _ row: Int, head: Int) -> MutableRows {
                MutableRows(
                    data: part.tensor.data + row * part.stride + part.column + head * size, stride: part.stride)
            }
            let keys = keys(ofGroup: group, sequence: sequence)
            defer { withExtendedLifetime(keys) {} }
            let members = (group * heads.groupSize..<(group + 1) * heads.groupSize).map { head in
                AttentionHeadGradient(
                    head: self.head(head, sequence: sequence, keys), output: rows(output, head),
                    outputGradient: rows(dy, head), logSums: logSums.data + head * output.rowCount + start,
                    queryGradient: target(gradients.queries, start, head: head),
                    biasGradient: biasGradients.flatMap { terms in
                        bias.map { terms.data + (sequence * heads.count + head) * terms.columnCount + $0.origin }
                    })
            }
            let targets = zip(segments.chain(of: sequence), others.places[sequence]).map { segment, place in
                let rows = segments.rows(of: segment)
                let parts =
                    place == nil
                    ? (gradients.keys, gradients.values)
                    : (AttentionPart(tensor: later[0], column: 0), AttentionPart(tensor: later[1], column: 0))
                let first = place ?? rows.lowerBound
                return AttentionKeyGradient(
                    count: rows.count, keys: target(parts.0, first, head: group),
                    values: target(parts.1, first, head: group), adding: place == nil && adding)
            }
            attentionBackward(members, targets, adding: adding)
        }
        WorkerPool.shared.run(over: others.sums.count, grain: rowGrain(heads.keyValueWidth)) { range in
            for sum in others.sums[range] {
                for (part, source) in [(gradients.keys, later[0]), (gradients.values, later[1])] {
                    let target = part.tensor.data + sum.row * part.stride + part.column
                    for row in sum.others {
                        addRows(
                            target, source.data + row * heads.keyValueWidth, into: target, count: heads.keyValueWidth)
                    }
                }
            }
        }
    }
}

/// Keys and values that a sequence sees, for one head of them.
private struct SequenceKeys {
    let keys: Rows
    let values: Rows
    /// Where they lie if they are copies.
    let copies: TensorStorage?
}

/// The bias's gradient, from what each sequence has for each head and distance.
private func sumOverSequences(_ terms: Tensor, _ table: Tensor, into gradient: inout Gradient) {
    let (target, isFresh) = gradient.accumulator(shape: table.shape)
    if isFresh { target.data.update(repeating: 0, count: table.count) }
    for sequence in 0..<terms.shape[0] {
        addRows(target.data, terms.data + sequence * table.count, into: target.data, count: table.count)
    }
}
