import Tensors

/// How long the weights of each output are with a pair in them, ‖W + s B A‖, which DoRA divides by.
struct AdaptedNorm {
    /// Σ W² of each output.
    private var squares: [Double]?
    /// The result, where nothing trains.
    private var kept: Tensor?

    /// Makes the next value anew, because the pair has changed.
    mutating func forget() { kept = nil }

    /// [outputs], from ‖Wᵢ‖² + 2s · (W Aᵀ)ᵢ · Bᵢ + s² · (B A Aᵀ)ᵢ · Bᵢ of each output i.
    ///
    /// - Parameters:
    ///   - squares: Gives Σ W² of each output; asked once.
    ///   - crossed: Gives A Wᵀ, [r, outputs], for A without its gradient.
    mutating func value(
        a: Tensor, b: Tensor, scale: Float, squares: () -> [Double], crossed: (Tensor) -> Tensor
    ) -> Tensor {
        let isTraining = a.node != nil
        if !isTraining, let kept { return kept }
        let (a, b, rank) = (a.detached(), b.detached(), a.rowCount)
        let outputs = b.rowCount
        let base = self.squares ?? squares()
        self.squares = base
        let products = crossed(a)
        let gram = matrixProduct(a, transposingFirst: false, a, transposingSecond: true, scale: 1)
        let squared = matrixProduct(b, transposingFirst: false, gram, transposingSecond: false, scale: 1)
        let result = Tensor(uninitialized: [outputs])
        let scale = Double(scale)
        for i in 0..<outputs {
            var sum = base[i]
            for k in 0..<rank {
                sum +=
                    Double(b.data[i * rank + k])
                    * (2 * scale * Double(products.data[k * outputs + i])
                        + scale * scale * Double(squared.data[i * rank + k]))
            }
            result.data[i] = Float(max(0, sum).squareRoot())
        }
        if !isTraining { kept = result }
        return result
    }
}

/// Σ W² of each output, whichever way the weight lies.
func rowSquares(_ weight: Tensor, isInputByOutput: Bool) -> [Double] {
    let (rows, columns) = (weight.rowCount, weight.columnCount)
    var sums = [Double](repeating: 0, count: isInputByOutput ? columns : rows)
    for i in 0..<rows {
        for j in 0..<columns {
            let value = Double(weight.data[i * columns + j])
            sums[isInputByOutput ? j : i] += value * value
        }
    }
    return sums
}
