import CVectors
import Diagnostics

/// Some tokens' keys and values, [count, keyValueCount · size] each.
public struct KeyValueRows {
    public var keys: UnsafePointer<Float>
    public var values: UnsafePointer<Float>
    public var count: Int

    public init(keys: UnsafePointer<Float>, values: UnsafePointer<Float>, count: Int) {
        require(count >= 0, "KeyValueRows: \(count) tokens")
        self.keys = keys
        self.values = values
        self.count = count
    }
}

/// One sequence's part of a call of `attendCached`: some new tokens, and the keys and values of all its tokens so far.
public struct CachedSequence {
    /// The rows of the queries that belong to this sequence, its last tokens.
    public var rows: Range<Int>
    /// All tokens one after the other, wherever they lie: several sequences may have the same beginning. Those of the new
    /// tokens are included.
    public var parts: [KeyValueRows]
    /// The tokens that are read together, these among them, though in several passes: their number decides which kernel
    /// computes them, so that the bits don't depend on where a text is cut.
    public var readCount: Int

    public init(rows: Range<Int>, parts: [KeyValueRows], readCount: Int) {
        require(
            rows.lowerBound >= 0 && readCount >= rows.count,
            "CachedSequence: queries \(rows) of \(readCount) that are read")
        self.rows = rows
        self.parts = parts
        self.readCount = readCount
    }

    /// The tokens so far.
    public var length: Int { parts.reduce(0) { $0 + $1.count } }
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
    let lengths = sequences.map(\.length)
    require(
        zip(sequences, lengths).allSatisfy { isCausal ? $1 >= $0.rows.count : $1 > 0 },
        "attendCached: \(sequences.map(\.rows.count)) queries of \(lengths) tokens")
    require(
        queries.columnCount >= heads.outputWidth
            && sequences.allSatisfy { $0.rows.lowerBound >= 0 && $0.rows.upperBound <= queries.rowCount },
        "attendCached: queries \(queries.shape) for \(heads), rows \(sequences.map(\.rows))")
    require((window ?? 1) > 0, "attendCached: a window of \(window ?? 0) tokens")
    require(
        zip(sequences, lengths).allSatisfy { bias?.covers(heads, queryCount: $0.rows.count, keyCount: $1) ?? true },
        "attendCached: a bias \(bias?.table.shape ?? []) from \(bias?.origin ?? 0) for \(lengths) tokens"
    )
    let y = Tensor(uninitialized: [queries.rowCount, heads.outputWidth])
    // A row of scores for each part of the work.
    let scoreCount = ((lengths.max() ?? 0) + 7) & ~7
    let scores = TensorStorage(shape: [sequences.count, heads.count, scoreCount])
    defer { withExtendedLifetime(scores) {} }
    WorkerPool.shared.run(sequences.count * heads.count) { index in
        // Heads that read the same keys come one after the other, first those of a sequence, then those of sequences that
        // may begin alike.
        let (group, member) = index.quotientAndRemainder(dividingBy: sequences.count * heads.groupSize)
        let (sequenceIndex, place) = member.quotientAndRemainder(dividingBy: heads.groupSize)
        let head = group * heads.groupSize + place
        let sequence = sequences[sequenceIndex]
        if sequence.rows.isEmpty { return }
        let first = sequence.rows.lowerBound
        let task = CachedHead(
            sequence: sequence, length: lengths[sequenceIndex], isCausal: isCausal, window: window ?? .max,
            scale: scale,
            width: heads.size, stride: heads.keyValueWidth, column: group * heads.size,
            bias: bias?.center(head: head),
            queries: queries.data + first * queries.columnCount + head * heads.size, queryStride: queries.columnCount,
            output: y.data + first * heads.outputWidth + head * heads.size, outputStride: heads.outputWidth)
        if sequence.readCount < fewQueries {
            task.attendDirectly(scores: scores.base + index * scoreCount)
        } else {
            task.attendByBlocks()
        }
    }
    OpTimer.lap()
    return y
}

/// Below this number of queries copying the keys into panels costs more than it gains.
private let fewQueries = 6

/// One head's part of the work for one sequence.
private struct CachedHead {
    let sequence: CachedSequence
    let length: Int
    let isCausal: Bool
    let window: Int
    let scale: Float
    /// Columns of the head.
    let width: Int
    /// The distance from one token's keys to the next one's, and the column of the head's first.
    let stride: Int
    let column: Int
    let bias: UnsafePointer<Float>?
    let queries: UnsafePointer<Float>
    let queryStride: Int
    let output: UnsafeMutablePointer<Float>
    let outputStride: Int

    private var past: Int { length - sequence.rows.count }

