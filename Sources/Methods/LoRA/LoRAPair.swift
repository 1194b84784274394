import Layers
import Tensors

/// A pair of matrices in a linear layer's slot, with a bias or a magnitude where the variant has one.
final class LoRAPair: LinearAdapter {
    let linear: Linear
    /// The layer's weight as it was before the adapter came.
    let original: any StoredTensor
    let shape: LoRAShape
    /// [r, inputs]
    let a: Tensor
    /// [outputs, r]
    let b: Tensor
    /// [outputs]; s times it is added to the output.
    private let bias: Tensor?
    /// DoRA's m, [outputs].
    private(set) var magnitude: Tensor?
    /// The pair that was taken out of the base's weight when training began, so that both together are that weight.
    private(set) var start: (a: Tensor, b: Tensor)?
    /// What stands in the place of the base's weight since training began, so that both together are near to that weight.
    private(set) var base: (any StoredTensor)?
    private let dropout: Float
    private let isRankStabilised: Bool
    private let hasMagnitude: Bool
    private var adaptedNorm = AdaptedNorm()

    private let isLoading: Bool

    /// What a pair's tensors are named in the file, and their shapes.
    static func layout(
        _ linear: Linear, _ shape: LoRAShape, _ settings: LoRASettings
    ) -> [(name: String, shape: [Int])] {
        let (path, outputs) = (linear.path, linear.outputSize)
        var layout = [
            (name: path + ".lora_A.weight", shape: [shape.rank, linear.inputSize]),
            (path + ".lora_B.weight", [outputs, shape.rank]),
        ]
        if settings.hasBias { layout.append((path + ".lora_B.bias", [outputs])) }
        if settings.hasMagnitude { layout.append((path + ".lora_magnitude_vector", [outputs])) }
        return layout
    }

    /// - Parameter seed: nil where a file's tensors will take the place of the pair's.
    init(_ linear: Linear, _ shape: LoRAShape, _ settings: LoRASettings, seed: UInt64?) {
        self.linear = linear
        self.shape = shape
        original = linear.weight.value
        dropout = settings.dropout
        isRankStabilised = settings.isRankStabilised
        hasMagnitude = settings.hasMagnitude
        let (inputs, outputs, rank) = (linear.inputSize, linear.outputSize, shape.rank)
        isLoading = seed == nil
        a = seed == nil ? Tensor(zeros: [rank, inputs]) : Tensor(uninitialized: [rank, inputs])
        b = Tensor(zeros: [outputs, rank])
        bias = settings.hasBias ? Tensor(zeros: [outputs]) : nil
        guard let seed else { return }
        var generator = RandomGenerator(seed: seed, stream: linear.path + ".lora_A.weight")
        settings.initialization.fill(a, b, bias: bias, &generator)
    }

    var trainable: [TrainableParameter] {
        var list = [
            TrainableParameter(name: linear.path + ".lora_A.weight", tensor: a, decays: true),
            TrainableParameter(name: linear.path + ".lora_B.weight", tensor: b, decays: true),
        ]
        if let bias { list.append(TrainableParameter(name: linear.path + ".lora_B.bias", tensor: bias, decays: false)) }
        if let magnitude {
            list.append(
                TrainableParameter(name: linear.path + ".lora_magnitude_vector", tensor: magnitude, decays: true))
        }
        return list
    }

    var change: LowRankChange {
        LowRankChange(path: linear.path, isEmbedding: false, a: a, b: b, scale: shape.scale, bias: bias)
    }

    // MARK: Beginning

    /// Takes a pair out of the base's weight and begins with it.
    func begin(with start: (a: Tensor, b: Tensor)) {
        self.start = start
        copy(start)
        subtractStart()
    }

    /// Puts another weight into the base's place and begins with the pair that goes with it; nil leaves that to a file.
    func begin(over base: any StoredTensor, with pair: (a: Tensor, b: Tensor)?) {
        self.base = base
        linear.weight.value = base
        if let pair { copy(pair) }
    }

    private func copy(_ pair: (a: Tensor, b: Tensor)) {
        a.data.update(from: pair.a.data, count: a.count)
        b.data.update(from: pair.b.data, count: b.count)
    }

    /// Makes the base's weight what `start` leaves of it.
    func subtractStart() {
        guard let start else { return }
        linear.weight.tensor = weight(original.floats, adding: -shape.scale, start)
    }

    /// Lets the magnitude begin as the length of each output's weights.
    func beginMagnitude() {
        if hasMagnitude { magnitude = isLoading ? Tensor(zeros: [linear.outputSize]) : norm() }
        forgetNorm()
    }

    // MARK: Forward

    func lowRankTerm(for input: Tensor, _ context: ForwardContext) -> LowRankTerm? {
        if magnitude != nil || bias != nil { return nil }
        return term(input, context.dropout(dropout), context)
    }

    private func term(_ input: Tensor, _ choice: Dropout?, _ context: ForwardContext) -> LowRankTerm {
        let u = lowRankInput(input, a, scale: shape.scale, dropout: choice, byRow: !context.isTraining)
        return LowRankTerm(u: u, b: b)
    }

    /// The magnitude's gradient is the product's value times what comes back.
    var readsOutput: Bool { hasMagnitude }

    func apply(to product: LinearProduct) -> Tensor {
        let choice = product.context.dropout(dropout)
        if let magnitude { return scaled(product, magnitude, choice) }
        guard let bias else { return product.completed(adding: term(product.input, choice, product.context)) }
        let own = elementwiseProduct(bias, Tensor(repeating: shape.scale, bias.shape))
        let whole = linear.bias.map { addResidual($0.tensor, own, dropout: nil) } ?? own
        return product.completed(adding: term(product.input, choice, product.context), bias: whole)
    }

