import CVectors
import Glibc

/// One head's attention: queries against keys and values, each a matrix of `headSize` columns somewhere in memory.
///
/// Keys that everyone sees, a prefix say, come first among the keys and lengthen `past`.
struct AttentionHead {
    var queries: Rows
    var keys: Rows
    var values: Rows
    /// How many keys precede the first query's own: with `isCausal` query i sees the keys 0...past + i.
    var past: Int
    var isCausal: Bool
    /// With `isCausal` a query sees only the last so many of these keys, its own included.
    var window = Int.max
    var scale: Float
    /// What is added to the score of a key as far behind its query's own place, or before it.
    var bias: UnsafePointer<Float>?
    /// Names the elements of the probability matrix for dropout: element (i, j) has the number
    /// `firstElement + i * elementStride + j`.
    var dropout: Dropout?
    var firstElement = 0
    var elementStride = 0

    /// The number of an element of the probability matrix.
    @inline(__always) func number(query: Int, key: Int) -> Int { firstElement + query * elementStride + key }

    /// The number of keys that some query below `end` sees.
    @inline(__always) func visibleKeys(before end: Int) -> Int {
        isCausal ? min(keys.count, past + end) : keys.count
    }

    /// The first key that a query sees.
    @inline(__always) func firstKey(of query: Int) -> Int {
        isCausal ? max(0, past + query + 1 - window) : 0
    }

    /// The head without its first keys, which none of the queries sees.
    func dropping(keys count: Int) -> AttentionHead {
        if count == 0 { return self }
        var head = self
        head.keys = keys.slice(count, keys.count - count)
        head.values = values.slice(count, values.count - count)
        head.past -= count
        head.firstElement += count
        return head
    }

    /// Adds the bias to a band's scores, the first of which is that of `query` and `key`.
    @inline(__always) func addBias(
        _ scores: UnsafeMutablePointer<Float>, query: Int, key: Int, band: KeyBand
    ) {
        guard let bias else { return }
        for row in 0..<min(band.rows.count, queries.count - query) {
            let start = scores + row * AttentionBlock.keys
            addRows(start, bias + (key - past - query - row), into: start, count: band.keys)
        }
    }

    /// Takes the keys in front of each query's window out of a band's scores, the first of which is that of `query` and
    /// `key`.
    @inline(__always) func hideKeysBeforeWindow(
        _ scores: UnsafeMutablePointer<Float>, query: Int, key: Int, band: KeyBand
    ) {
        if firstKey(of: query + band.rows.count - 1) <= key { return }
        for row in 0..<band.rows.count {
            let hidden = min(firstKey(of: query + row) - key, band.paddedKeys)
            if hidden > 0 { (scores + row * AttentionBlock.keys).update(repeating: -.infinity, count: hidden) }
        }
    }
}

enum AttentionBlock {
    /// Queries and keys whose scores are computed at a time: 64 × 128 floats, 32 KiB, measured best.
    static let queries = 64
    static let keys = 128
    /// Queries of one part of the work, so that copying the keys costs little and long sequences still are shared out.
    static let partQueries = 256
}