    /// A block of queries at a time, as whole sequences are attended to.
    func attendByBlocks() {
        guard let last = sequence.parts.last else { return }
        let count = sequence.rows.count
        let isWhole = sequence.parts.count == 1
        // The kernel reads its keys from one place.
        let whole = isWhole ? nil : TensorStorage(shape: [2, length, width])
        defer { withExtendedLifetime(whole) {} }
        var (keys, values) = (last.keys + column, last.values + column)
        if let whole {
            let targets = (whole.base, whole.base + length * width)
            copyRows(\.keys, to: targets.0)
            copyRows(\.values, to: targets.1)
            (keys, values) = (UnsafePointer(targets.0), UnsafePointer(targets.1))
        }
        let rowStride = isWhole ? stride : width
        let head = AttentionHead(
            queries: Rows(data: queries, stride: queryStride, count: count, width: width),
            keys: Rows(data: keys, stride: rowStride, count: length, width: width),
            values: Rows(data: values, stride: rowStride, count: length, width: width), past: past,
            isCausal: isCausal, window: window, scale: scale, bias: bias, dropout: nil)
        for start in Swift.stride(from: 0, to: count, by: AttentionBlock.partQueries) {
            attentionForward(
                head, range: start..<min(count, start + AttentionBlock.partQueries), output: output,
                outputStride: outputStride, logSums: nil)
        }
    }

    private func copyRows(
        _ data: KeyPath<KeyValueRows, UnsafePointer<Float>>, to target: UnsafeMutablePointer<Float>
    ) {
        var target = target
        for part in sequence.parts {
            var from = part[keyPath: data] + column
            for _ in 0..<part.count {
                target.update(from: from, count: width)
                target += width
                from += stride
            }
        }
    }

    /// One query after the other, straight from the rows of keys and values.
    func attendDirectly(scores: UnsafeMutablePointer<Float>) {
        for row in 0..<sequence.rows.count {
            let first = isCausal ? max(0, past + row + 1 - window) : 0
            let end = isCausal ? past + row + 1 : length
            let visible = end - first
            forEachPart(of: first..<end) { part, rows, place in
                var product = peft_product(
                    a: queries + row * queryStride, a_stride: queryStride,
                    b: part.keys + rows.lowerBound * stride + column, b_stride: stride, b_is_half: 0,
                    c: scores + place, c_stride: rows.count, rows: 1, columns: rows.count, depth: width, alpha: scale,
                    beta: 0)
                peft_product_by_columns(&product)
            }
            if let bias { addRows(scores, bias + (first - past - row), into: scores, count: visible) }
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
            weighRows(first..<end, weights: scores, factor: 1 / sums.total, into: output + row * outputStride)
        }
    }

    /// Calls `body` with each part that has some of the tokens, its own rows of them, and how many come before those.
    @inline(__always)
    private func forEachPart(of tokens: Range<Int>, _ body: (KeyValueRows, Range<Int>, Int) -> Void) {
        var start = 0
        for part in sequence.parts {
            let (first, end) = (max(0, tokens.lowerBound - start), min(part.count, tokens.upperBound - start))
            if first < end { body(part, first..<end, start + first - tokens.lowerBound) }
            start += part.count
        }
    }

    /// y = factor · Σⱼ weightsⱼ · valueⱼ over some tokens in their order, up to 32 columns at a time.
    private func weighRows(
        _ tokens: Range<Int>, weights: UnsafePointer<Float>, factor: Float, into y: UnsafeMutablePointer<Float>
    ) {
        let zero = Lanes(repeating: 0)
        var place = 0
        while place + 32 <= width {
            var (a, b, c, d) = (zero, zero, zero, zero)
            forEachPart(of: tokens) { part, rows, start in
                var row = part.values + rows.lowerBound * stride + column + place
                for j in start..<start + rows.count {
                    let weight = Lanes(repeating: weights[j])
                    a.addProduct(row.lanes(0), weight)
                    b.addProduct(row.lanes(8), weight)
                    c.addProduct(row.lanes(16), weight)
                    d.addProduct(row.lanes(24), weight)
                    row += stride
                }
            }
            y.setLanes(place, a * factor)
            y.setLanes(place + 8, b * factor)
            y.setLanes(place + 16, c * factor)
            y.setLanes(place + 24, d * factor)
            place += 32
        }
        while place < width {
            let lanes = min(8, width - place)
            var sum = zero
            forEachPart(of: tokens) { part, rows, start in
                var row = part.values + rows.lowerBound * stride + column + place
                for j in start..<start + rows.count {
                    let value = lanes == 8 ? row.lanes(0) : Lanes(row, count: lanes, otherwise: 0)
                    sum.addProduct(value, Lanes(repeating: weights[j]))
                    row += stride
                }
            }
            (sum * factor).store(y + place, count: lanes)
            place += lanes
        }
    }
}
