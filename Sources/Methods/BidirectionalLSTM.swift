package import Layers
package import Tensors

/// `torch.nn.LSTM` with both directions and several layers: each layer reads what both directions of the one below have
/// put out, side by side.
package struct BidirectionalLSTM {
    private struct Direction {
        /// [4 · hidden, inputs], [4 · hidden, hidden], [4 · hidden] twice
        let inputWeight, hiddenWeight, inputBias, hiddenBias: Tensor
        let isReversed: Bool
        let parameters: [TrainableParameter]

        /// All begin as U(−1/√hidden, 1/√hidden).
        init(_ name: String, _ suffix: String, inputs: Int, hidden: Int, isReversed: Bool, seed: UInt64) {
            let bound = 1 / Float(hidden).squareRoot()
            func parameter(_ kind: String, _ shape: [Int]) -> TrainableParameter {
                let name = "\(name).\(kind)_\(suffix)"
                let tensor = Tensor.uniform(shape, bound: bound, seed: seed, stream: name)
                return TrainableParameter(name: name, tensor: tensor, decays: !kind.hasPrefix("bias"))
            }
            parameters = [
                parameter("weight_ih", [4 * hidden, inputs]), parameter("weight_hh", [4 * hidden, hidden]),
                parameter("bias_ih", [4 * hidden]), parameter("bias_hh", [4 * hidden]),
            ]
            (inputWeight, hiddenWeight) = (parameters[0].tensor, parameters[1].tensor)
            (inputBias, hiddenBias) = (parameters[2].tensor, parameters[3].tensor)
            self.isReversed = isReversed
        }

        func callAsFunction(_ x: Tensor) -> Tensor {
            let z = linear(
                x, DenseWeight(inputWeight, isInputByOutput: false), bias: inputBias, lowRank: nil, activation: nil)
            return lstm(z, recurrent: hiddenWeight, bias: hiddenBias, isReversed: isReversed)
        }
    }

    private let layers: [(forward: Direction, backward: Direction)]
    private let dropoutProbability: Float

    /// - Parameter dropout: Between the layers, in training.
    package init(_ name: String, inputs: Int, hidden: Int, layers count: Int, dropout: Float, seed: UInt64) {
        dropoutProbability = dropout
        layers = (0..<count).map { layer in
            let inputs = layer == 0 ? inputs : 2 * hidden
            return (
                Direction(name, "l\(layer)", inputs: inputs, hidden: hidden, isReversed: false, seed: seed),
                Direction(name, "l\(layer)_reverse", inputs: inputs, hidden: hidden, isReversed: true, seed: seed)
            )
        }
    }

    /// In torch's order.
    package var parameters: [TrainableParameter] { layers.flatMap { $0.forward.parameters + $0.backward.parameters } }

    /// x [steps, inputs] → [steps, 2 · hidden].
    package func callAsFunction(_ x: Tensor, _ context: ForwardContext) -> Tensor {
        var x = x
        for (index, layer) in layers.enumerated() {
            x = concatenateColumns(layer.forward(x), layer.backward(x))
            if index < layers.count - 1, let choice = context.dropout(dropoutProbability) { x = dropout(x, choice) }
        }
        return x
    }
}
