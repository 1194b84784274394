import Diagnostics

/// The squared error Σ (yᵢ − tᵢ)² of predictions y [rows, 1], and its gradient 2 (yᵢ − tᵢ) · scale.
///
/// - Parameter scale: what the sum is multiplied by before it is differentiated.
public func squaredError(_ predictions: Tensor, targets: [Float], scale: Float) -> Loss {
    require(
        predictions.count == targets.count, "squaredError: \(predictions.shape) for \(targets.count) targets")
    let differences = targets.indices.map { Double(predictions.data[$0]) - Double(targets[$0]) }
    let sum = differences.reduce(0) { $0 + $1 * $1 }
    let shape = predictions.shape
    let tensor = Tensor([Float(sum) * scale], shape: [1]).record([
        pullback(for: predictions) { seed, gradient in
            let factor = 2 * Double(scale) * Double(seed.data[0])
            let (target, isFresh) = gradient.accumulator(shape: shape)
            for (index, difference) in differences.enumerated() {
                let value = Float(factor * difference)
                target.data[index] = isFresh ? value : target.data[index] + value
            }
        }
    ])
    return Loss(
        tensor: tensor, sum: sum, count: targets.count,
        rows: Tensor(differences.map { Float($0 * $0) }, shape: [targets.count]))
}