/// out = softmax(scale · Q Kᵀ + bias + mask) V for the queries in `range`, block by block with a running maximum and sum
/// (Milakov and Gimelshein 2018; Dao et al. 2022), and per query the logarithm of the sum of exponentials.
///
/// `logSums` may be nil. `output` is the row of query 0.
func attentionForward(
    _ head: AttentionHead, range: Range<Int>, output: UnsafeMutablePointer<Float>, outputStride: Int,
    logSums: UnsafeMutablePointer<Float>?
) {
    // Whole blocks, so that where blocks begin, and with it the bits, doesn't depend on the queries that are computed together.
    let unseen = min(head.firstKey(of: range.lowerBound), head.keys.count)
    let head = head.dropping(keys: unseen / AttentionBlock.keys * AttentionBlock.keys)
    let width = Panel.padded(head.queries.width)
    let keyCount = head.visibleKeys(before: range.upperBound)
    let paddedKeys = Panel.padded(keyCount)
    let (blockQueries, blockKeys) = (AttentionBlock.queries, AttentionBlock.keys)
    let scratch = TensorStorage(shape: [2 * paddedKeys * width + blockQueries * (2 * width + blockKeys + 2)])
    defer { withExtendedLifetime(scratch) {} }
    let keys = scratch.base
    let values = keys + paddedKeys * width
    let queries = values + paddedKeys * width
    let sums = queries + blockQueries * width
    let scores = sums + blockQueries * width
    let maxima = scores + blockQueries * blockKeys
    let totals = maxima + blockQueries
    packTransposedPanels(head.keys.prefix(keyCount), into: keys)
    packPanels(head.values.prefix(keyCount), scale: 1, into: values)

    var first = range.lowerBound
    while first < range.upperBound {
        let count = min(blockQueries, range.upperBound - first)
        let rows = Panel.padded(count)
        packRows(head.queries.slice(first, count), scale: head.scale, into: queries)
        sums.update(repeating: 0, count: rows * width)
        maxima.update(repeating: -.infinity, count: rows)
        totals.update(repeating: 0, count: rows)
        let visible = head.visibleKeys(before: first + count)
        var key = head.firstKey(of: first) / blockKeys * blockKeys
        while key < visible {
            let keysHere = min(blockKeys, visible - key)
            let bands = KeyBands(head: head, firstQuery: first, rows: rows, key: key, keys: keysHere)
            for band in bands {
                let row = band.rows.lowerBound
                panelProduct(
                    queries + row * width, rowStep: width, depthStep: 1, keys + key * width,
                    panelStride: width * Panel.width, into: scores + row * blockKeys, stride: blockKeys,
                    rows: band.rows.count, columns: band.paddedKeys, depth: head.queries.width, adding: false)
                head.addBias(scores + row * blockKeys, query: first + row, key: key, band: band)
                head.hideKeysBeforeWindow(scores + row * blockKeys, query: first + row, key: key, band: band)
                softmaxStep(
                    head, scores: scores + row * blockKeys, query: first + row, key: key, band: band,
                    maxima: maxima + row, totals: totals + row, sums: sums + row * width, width: width)
                panelProduct(
                    scores + row * blockKeys, rowStep: blockKeys, depthStep: 1, values + key * Panel.width,
                    panelStride: paddedKeys * Panel.width, into: sums + row * width, stride: width,
                    rows: band.rows.count, columns: width, depth: band.keys, adding: true)
            }
            key += blockKeys
        }
        for row in 0..<count {
            let target = output + (first + row) * outputStride
            unpack(
                sums + row * width, rows: 1, width: head.queries.width, 1 / totals[row], target, outputStride, false)
            logSums?[first + row] = maxima[row] + log(totals[row])
        }
        first += count
    }
}

/// Takes a band's scores of the keys from `key` on into the running softmax of its queries, the first of which is
/// `query`: the scores become exponentials relative to the new maximum, dropout applied, and what was summed before is
/// rescaled.
private func softmaxStep(
    _ head: AttentionHead, scores: UnsafeMutablePointer<Float>, query: Int, key: Int, band: KeyBand,
    maxima: UnsafeMutablePointer<Float>, totals: UnsafeMutablePointer<Float>, sums: UnsafeMutablePointer<Float>,
    width: Int
) {
    if peft_uses_wide_vectors() != 0 {
        var block = peft_scores(head, scores, query: query, key: key, band: band)
        return peft_wide_softmax(&block, maxima, totals, sums, width)
    }
    for row in 0..<band.rows.count {
        softmaxStep(
            head, scores: scores + row * AttentionBlock.keys, query: query + row, key: key, band: band,
            maximum: maxima + row, total: totals + row, sums: sums + row * width, width: width)
    }
}

