import Diagnostics

/// The cross-entropy of logits that were computed as a whole, [rows, vocabulary]: for heads whose adapter is more than a
/// low-rank term.
///
/// - Parameters:
///   - labels: the token that each row must predict.
///   - scale: what the sum of the rows' losses is multiplied by before it is differentiated.
public func logitsLoss(_ logits: Tensor, labels: [Int32], scale: Float) -> Loss {
    let (rows, vocabulary) = (logits.rowCount, logits.columnCount)
    require(rows == labels.count, "logitsLoss: \(logits.shape) for \(labels.count) labels")
    let losses = Tensor(uninitialized: [rows])
    let gradient = logits.needsGradient ? logits.copy() : nil
    labels.withUnsafeBufferPointer { labels in
        guard let first = labels.baseAddress else { return }
        if let gradient {
            softmaxCrossEntropyInPlace(
                logits: gradient.data, rows: rows, vocabulary: vocabulary, stride: vocabulary, labels: first,
                scale: scale, losses: losses.data)
        } else {
            softmaxCrossEntropy(
                logits: logits.data, rows: rows, vocabulary: vocabulary, stride: vocabulary, labels: first,
                losses: losses.data)
        }
    }
    let sum = (0..<rows).reduce(0.0) { $0 + Double(losses.data[$1]) }
    let tensor = Tensor([Float(sum) * scale], shape: [1]).record([
        pullback(for: logits) { seed, target in
            guard let gradient else { return }
            require(seed.data[0] == 1, "logitsLoss: the scale is given before, not as a seed")
            target.add(gradient)
        }
    ])
    return Loss(tensor: tensor, sum: sum, count: rows, rows: losses)
}
