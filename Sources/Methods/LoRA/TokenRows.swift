import Configuration
import Diagnostics
import Layers
import Tensors

/// Some rows of an embedding, which train in place of the table's; where the output layer shares the table, there as
/// well (peft's `trainable_token_indices`).
final class TokenRows: EmbeddingAdapter, LinearAdapter {
    private let embedding: Embedding
    private let head: Linear?
    private let indices: [Int]
    /// The rows as they are now, [indices, width].
    private let rows: Tensor
    private let negatedOriginals: Tensor
    private let choices: [Int32: Int]
    /// 1 where a row of the output layer is a trained one, [vocabulary, indices].
    private let places: Tensor?

    private init(_ embedding: Embedding, head: Linear?, _ indices: [Int]) {
        self.embedding = embedding
        self.head = head
        self.indices = indices
        let (table, width) = (embedding.weight.tensor, embedding.width)
        rows = Tensor(uninitialized: [indices.count, width])
        negatedOriginals = Tensor(uninitialized: rows.shape)
        for (row, index) in indices.enumerated() {
            for column in 0..<width {
                rows.data[row * width + column] = table.data[index * width + column]
                negatedOriginals.data[row * width + column] = -table.data[index * width + column]
            }
        }
        choices = Dictionary(uniqueKeysWithValues: indices.enumerated().map { (Int32($1), $0) })
        places = head.map { head in
            let places = Tensor(zeros: [head.outputSize, indices.count])
            for (row, index) in indices.enumerated() { places.data[index * indices.count + row] = 1 }
            return places
        }
    }

    /// The rows that the settings name, nothing installed yet.
    ///
    /// - Throws: `Problems` for embeddings that don't exist, rows that they don't have, and rows of what trains already.
    static func make(
        _ method: LoRA, _ modules: [NamedModule], _ model: any AdaptableModel
    ) throws -> [TokenRows] {
        try method.settings.tokenRows.map { entry in
            func problem(_ message: String) -> Problems {
                Problems([method.section.problem(message, at: "trainable_token_indices")])
            }
            guard let embedding = embedding(of: entry, in: model) else {
                throw problem(
                    "'\(entry.module ?? "")' is no embedding; the model has "
                        + embeddings(of: model).map(\.path).joined(separator: ", "))
            }
            if let obstacle = model.modules.first(where: { $0.path == embedding.path })?.rowObstacle {
                throw problem("\(embedding.path) \(obstacle)")
            }
            if let index = entry.indices.first(where: { $0 >= embedding.entryCount }) {
                throw problem("\(embedding.path) has no row \(index); its rows are 0 to \(embedding.entryCount - 1)")
            }
            let saved = method.settings.modulesToSave
            if saved.contains(where: { TargetSelection.saves(moduleAt: embedding.path, orAbove: $0) }) {
                throw problem("\(embedding.path) trains as a whole already: it is in modules_to_save")
            }
            if modules.contains(where: { $0.path == embedding.path }) {
                throw problem("\(embedding.path) has an adapter already: it is in target_modules")
            }
            let isShared =
                model.isHeadTied && embedding.weight === model.tokenEmbedding
                && !saved.contains { TargetSelection.saves(moduleAt: model.outputLayerPath, orAbove: $0) }
            var head: Linear?
            for module in model.modules where isShared && module.path == model.outputLayerPath {
                if case .linear(let linear) = module.kind { head = linear }
            }
            if head != nil, modules.contains(where: { $0.path == model.outputLayerPath }) {
                throw problem(
                    "\(model.outputLayerPath), which shares the rows, has an adapter already: it is in target_modules")
            }
            // A table of what each row of the output layer is.
            if head != nil, entry.indices.count > placeLimit / max(1, embedding.entryCount) {
                throw problem(
                    "\(entry.indices.count) rows are more than are trained on their own: name \(embedding.path) in "
                        + "modules_to_save")
            }
            return TokenRows(embedding, head: head, entry.indices)
        }
    }

    /// Numbers, 2 GB of them.
    private static let placeLimit = 1 << 29

    /// The embedding that an entry means; nil where there is none.
    static func embedding(of entry: LoRASettings.TokenRowChoice, in model: any AdaptableModel) -> Embedding? {
        embeddings(of: model).first { embedding in
            guard let name = entry.module else { return embedding.weight === model.tokenEmbedding }
            return TargetSelection.matches(embedding.path, name)
        }
    }

    private static func embeddings(of model: any AdaptableModel) -> [Embedding] {
        model.modules.compactMap { module in
            if case .embedding(let embedding) = module.kind { embedding } else { nil }
        }
    }

    func install() {
        embedding.adapter = self
        head?.adapter = self
    }

    func remove() {
        embedding.adapter = nil
        head?.adapter = nil
    }

    var trainable: TrainableParameter {
        TrainableParameter(
            name: embedding.path + ".token_adapter.trainable_tokens_delta", tensor: rows, decays: true)
    }

    func apply(to rows: Tensor, _ indices: [Int32]) -> Tensor {
        overrideRows(
            rows, self.rows, indices.map { choices[$0] }, frozen: embedding.paddingIndex.flatMap { choices[$0] })
    }

    /// h · (new row − old row) in the columns of the rows.
    func lowRankTerm(for input: Tensor, _ context: ForwardContext) -> LowRankTerm? {
        guard let places else { return nil }
        let change = addResidual(rows, negatedOriginals, dropout: nil)
        return LowRankTerm(
            u: lowRankInput(input, change, scale: 1, dropout: nil, byRow: !context.isTraining), b: places)
    }

    var readsOutput: Bool { false }

    func apply(to product: LinearProduct) -> Tensor {
        product.completed(adding: lowRankTerm(for: product.input, product.context))
    }

    /// Puts `weight` times the change into the table and takes the rows out.
    func merge(weight: Float) {
        let table = embedding.weight.tensor.copy()
        for (row, index) in indices.enumerated() {
            for column in 0..<embedding.width {
                let (place, source) = (index * embedding.width + column, row * embedding.width + column)
                table.data[place] =
                    weight == 1
                    ? rows.data[source]
                    : table.data[place] + weight * (rows.data[source] + negatedOriginals.data[source])
            }
        }
        remove()
        embedding.weight.tensor = table
    }
}
