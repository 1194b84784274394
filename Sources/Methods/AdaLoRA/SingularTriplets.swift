import Layers
import Tensors

/// A row of A, a column of B and a number of E for each rank of a linear layer's change.
final class SingularTriplets: LinearAdapter {
    let linear: Linear
    /// [r, inputs]
    let a: Tensor
    /// [r, 1]
    let e: Tensor
    /// [outputs, r]
    let b: Tensor
    let rank: Int
    private let scale: Float
    private let dropout: Float

    /// What the tensors of a layer are named in the file, and their shapes.
    static func layout(_ linear: Linear, rank: Int) -> [(name: String, shape: [Int])] {
        [
            (linear.path + ".lora_A", [rank, linear.inputSize]), (linear.path + ".lora_B", [linear.outputSize, rank]),
            (linear.path + ".lora_E", [rank, 1]),
        ]
    }

    /// - Parameters:
    ///   - rank: How many of the first ranks are there.
    ///   - seed: nil where a file's tensors will take the place of these.
    init(_ linear: Linear, _ settings: AdaLoRASettings, rank: Int, seed: UInt64?) {
        self.linear = linear
        let whole = settings.initialRank
        self.rank = rank
        // The reference divides by the first rank, pruned or not.
        scale = Float((settings.alpha > 0 ? settings.alpha : Double(whole)) / (Double(whole) + 1e-5))
        dropout = settings.dropout
        var generator = seed.map { RandomGenerator(seed: $0, stream: linear.path + ".lora_A") }
        func normal(_ shape: [Int], _ deviation: Float) -> Tensor {
            guard var own = generator else { return Tensor(zeros: shape) }
            defer { generator = own }
            let tensor = Tensor(uninitialized: shape)
            for i in 0..<tensor.count { tensor.data[i] = deviation * Float(own.nextNormal()) }
            return tensor
        }
        let deviation: Float = settings.isInitialised ? 0.02 : 1
        a = normal([rank, linear.inputSize], deviation)
        b = normal([linear.outputSize, rank], deviation)
        e = settings.isInitialised ? Tensor(zeros: [rank, 1]) : normal([rank, 1], 1)
    }

    var trainable: [TrainableParameter] {
        [
            TrainableParameter(name: linear.path + ".lora_A", tensor: a, decays: true),
            TrainableParameter(name: linear.path + ".lora_B", tensor: b, decays: true),
            TrainableParameter(name: linear.path + ".lora_E", tensor: e, decays: true),
        ]
    }

    func lowRankTerm(for input: Tensor, _ context: ForwardContext) -> LowRankTerm? {
        let choice = context.dropout(dropout)
        if rank == 0 {
            return LowRankTerm(u: Tensor(zeros: [input.rowCount, 1]), b: Tensor(zeros: [linear.outputSize, 1]))
        }
        let u = lowRankInput(input, a, scale: scale, dropout: choice, byRow: !context.isTraining)
        return LowRankTerm(u: scaleColumns(u, by: e, bias: nil), b: b)
    }

    var readsOutput: Bool { false }

    func apply(to product: LinearProduct) -> Tensor {
        rank == 0
            ? product.completed(adding: nil)
            : product.completed(adding: lowRankTerm(for: product.input, product.context))
    }

    /// The parameters with the chosen ranks alone.
    func delivered(keeping kept: [Bool]?) -> [(name: String, tensor: Tensor)] {
        guard let kept, kept.contains(false) else { return trainable.map { ($0.name, $0.tensor) } }
        let ranks = kept.indices.filter { kept[$0] }
        func rows(_ x: Tensor) -> Tensor {
            Tensor(
                ranks.flatMap { row in (0..<x.columnCount).map { x.data[row * x.columnCount + $0] } },
                shape: [ranks.count, x.columnCount])
        }
        let columns = Tensor(
            (0..<b.rowCount).flatMap { row in ranks.map { b.data[row * rank + $0] } }, shape: [b.rowCount, ranks.count])
        return [
            (linear.path + ".lora_A", rows(a)), (linear.path + ".lora_B", columns), (linear.path + ".lora_E", rows(e)),
        ]
    }

    /// Adds `weight` · s · B (E ∘ A) to the layer's weight and takes the adapter out.
    func merge(weight: Float) {
        linear.adapter = nil
        if rank == 0 { return }
        let scaled = a.copy()
        for k in 0..<rank {
            for j in 0..<a.columnCount { scaled.data[k * a.columnCount + j] *= e.data[k] }
        }
        let result = linear.weight.tensor.copy()
        if linear.isInputByOutput {
            addProduct(scaled, transposingFirst: true, b, transposingSecond: true, scale: weight * scale, to: result)
        } else {
            addProduct(b, transposingFirst: false, scaled, transposingSecond: false, scale: weight * scale, to: result)
        }
        linear.weight.tensor = result
    }
}
