import Diagnostics

/// The loss of one micro-batch and what its backward pass starts from.
public struct Loss {
    /// scale · Σ −log p(label), smoothed where that was asked for, [1]; recorded where the hidden states or the head need a gradient.
    public let tensor: Tensor
    /// Σ −log p(label) over the labelled rows, in nats, smoothed likewise.
    public let sum: Double
    /// The number of labelled rows, each as often as it counts.
    public let count: Int
    /// −log p(label) of each labelled row, [count]; for regression its squared error.
    public let rows: Tensor
}

/// The cross-entropy of a language model's head over the labelled rows: logits = h · Wᵀ + u · Bᵀ, computed by chunks of
/// rows, so that tokens × vocabulary never exists, with the gradients coming out of the same pass.
///
/// - Parameters:
///   - hidden: h [rows, width], one row for each label.
///   - labels: the token that each row must predict.
///   - counts: how often each row counts; once if nil.
///   - smoothing: ε of `softmaxCrossEntropyInPlace`, 0 for none.
///   - scale: what the sum of the rows' losses is multiplied by before it is differentiated.
public func languageModelLoss(
    _ hidden: Tensor, labels: [Int32], counts: [Int]? = nil, head: any BaseWeight, lowRank: LowRankTerm?,
    smoothing: Double, scale: Float
) -> Loss {
    languageModelLoss(
        hidden, labels: labels, counts: counts, head: head, lowRank: lowRank, smoothing: smoothing, scale: scale,
        chunkBytes: chunkBytes(vocabulary: head.outputSize))
}

/// The most memory that a chunk of logits takes.
private func chunkBytes(vocabulary: Int) -> Int { max(70 << 20, 4 * leastRows * vocabulary) }

/// The rows of a chunk of logits, where so many have a label: equal chunks, because a short last one would go slowly.
package func logitsChunkRows(labels rows: Int, vocabulary: Int) -> Int {
    chunkRows(rows, most: max(1, chunkBytes(vocabulary: vocabulary) / (4 * vocabulary)))
}

private func chunkRows(_ rows: Int, most: Int) -> Int {
    let count = max(1, (rows + most - 1) / most)
    return max(1, (rows + count - 1) / count)
}

/// Rows of a chunk of logits, however large the vocabulary is: with fewer the products would mostly wait for the head's
/// weights, which each chunk reads twice.
private let leastRows = 256

/// The same with the most memory that a chunk of logits may take.
package func languageModelLoss(
    _ hidden: Tensor, labels: [Int32], counts: [Int]? = nil, head: any BaseWeight, lowRank: LowRankTerm?,
    smoothing: Double, scale: Float, chunkBytes: Int
) -> Loss {
    let (rows, width, vocabulary) = (hidden.rowCount, hidden.columnCount, head.outputSize)
    require(
        rows == labels.count && counts?.count ?? rows == rows && width == head.inputSize
            && lowRank?.fits(rows: rows, outputs: vocabulary) ?? true,
        "languageModelLoss: \(hidden.shape) for \(labels.count) labels, a head of \(head.inputSize) inputs and "
            + "\(vocabulary) outputs, low-rank term \(lowRank?.u.shape ?? []) by \(lowRank?.b.shape ?? [])")
    let isRecorded = [hidden, head.trainable, lowRank?.u, lowRank?.b].contains { $0?.needsGradient == true }
    var (dh, dw, du, db) = (Gradient(), Gradient(), Gradient(), Gradient())
    let chunk = chunkRows(rows, most: max(1, chunkBytes / (4 * vocabulary)))
    let losses = Tensor(uninitialized: [rows])
    if rows > 0 {
        let logits = Tensor(uninitialized: [chunk, vocabulary])
        let hiddenGradient = hidden.needsGradient ? dh.accumulator(shape: hidden.shape).tensor : nil
        let lowRankGradient = lowRank.flatMap { $0.u.needsGradient ? du.accumulator(shape: $0.u.shape).tensor : nil }
        for start in stride(from: 0, to: rows, by: chunk) {
            let size = min(chunk, rows - start)
            let h = hidden.rows(start, size)
            let term = lowRank.map { LowRankTerm(u: $0.u.rows(start, size), b: $0.b) }
            head.multiply(h.data, rows: size, into: logits.data, beta: 0, byRow: true) { tile in
                if let term { addLowRank(term, to: logits.data, stride: vocabulary, tile, byRow: false) }
            }
            OpTimer.lap("languageModelLoss, logits")
            labels.withUnsafeBufferPointer { labels in
                guard let first = labels.baseAddress else { return }
                if isRecorded {
                    softmaxCrossEntropyInPlace(
                        logits: logits.data, rows: size, vocabulary: vocabulary, stride: vocabulary,
                        labels: first + start, smoothing: smoothing, scale: scale, losses: losses.data + start)
                } else {
                    softmaxCrossEntropy(
                        logits: logits.data, rows: size, vocabulary: vocabulary, stride: vocabulary,
                        labels: first + start, smoothing: smoothing, losses: losses.data + start)
                }
            }
            if let counts {
                weighRows(
                    losses.data + start, isRecorded ? logits.data : nil, vocabulary: vocabulary,
                    by: counts[start..<start + size])
            }
            OpTimer.lap("languageModelLoss, cross-entropy")
            guard isRecorded else { continue }
            let dz = logits.rows(0, size)
            if let hiddenGradient {
                head.multiplyTransposed(dz.data, rows: size, into: hiddenGradient.data + start * width, beta: 0)
            }
            OpTimer.lap("languageModelLoss, input gradient")
            if head.trainable != nil { weightGradient(h, dz, head, &dw) }
            OpTimer.lap("languageModelLoss, weight gradient")
            if let term {
                if let lowRankGradient {
                    var part = Gradient()
                    thinProduct(dz, term.b, &part)
                    if let sum = part.sum {
                        (lowRankGradient.data + start * sum.columnCount).update(from: sum.data, count: sum.count)
                    }
                }
                if term.b.needsGradient { thinTransposedProduct(dz, term.u, &db) }
            }
        }
    }
    let sum = (0..<rows).reduce(0.0) { $0 + Double(losses.data[$1]) }
    let tensor = Tensor([Float(sum) * scale], shape: [1])
    let gradients = [(hidden, dh.sum), (head.trainable, dw.sum), (lowRank?.u, du.sum), (lowRank?.b, db.sum)]
    let recorded = tensor.record(
        gradients.map { input, gradient in
            pullback(for: input) { seed, target in
                guard let gradient else { return }
                require(seed.data[0] == 1, "languageModelLoss: the scale is given before, not as a seed")
                target.add(gradient)
            }
        })
    return Loss(tensor: recorded, sum: sum, count: counts?.reduce(0, +) ?? rows, rows: losses)
}