    /// g ∘ (W x + s B A x) + b with g = m / ‖W + s B A‖, whose norm is a constant (DoRA, section 4.3). With dropout only
    /// the change sees it: W x + (g − 1) ∘ W x′ + g ∘ s B A x′ + b.
    private func scaled(_ product: LinearProduct, _ magnitude: Tensor, _ choice: Dropout?) -> Tensor {
        let factors = elementwiseQuotient(magnitude, byConstant: norm())
        guard let choice else {
            let z = product.product(of: product.input, adding: term(product.input, nil, product.context))
            return product.finished(scaleColumns(z, by: factors, bias: linear.bias?.tensor))
        }
        let kept = Tensors.dropout(product.input, choice)
        let z = scaleColumns(
            product.product(of: kept, adding: term(kept, nil, product.context)), by: factors, bias: nil)
        let lost = addResidual(
            product.input, scaleColumns(kept, by: Tensor(repeating: -1, [kept.columnCount]), bias: nil), dropout: nil)
        return product.finished(addResidual(product.biasedProduct(of: lost), z, dropout: nil))
    }

    // MARK: Norm

    func forgetNorm() { adaptedNorm.forget() }

    private func norm() -> Tensor {
        let linear = linear
        return adaptedNorm.value(
            a: a, b: b, scale: shape.scale,
            squares: { rowSquares(linear.weight.tensor, isInputByOutput: linear.isInputByOutput) },
            crossed: { Tensors.linear($0, linear.base, bias: nil, lowRank: nil, activation: nil) })
    }

    // MARK: Delivery and merging

    /// Beside the trained pair the one that was taken out of the base's weight, negative, so that the file holds an
    /// ordinary adapter of the unchanged base: B A − B₀ A₀ = [B, −B₀] [A; A₀].
    var delivered: [(name: String, tensor: Tensor)] {
        let list = trainable.map { (name: $0.name, tensor: $0.tensor) }
        guard let start else { return list }
        let (rank, inputs, outputs) = (shape.rank, linear.inputSize, linear.outputSize)
        let (wholeA, wholeB) = (Tensor(uninitialized: [2 * rank, inputs]), Tensor(uninitialized: [outputs, 2 * rank]))
        wholeA.data.update(from: a.data, count: a.count)
        (wholeA.data + a.count).update(from: start.a.data, count: a.count)
        for i in 0..<outputs {
            for k in 0..<rank {
                wholeB.data[2 * i * rank + k] = b.data[i * rank + k]
                wholeB.data[(2 * i + 1) * rank + k] = -start.b.data[i * rank + k]
            }
        }
        return [(list[0].name, wholeA), (list[1].name, wholeB)] + list.dropFirst(2)
    }

    var deliveredRank: Int { start == nil ? shape.rank : 2 * shape.rank }

    /// Keeps the scale with the doubled rank.
    var deliveredAlpha: Double {
        start == nil ? shape.alpha : shape.alpha * (isRankStabilised ? 2.0.squareRoot() : 2)
    }

    var mergeObstacle: String? {
        bias != nil && linear.bias == nil ? "\(linear.path) has no bias that lora_B.bias could be added to" : nil
    }

    /// The layer's weight, in the layout of the file, and its bias with `weight` times the adapter in them.
    func merged(weight: Float) -> (weight: Tensor, bias: Tensor?) {
        let whole: Tensor
        if let magnitude {
            let changed = self.weight(linear.weight.tensor, adding: shape.scale, (a, b))
            let squares = rowSquares(changed, isInputByOutput: linear.isInputByOutput)
            let (stride, step) = linear.isInputByOutput ? (1, linear.outputSize) : (linear.inputSize, 1)
            for i in 0..<linear.outputSize {
                let factor = Double(magnitude.data[i]) / squares[i].squareRoot()
                for k in 0..<linear.inputSize {
                    let index = i * stride + k * step
                    changed.data[index] = Float(Double(changed.data[index]) * factor)
                }
            }
            whole = weight == 1 ? changed : interpolated(from: original.floats, to: changed, weight)
        } else if let base {
            let changed = self.weight(base.floats, adding: shape.scale, (a, b))
            whole = weight == 1 ? changed : interpolated(from: original.floats, to: changed, weight)
        } else {
            whole = self.weight(original.floats, adding: weight * shape.scale, (a, b))
            if let start { add(-weight * shape.scale, start, to: whole) }
        }
        guard let bias, let base = linear.bias?.tensor else { return (whole, nil) }
        let sum = base.copy()
        for i in 0..<sum.count { sum.data[i] += weight * shape.scale * bias.data[i] }
        return (whole, sum)
    }

    func remove() {
        linear.adapter = nil
        if start != nil || base != nil { linear.weight.restore(original) }
    }

    /// W + scale · B A, in the layout of the file.
    func weight(_ base: Tensor, adding scale: Float, _ pair: (a: Tensor, b: Tensor)) -> Tensor {
        let result = base.copy()
        add(scale, pair, to: result)
        return result
    }

    private func add(_ scale: Float, _ pair: (a: Tensor, b: Tensor), to weight: Tensor) {
        if linear.isInputByOutput {
            addProduct(pair.a, transposingFirst: true, pair.b, transposingSecond: true, scale: scale, to: weight)
        } else {
            addProduct(pair.b, transposingFirst: false, pair.a, transposingSecond: false, scale: scale, to: weight)
        }
    }
}
