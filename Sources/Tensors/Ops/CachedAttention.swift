import CVectors
import Diagnostics

/// One sequence's part of a call of `attendCached`: some new tokens, and the keys and values of all its tokens so far.
public struct CachedSequence {
    /// The rows of the queries that belong to this sequence, its last tokens.
    public var rows: Range<Int>
    /// Keys and values as [length, keyValueCount · size] each, those of the new tokens included.
    public var keys: UnsafePointer<Float>
    public var values: UnsafePointer<Float>
    public var length: Int

    public init(
        rows: Range<Int>, keys: UnsafePointer<Float>, values: UnsafePointer<Float>, length: Int
    ) {
        require(rows.lowerBound >= 0 && length >= 0, "CachedSequence: queries \(rows) of \(length) tokens")
        self.rows = rows
        self.keys = keys
        self.values = values
        self.length = length
    }
}

/// Attention of new tokens to all tokens of their sequences, for generation: without record.
///
/// `queries` is [rows, at least count · size] with the queries of all heads in its first columns, so a packed
/// query-key-value matrix serves as it is; with a `window` each sees only the last so many tokens, its own included.
/// Returns [rows, count · size]. Several tokens of a sequence may be new at
/// once; each sees itself and those before it where `isCausal`, and all otherwise. Works for one token a sequence without copying keys or values.
public func attendCached(
    _ queries: Tensor, sequences: [CachedSequence], heads: AttentionHeads, scale: Float, isCausal: Bool = true,
    window: Int? = nil, bias: AttentionBias? = nil
) -> Tensor {
    require(
        sequences.allSatisfy { isCausal ? $0.length >= $0.rows.count : $0.length > 0 },
        "attendCached: \(sequences.map(\.rows.count)) queries of \(sequences.map(\.length)) tokens")
    require(
        queries.columnCount >= heads.outputWidth
            && sequences.allSatisfy { $0.rows.lowerBound >= 0 && $0.rows.upperBound <= queries.rowCount },
        "attendCached: queries \(queries.shape) for \(heads), rows \(sequences.map(\.rows))")
    require((window ?? 1) > 0, "attendCached: a window of \(window ?? 0) tokens")
    require(
        sequences.allSatisfy { bias?.covers(heads, queryCount: $0.rows.count, keyCount: $0.length) ?? true },
        "attendCached: a bias \(bias?.table.shape ?? []) from \(bias?.origin ?? 0) for \(sequences.map(\.length)) tokens"
    )
    let y = Tensor(uninitialized: [queries.rowCount, heads.outputWidth])
    let stride = heads.keyValueCount * heads.size
    // A row of scores for each part of the work.
    let scoreCount = ((sequences.map(\.length).max() ?? 0) + 7) & ~7
    let scores = TensorStorage(shape: [sequences.count, heads.count, scoreCount])
    defer { withExtendedLifetime(scores) {} }
    WorkerPool.shared.run(sequences.count * heads.count) { index in
        let (sequenceIndex, head) = index.quotientAndRemainder(dividingBy: heads.count)
        let sequence = sequences[sequenceIndex]
        let column = head / heads.groupSize * heads.size
        let (count, first) = (sequence.rows.count, sequence.rows.lowerBound)
        let call = AttentionHead(
            queries: Rows(
                data: queries.data + first * queries.columnCount + head * heads.size, stride: queries.columnCount,
                count: count, width: heads.size),
            keys: Rows(data: sequence.keys + column, stride: stride, count: sequence.length, width: heads.size),
            values: Rows(data: sequence.values + column, stride: stride, count: sequence.length, width: heads.size),
            past: sequence.length - count, isCausal: isCausal, window: window ?? .max, scale: scale,
            bias: bias?.center(head: head), dropout: nil)
        let output = y.data + first * heads.outputWidth + head * heads.size
        if count < fewQueries {
            attendDirectly(
                call, scores: scores.base + index * scoreCount, output: output, outputStride: heads.outputWidth)
        } else {
            for start in Swift.stride(from: 0, to: count, by: AttentionBlock.partQueries) {
                attentionForward(
                    call, range: start..<min(count, start + AttentionBlock.partQueries), output: output,
                    outputStride: heads.outputWidth, logSums: nil)
            }
        }
    }
    OpTimer.lap()
    return y
}

/// Below this number of queries copying the keys into panels costs more than it gains.
private let fewQueries = 6

/// One query after the other, straight from the rows of keys and values.
private func attendDirectly(
    _ head: AttentionHead, scores: UnsafeMutablePointer<Float>, output: UnsafeMutablePointer<Float>, outputStride: Int
) {
    let width = head.queries.width
    for row in 0..<head.queries.count {
        let first = head.firstKey(of: row)
        let visible = head.visibleKeys(before: row + 1) - first
        var product = peft_product(
            a: head.queries.data + row * head.queries.stride, a_stride: head.queries.stride,
            b: head.keys.data + first * head.keys.stride,
            b_stride: head.keys.stride, b_is_half: 0, c: scores, c_stride: visible, rows: 1, columns: visible,
            depth: width, alpha: head.scale, beta: 0)
        peft_product_by_columns(&product)
        if let bias = head.bias { addRows(scores, bias + (first - head.past - row), into: scores, count: visible) }
        let padded = (visible + 7) & ~7
        for key in visible..<padded { scores[key] = -.infinity }
        var largest = Lanes(repeating: -.infinity)
        for key in Swift.stride(from: 0, to: padded, by: 8) { largest = peft_max(largest, scores.lanes(key)) }
        let maximum = largest.largest
        var sums = Lanes(repeating: 0)
        for key in Swift.stride(from: 0, to: padded, by: 8) {
            let p = exponentialOfNonPositive(scores.lanes(key) - maximum)
            sums += p
            scores.setLanes(key, p)
        }
        weighRows(
            head.values.slice(first, visible), count: visible, weights: scores, factor: 1 / sums.total,
            into: output + row * outputStride,
            width: width)
    }
}

/// y = factor · Σⱼ weightsⱼ · rowⱼ, up to 32 columns at a time.
private func weighRows(
    _ rows: Rows, count: Int, weights: UnsafePointer<Float>, factor: Float, into y: UnsafeMutablePointer<Float>,
    width: Int
) {
    var column = 0
    while column + 32 <= width {
        let zero = Lanes(repeating: 0)
        var (a, b, c, d) = (zero, zero, zero, zero)
        var row = rows.data + column
        for j in 0..<count {
            let weight = Lanes(repeating: weights[j])
            a.addProduct(row.lanes(0), weight)
            b.addProduct(row.lanes(8), weight)
            c.addProduct(row.lanes(16), weight)
            d.addProduct(row.lanes(24), weight)
            row += rows.stride
        }
        y.setLanes(column, a * factor)
        y.setLanes(column + 8, b * factor)
        y.setLanes(column + 16, c * factor)
        y.setLanes(column + 24, d * factor)
        column += 32
    }
    while column < width {
        let lanes = min(8, width - column)
        var sum = Lanes(repeating: 0)
        for j in 0..<count {
            let row = rows.data + j * rows.stride + column
            let value = lanes == 8 ? row.lanes(0) : Lanes(row, count: lanes, otherwise: 0)
            sum.addProduct(value, Lanes(repeating: weights[j]))
        }
        (sum * factor).store(y + column, count: lanes)
        column += lanes
    }
}
