import CVectors

/// What the way back through one head needs besides the head itself.
struct AttentionHeadGradient {
    var head: AttentionHead
    var output: Rows
    var outputGradient: Rows
    /// Per query, as the forward pass left them.
    var logSums: UnsafePointer<Float>
    var queryGradient: MutableRows
    /// That of the head's `bias`, distance by distance, to which is added.
    var biasGradient: UnsafeMutablePointer<Float>?

    /// Adds the gradients of a band's scores to the bias's, each to that of its distance.
    @inline(__always) func addBiasGradient(
        of scoreGradients: UnsafePointer<Float>, query: Int, key: Int, band: KeyBand
    ) {
        guard let biasGradient else { return }
        for row in 0..<min(band.rows.count, head.queries.count - query) {
            let target = biasGradient + (key - head.past - query - row)
            addRows(
                target, scoreGradients + row * AttentionBlock.keys, into: target,
                count: band.visibleKeys(query: query + row, head: head, key: key))
        }
    }
}

/// Rows of a gradient, somewhere in memory.
struct MutableRows {
    var data: UnsafeMutablePointer<Float>
    var stride: Int
}

/// Where the gradients of some keys and their values go.
struct AttentionKeyGradient {
    var count: Int
    var keys: MutableRows
    var values: MutableRows
    /// Whether they are added to what is there.
    var adding: Bool
}

/// The gradients of the heads of one group, which share their keys and values.
///
/// With P = exp(scale · Q Kᵀ + bias − logSums), F the dropout factors and D = rowsum(dO ∘ O):
/// dV = (P ∘ F)ᵀ dO, dS = P ∘ (F ∘ (dO Vᵀ) − D), dQ = scale · dS K, dK = scale · dSᵀ Q, and the bias's gradient is the sum of dS at
/// each distance, again block by block.
///
/// The queries' gradients are added to what they hold where `adding`; those of the keys and values go to `targets`, one
/// behind the other.
func attentionBackward(_ group: [AttentionHeadGradient], _ targets: [AttentionKeyGradient], adding: Bool) {
    guard let shared = group.first?.head else { return }
    let workspace = AttentionWorkspace(keys: shared.keys.count, headSize: shared.keys.width)
    defer { withExtendedLifetime(workspace.storage) {} }
    packTransposedPanels(shared.keys, into: workspace.keysTransposed)
    packPanels(shared.keys, scale: 1, into: workspace.keys)
    packTransposedPanels(shared.values, into: workspace.valuesTransposed)
    let count = workspace.paddedKeys * workspace.width
    workspace.keyGradient.update(repeating: 0, count: count)
    workspace.valueGradient.update(repeating: 0, count: count)
    for member in group {
        var first = 0
        while first < member.head.queries.count {
            let count = min(AttentionBlock.queries, member.head.queries.count - first)
            queryBlockBackward(member, workspace, first: first, count: count, adding: adding)
            first += count
        }
    }
    let width = shared.keys.width
    var first = 0
    for target in targets {
        let (rows, start) = (target.count, first * workspace.width)
        unpack(
            workspace.keyGradient + start, rows: rows, width: width, 1, target.keys.data, target.keys.stride,
            target.adding)
        unpack(
            workspace.valueGradient + start, rows: rows, width: width, 1, target.values.data, target.values.stride,
            target.adding)
        first += rows
    }
}

/// Scratch memory for the way back through a group of heads; `width` is the padded head size.
private struct AttentionWorkspace {
    let width: Int
    let paddedKeys: Int
    let storage: TensorStorage
    /// Right operands for S = Q Kᵀ, dP = dO Vᵀ and dQ = dS K.
    let keysTransposed: UnsafeMutablePointer<Float>
    let valuesTransposed: UnsafeMutablePointer<Float>
    let keys: UnsafeMutablePointer<Float>
    let keyGradient: UnsafeMutablePointer<Float>
    let valueGradient: UnsafeMutablePointer<Float>
    /// A block of queries and of output gradients, by rows and as right operands.
    let queries: UnsafeMutablePointer<Float>
    let queryPanels: UnsafeMutablePointer<Float>
    let outputGradients: UnsafeMutablePointer<Float>
    let outputGradientPanels: UnsafeMutablePointer<Float>
    let queryGradient: UnsafeMutablePointer<Float>
    let probabilities: UnsafeMutablePointer<Float>
    let scoreGradients: UnsafeMutablePointer<Float>
    let rowTerms: UnsafeMutablePointer<Float>