@inline(__always)
private func softmaxStep(
    _ head: AttentionHead, scores: UnsafeMutablePointer<Float>, query: Int, key: Int, band: KeyBand,
    maximum: UnsafeMutablePointer<Float>, total: UnsafeMutablePointer<Float>, sums: UnsafeMutablePointer<Float>,
    width: Int
) {
    let seen = band.visibleKeys(query: query, head: head, key: key)
    for j in seen..<band.paddedKeys { scores[j] = -.infinity }
    var largest = Lanes(repeating: -.infinity)
    var j = 0
    while j < band.paddedKeys {
        largest = peft_max(largest, scores.lanes(j))
        j += 8
    }
    let new = max(maximum[0], largest.largest)
    if new > maximum[0] {
        let factor = exponentialOfNonPositive(Lanes(repeating: maximum[0] - new))
        total[0] *= factor[0]
        j = 0
        while j < width {
            sums.setLanes(j, sums.lanes(j) * factor)
            j += 8
        }
        maximum[0] = new
    }
    // A row of nothing but −∞ so far keeps a maximum of −∞; its scores count 0.
    let shift = new == -.infinity ? 0 : new
    let number = head.number(query: query, key: key)
    @inline(__always) func exponentials(_ j: Int) -> Lanes {
        let p = exponentialOfNonPositive(scores.lanes(j) - shift)
        scores.setLanes(j, head.dropout.map { p * $0.factors(number + j) } ?? p)
        return p
    }
    var sum = (Lanes(repeating: 0), Lanes(repeating: 0))
    j = 0
    while j < band.paddedKeys {
        sum.0 += exponentials(j)
        sum.1 += exponentials(j + 8)
        j += 16
    }
    total[0] += (sum.0 + sum.1).total
}

extension peft_scores {
    /// The scores of a band whose first query is `query`, for the keys from `key` on.
    init(_ head: AttentionHead, _ scores: UnsafeMutablePointer<Float>, query: Int, key: Int, band: KeyBand) {
        let dropout = head.dropout
        self.init(
            scores: scores, stride: AttentionBlock.keys, rows: band.rows.count, columns: band.paddedKeys,
            seen: head.isCausal ? head.past + query + 1 - key : band.keys, seen_step: head.isCausal ? 1 : 0,
            keys: band.keys, drops: dropout == nil ? 0 : 1, threshold: dropout?.threshold ?? 0,
            low: UInt32(truncatingIfNeeded: dropout?.key ?? 0),
            high: UInt32(truncatingIfNeeded: (dropout?.key ?? 0) >> 32),
            number: UInt32(truncatingIfNeeded: head.number(query: query, key: key)),
            number_step: UInt32(truncatingIfNeeded: head.elementStride), scale: dropout?.scale ?? 1)
    }
}

/// Rows of queries of a block, and how many of the block's keys the last of them sees.
struct KeyBand {
    var rows: Range<Int>
    var keys: Int
    var paddedKeys: Int { Panel.padded(keys) }

    /// How many of the band's keys query `query` sees, the block's first key being `key`.
    @inline(__always) func visibleKeys(query: Int, head: AttentionHead, key: Int) -> Int {
        head.isCausal ? max(0, min(keys, head.past + query + 1 - key)) : keys
    }
}

/// A block of scores cut into bands of 16 queries where the causal diagonal runs through it, so that little is
/// computed above the diagonal; one band elsewhere.
struct KeyBands: Sequence, IteratorProtocol {
    private let head: AttentionHead
    private let firstQuery: Int
    private let rows: Int
    private let key: Int
    private let keys: Int
    private let height: Int
    private var row = 0

    init(head: AttentionHead, firstQuery: Int, rows: Int, key: Int, keys: Int) {
        self.head = head
        self.firstQuery = firstQuery
        self.rows = rows
        self.key = key
        self.keys = keys
        let isCut = head.isCausal && head.past + firstQuery + 1 < key + keys
        height = isCut ? Panel.width : rows
    }

    @inline(__always) mutating func next() -> KeyBand? {
        while row < rows {
            let range = row..<Swift.min(rows, row + height)
            row = range.upperBound
            let seen = head.isCausal ? Swift.min(keys, head.past + firstQuery + range.upperBound - key) : keys
            if seen > 0 { return KeyBand(rows: range, keys: seen) }
        }
        return nil
    }
}

extension Rows {
    @inline(__always) func prefix(_ count: Int) -> Rows { slice(0, count) }

    @inline(__always) func slice(_ first: Int, _ count: Int) -> Rows {
        Rows(data: data + first * stride, stride: stride, count: count, width: width)
    }
}
