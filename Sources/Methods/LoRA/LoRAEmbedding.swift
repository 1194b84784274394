import Layers
import Tensors

/// A pair of matrices in an embedding's slot: E′ = E + s · (B A)ᵀ, with A [r, entries] and B [width, r]; with DoRA's
/// magnitude m [width] the columns of E′ are scaled to it.
final class LoRAEmbedding: EmbeddingAdapter {
    let embedding: Embedding
    let shape: LoRAShape
    private let a: Tensor
    private let b: Tensor
    private var magnitude: Tensor?
    private var adaptedNorm = AdaptedNorm()

    /// What its tensors are named in the file, and their shapes.
    static func layout(
        _ embedding: Embedding, _ shape: LoRAShape, _ settings: LoRASettings
    ) -> [(name: String, shape: [Int])] {
        let path = embedding.path
        var layout = [
            (name: path + ".lora_embedding_A", shape: [shape.rank, embedding.entryCount]),
            (path + ".lora_embedding_B", [embedding.width, shape.rank]),
        ]
        if settings.hasMagnitude { layout.append((path + ".lora_magnitude_vector", [embedding.width])) }
        return layout
    }

    /// - Parameter seed: nil where a file's tensors will take the place of its own.
    init(_ embedding: Embedding, _ shape: LoRAShape, _ settings: LoRASettings, seed: UInt64?) {
        self.embedding = embedding
        self.shape = shape
        // The other way round than in linear layers: A is 0 and B is N(0, 1), as torch's embeddings begin.
        a = Tensor(zeros: [shape.rank, embedding.entryCount])
        b = Tensor(zeros: [embedding.width, shape.rank])
        guard let seed else {
            if settings.hasMagnitude { magnitude = Tensor(zeros: [embedding.width]) }
            return
        }
        var generator = RandomGenerator(seed: seed, stream: embedding.path + ".lora_embedding_B")
        for i in 0..<b.count { b.data[i] = Float(generator.nextNormal()) }
        if settings.initialization == .random {
            for i in 0..<a.count { a.data[i] = Float(generator.nextNormal()) }
        }
        if settings.hasMagnitude { magnitude = norm() }
        forgetNorm()
    }

    var trainable: [TrainableParameter] {
        var list = [
            TrainableParameter(name: embedding.path + ".lora_embedding_A", tensor: a, decays: true),
            TrainableParameter(name: embedding.path + ".lora_embedding_B", tensor: b, decays: true),
        ]
        if let magnitude {
            list.append(
                TrainableParameter(name: embedding.path + ".lora_magnitude_vector", tensor: magnitude, decays: true))
        }
        return list
    }

    var change: LowRankChange {
        LowRankChange(path: embedding.path, isEmbedding: true, a: a, b: b, scale: shape.scale, bias: nil)
    }

    func apply(to rows: Tensor, _ indices: [Int32]) -> Tensor {
        let change = matrixProduct(
            tableColumns(a, indices, frozen: embedding.paddingIndex), transposingFirst: false, b,
            transposingSecond: true, scale: shape.scale)
        let whole = addResidual(rows, change, dropout: nil)
        guard let magnitude else { return whole }
        return scaleColumns(whole, by: elementwiseQuotient(magnitude, byConstant: norm()), bias: nil)
    }

    func forgetNorm() { adaptedNorm.forget() }

    /// Of the columns of E′.
    private func norm() -> Tensor {
        let table = embedding.weight.tensor.detached()
        return adaptedNorm.value(
            a: a, b: b, scale: shape.scale, squares: { rowSquares(table, isInputByOutput: true) },
            crossed: { matrixProduct($0, transposingFirst: false, table, transposingSecond: false, scale: 1) })
    }

    /// Puts `weight` times the change into the table and takes the adapter out.
    func merge(weight: Float) {
        let original = embedding.weight.tensor
        let whole = original.copy()
        addProduct(
            a, transposingFirst: true, b, transposingSecond: true, scale: (magnitude == nil ? weight : 1) * shape.scale,
            to: whole)
        if let magnitude {
            let squares = rowSquares(whole, isInputByOutput: true)
            for i in 0..<whole.count {
                let column = i % embedding.width
                let factor = Double(magnitude.data[column]) / squares[column].squareRoot()
                whole.data[i] = Float(Double(whole.data[i]) * factor)
            }
        }
        embedding.adapter = nil
        embedding.weight.tensor =
            magnitude == nil || weight == 1 ? whole : interpolated(from: original, to: whole, weight)
    }
}
