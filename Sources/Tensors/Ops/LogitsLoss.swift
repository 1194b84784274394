import Diagnostics

/// The cross-entropy of logits that were computed as a whole, [rows, vocabulary]: for heads whose adapter is more than a
/// low-rank term.
///
/// - Parameters:
///   - labels: the token that each row must predict.
///   - counts: how often each row counts; once if nil.
///   - smoothing: ε of `softmaxCrossEntropyInPlace`, 0 for none.
///   - scale: what the sum of the rows' losses is multiplied by before it is differentiated.
public func logitsLoss(
    _ logits: Tensor, labels: [Int32], counts: [Int]? = nil, smoothing: Double, scale: Float
) -> Loss {
    let (rows, vocabulary) = (logits.rowCount, logits.columnCount)
    require(
        rows == labels.count && counts?.count ?? rows == rows, "logitsLoss: \(logits.shape) for \(labels.count) labels")
    let losses = Tensor(uninitialized: [rows])
    let gradient = logits.needsGradient ? logits.copy() : nil
    labels.withUnsafeBufferPointer { labels in
        guard let first = labels.baseAddress else { return }
        if let gradient {
            softmaxCrossEntropyInPlace(
                logits: gradient.data, rows: rows, vocabulary: vocabulary, stride: vocabulary, labels: first,
                smoothing: smoothing, scale: scale, losses: losses.data)
        } else {
            softmaxCrossEntropy(
                logits: logits.data, rows: rows, vocabulary: vocabulary, stride: vocabulary, labels: first,
                smoothing: smoothing, losses: losses.data)
        }
    }
    if let counts {
        weighRows(losses.data, gradient?.data, vocabulary: vocabulary, by: counts[...])
    }
    let sum = (0..<rows).reduce(0.0) { $0 + Double(losses.data[$1]) }
    let tensor = Tensor([Float(sum) * scale], shape: [1]).record([
        pullback(for: logits) { seed, target in
            guard let gradient else { return }
            require(seed.data[0] == 1, "logitsLoss: the scale is given before, not as a seed")
            target.add(gradient)
        }
    ])
    return Loss(tensor: tensor, sum: sum, count: counts?.reduce(0, +) ?? rows, rows: losses)
}

/// Multiplies the loss of each row, and its gradient where there is one, by how often it counts.
func weighRows(
    _ losses: UnsafeMutablePointer<Float>, _ gradient: UnsafeMutablePointer<Float>?, vocabulary: Int,
    by counts: ArraySlice<Int>
) {
    for (row, count) in counts.enumerated() where count != 1 {
        losses[row] *= Float(count)
        guard let gradient else { continue }
        let values = gradient + row * vocabulary
        for column in 0..<vocabulary { values[column] *= Float(count) }
    }
}