    init(keys count: Int, headSize: Int) {
        width = Panel.padded(headSize)
        paddedKeys = Panel.padded(count)
        let (perKeys, perQueries) = (paddedKeys * width, AttentionBlock.queries * width)
        let block = AttentionBlock.queries * AttentionBlock.keys
        storage = TensorStorage(shape: [5 * perKeys + 5 * perQueries + 2 * block + 2 * AttentionBlock.queries])
        var next = storage.base
        func take(_ count: Int) -> UnsafeMutablePointer<Float> {
            defer { next += count }
            return next
        }
        keysTransposed = take(perKeys)
        valuesTransposed = take(perKeys)
        keys = take(perKeys)
        keyGradient = take(perKeys)
        valueGradient = take(perKeys)
        queries = take(perQueries)
        queryPanels = take(perQueries)
        outputGradients = take(perQueries)
        outputGradientPanels = take(perQueries)
        queryGradient = take(perQueries)
        probabilities = take(block)
        scoreGradients = take(block)
        rowTerms = take(2 * AttentionBlock.queries)
    }
}

private func queryBlockBackward(
    _ member: AttentionHeadGradient, _ workspace: AttentionWorkspace, first: Int, count: Int, adding: Bool
) {
    let head = member.head
    let (width, headSize) = (workspace.width, head.queries.width)
    let rows = Panel.padded(count)
    let queries = head.queries.slice(first, count)
    let outputGradients = member.outputGradient.slice(first, count)
    packRows(queries, scale: head.scale, into: workspace.queries)
    packPanels(queries, scale: head.scale, into: workspace.queryPanels)
    packRows(outputGradients, scale: 1, into: workspace.outputGradients)
    packPanels(outputGradients, scale: 1, into: workspace.outputGradientPanels)
    workspace.queryGradient.update(repeating: 0, count: rows * width)
    let (logSums, dots) = (workspace.rowTerms, workspace.rowTerms + AttentionBlock.queries)
    for row in 0..<rows {
        logSums[row] = row < count ? member.logSums[first + row] : 0
        dots[row] = row < count ? dot(outputGradients, member.output.slice(first, count), row: row) : 0
    }
    let blockKeys = AttentionBlock.keys
    let visible = head.visibleKeys(before: first + count)
    var key = head.firstKey(of: first) / blockKeys * blockKeys
    while key < visible {
        let keysHere = min(blockKeys, visible - key)
        for band in KeyBands(head: head, firstQuery: first, rows: rows, key: key, keys: keysHere) {
            let row = band.rows.lowerBound
            let probabilities = workspace.probabilities + row * blockKeys
            let scoreGradients = workspace.scoreGradients + row * blockKeys
            panelProduct(
                workspace.queries + row * width, rowStep: width, depthStep: 1, workspace.keysTransposed + key * width,
                panelStride: width * Panel.width, into: probabilities, stride: blockKeys, rows: band.rows.count,
                columns: band.paddedKeys, depth: headSize, adding: false)
            panelProduct(
                workspace.outputGradients + row * width, rowStep: width, depthStep: 1,
                workspace.valuesTransposed + key * width, panelStride: width * Panel.width, into: scoreGradients,
                stride: blockKeys, rows: band.rows.count, columns: band.paddedKeys, depth: headSize, adding: false)
            head.addBias(probabilities, query: first + row, key: key, band: band)
            head.hideKeysBeforeWindow(probabilities, query: first + row, key: key, band: band)
            softmaxBackward(
                head, probabilities: probabilities, scoreGradients: scoreGradients, query: first + row, key: key,
                band: band, logSums: logSums + row, dots: dots + row)
            member.addBiasGradient(of: scoreGradients, query: first + row, key: key, band: band)
            panelProduct(
                scoreGradients, rowStep: blockKeys, depthStep: 1, workspace.keys + key * Panel.width,
                panelStride: workspace.paddedKeys * Panel.width, into: workspace.queryGradient + row * width,
                stride: width, rows: band.rows.count, columns: width, depth: band.keys, adding: true)
        }
        keyBlockBackward(head, workspace, first: first, rows: rows, key: key, keys: keysHere)
        key += blockKeys
    }
    unpack(
        workspace.queryGradient, rows: count, width: headSize, head.scale,
        member.queryGradient.data + first * member.queryGradient.stride, member.queryGradient.stride, adding)
}

