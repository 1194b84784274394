public import Batches
public import Layers
public import Tensors

/// A model that predicts the next token or, with the head of a task, what a sequence is.
public protocol LanguageModel: AdaptableModel {
    /// What the head is for.
    var objective: Objective { get }
    var vocabularySize: Int { get }
    /// Where its weights come from, for messages.
    var location: String? { get }
    /// The most tokens that a sequence can have beside those that the model's prompt puts in front.
    var maximumLength: Int { get }
    /// The tokens that end a text, in the order in which the model's configuration names them.
    var endOfTextIDs: [Int32] { get }
    /// The output layer: h [rows, width] → logits [rows, vocabulary], or a task's outputs.
    var head: Linear { get }

    /// Examples as the model reads them, in one pass.
    ///
    /// - Parameter sharingPrompts: Whether what several begin with is computed once; dropouts then are the same for all.
    func batch(_ examples: [Example], sharingPrompts: Bool) -> TokenBatch

    /// The hidden states that the output layer reads, [rows wanted, width].
    ///
    /// - Parameter rows: The rows of the batch that are wanted, in ascending order; nil for all. What only the others
    ///   would need isn't computed.
    func states(_ batch: TokenBatch, rows: [Int]?, _ context: ForwardContext) -> Tensor

    /// The highest place below which nothing trains and nothing is adapted, as the model is now; nil where that is its
    /// beginning.
    var trainedPlace: StatePlace? { get }

    /// The model's own dropouts that aren't 0, by their keys in its configuration.
    var dropoutKeys: [String] { get }

    /// What lies below `place` makes of a batch without virtual tokens.
    ///
    /// - Parameter rows: As for the states that the output layer reads.
    func states(
        _ batch: TokenBatch, below place: StatePlace, rows: [Int]?, _ context: ForwardContext
    ) -> KeptStates

    /// What is gone on from where a prompt is answered: the prompt itself, or what a decoder begins with once an encoder
    /// has read the prompt.
    func opening(_ prompt: [Int32]) -> [Int32]

    /// A memory for the answers to some prompts, with room for `capacity` tokens each, those of the openings included.
    /// Nothing of the openings is in it, and all that an encoder reads.
    func makeCache(prompts: [[Int32]], capacity: Int) -> KeyValueCache
}

extension LanguageModel {
    public var location: String? { nil }

    /// Examples as the model reads them, each by itself.
    public func batch(_ examples: [Example]) -> TokenBatch { batch(examples, sharingPrompts: false) }

    /// Whether an encoder reads what is given and a decoder writes what is wanted of it.
    public var hasEncoder: Bool { promptShape.encoderLayerCount != nil }

    /// The cross-entropy over the batch's labelled rows, for regression the squared error; `scale` as in
    /// `languageModelLoss`.
    public func loss(_ batch: TokenBatch, scale: Float, _ context: ForwardContext) -> Loss {
        let rows = batch.labelledRows
        let hidden = states(batch, rows: rows.count == batch.rowCount ? nil : rows, context)
        if objective == .regression {
            return squaredError(head(hidden, context), targets: batch.values, scale: scale)
        }
        let labels = rows.map { batch.labels[$0] }
        let counts = batch.counts.isEmpty ? nil : rows.map { batch.counts[$0] }
        let smoothing = context.labelSmoothing
        guard let adapter = head.adapter else {
            return languageModelLoss(
                hidden, labels: labels, counts: counts, head: head.base, lowRank: nil, smoothing: smoothing,
                scale: scale)
        }
        if let term = adapter.lowRankTerm(for: hidden, context) {
            return languageModelLoss(
                hidden, labels: labels, counts: counts, head: head.base, lowRank: term, smoothing: smoothing,
                scale: scale)
        }
        return logitsLoss(
            head(hidden, context), labels: labels, counts: counts, smoothing: smoothing, scale: scale)
    }

    /// The scores of every next token, or a task's outputs, [rows wanted, outputs].
    public func logits(_ batch: TokenBatch, rows: [Int]?, _ context: ForwardContext) -> Tensor {
        head(states(batch, rows: rows, context), context)
    }
}

extension AdaptableModel {
    /// The paths of everything that trains or is adapted: of parameters by their names, of modules and joins.
    var trainedPaths: [String] {
        let adapted = modules.filter { module in
            switch module.kind {
            case .linear(let layer): layer.adapter != nil
            case .embedding(let table): table.adapter != nil
            case .norm, .container: false
            }
        }
        return parameters.filter { $0.tracked != nil }.map(\.name) + adapted.map(\.path)
            + joins.filter { $0.adapter != nil }.map(\.adapterPath)
    }
}

/// The first of the parts of a model, by their paths in the order of computation, that one of some paths lies in or is; 0
/// where one lies in none, and the last part where there are no paths.
func lowest(of paths: [String], among parts: [String]) -> Int {
    paths.map { path in parts.firstIndex { path == $0 || path.hasPrefix($0 + ".") } ?? 0 }.min() ?? parts.count - 1
}