/// Adds what a block of scores contributes to the gradients of its keys and values; on the causal diagonal by bands of
/// keys, each from the first query on that sees it.
private func keyBlockBackward(
    _ head: AttentionHead, _ workspace: AttentionWorkspace, first: Int, rows: Int, key: Int, keys: Int
) {
    let (width, blockKeys) = (workspace.width, AttentionBlock.keys)
    let isCut = head.isCausal && head.past + first + 1 < key + keys
    let height = isCut ? Panel.width : Panel.padded(keys)
    for band in Swift.stride(from: 0, to: keys, by: height) {
        let start = head.isCausal ? max(0, key + band - head.past - first) : 0
        if start >= rows { break }
        panelProduct(
            workspace.probabilities + start * blockKeys + band, rowStep: 1, depthStep: blockKeys,
            workspace.outputGradientPanels + start * Panel.width, panelStride: rows * Panel.width,
            into: workspace.valueGradient + (key + band) * width, stride: width, rows: height, columns: width,
            depth: rows - start, adding: true)
        panelProduct(
            workspace.scoreGradients + start * blockKeys + band, rowStep: 1, depthStep: blockKeys,
            workspace.queryPanels + start * Panel.width, panelStride: rows * Panel.width,
            into: workspace.keyGradient + (key + band) * width, stride: width, rows: height, columns: width,
            depth: rows - start, adding: true)
    }
}

/// Turns a band's scores into probabilities with dropout applied, and what reaches them into the scores' gradients; the
/// band's first query is `query`, its first key `key`.
private func softmaxBackward(
    _ head: AttentionHead, probabilities: UnsafeMutablePointer<Float>, scoreGradients: UnsafeMutablePointer<Float>,
    query: Int, key: Int, band: KeyBand, logSums: UnsafePointer<Float>, dots: UnsafePointer<Float>
) {
    if peft_uses_wide_vectors() != 0 {
        var block = peft_scores(head, probabilities, query: query, key: key, band: band)
        return peft_wide_softmax_backward(&block, scoreGradients, logSums, dots)
    }
    for row in 0..<band.rows.count {
        let start = row * AttentionBlock.keys
        softmaxBackward(
            head, probabilities: probabilities + start, scoreGradients: scoreGradients + start, query: query + row,
            key: key, band: band, logSum: logSums[row], dot: dots[row])
    }
}

@inline(__always)
private func softmaxBackward(
    _ head: AttentionHead, probabilities: UnsafeMutablePointer<Float>, scoreGradients: UnsafeMutablePointer<Float>,
    query: Int, key: Int, band: KeyBand, logSum: Float, dot: Float
) {
    let seen = band.visibleKeys(query: query, head: head, key: key)
    for j in seen..<band.paddedKeys { probabilities[j] = -.infinity }
    let number = head.number(query: query, key: key)
    var j = 0
    while j < band.paddedKeys {
        let p = exponentialOfNonPositive(probabilities.lanes(j) - logSum)
        var dp = scoreGradients.lanes(j)
        var thinned = p
        if let dropout = head.dropout {
            let factors = dropout.factors(number + j)
            dp *= factors
            thinned *= factors
        }
        probabilities.setLanes(j, thinned)
        scoreGradients.setLanes(j, p * (dp - dot))
        j += 8
    }
}

/// The product of a row of each.
func dot(_ a: Rows, _ b: Rows, row: Int) -> Float {
    let (left, right) = (a.data + row * a.stride, b.data + row * b.stride)
    var sums = Lanes(repeating: 0)
    var i = 0
    while i + 8 <= a.width {
        sums.addProduct(left.lanes(i), right.lanes(i))
        i += 8
    }
    var sum = sums.total
    while i < a.width {
        sum += left[i] * right[i]
        i += 1
    }
    return sum
}
