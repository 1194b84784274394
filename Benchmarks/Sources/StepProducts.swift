import JSONText

/// The matrix products of a step of GPT-2, each with how often it is made.
struct StepProducts {
    typealias Entry = (count: Int, product: BareProduct)

    /// Rows of the layers' products, and of the output layer's.
    let rows: Int
    let targets: Int
    private(set) var forward: [Entry] = []
    /// The gradients of all inputs but that of the first block's c_attn, below which nothing is adapted.
    private(set) var innerGradients: [Entry] = []
    private(set) var lowestGradient: [Entry] = []
    private(set) var weightGradients: [Entry] = []

    /// - Parameter targets: The rows of the output layer; as many as the others where nil.
    init(model: String, rows: Int, targets: Int?, threads: Int) throws {
        let fields = try JSONNode.load(path: model + "/config.json")
        let layerCount = try fields.integer("n_layer")
        let width = try fields.integer("n_embd")
        let vocabulary = try fields.integer("vocab_size")
        let inner = try fields.optionalInteger("n_inner") ?? 4 * width
        self.rows = rows
        self.targets = targets ?? rows
        for (index, (inputs, outputs)) in [(width, 3 * width), (width, width), (width, inner), (inner, width)]
            .enumerated()
        {
            // Of the last block only the labelled rows are needed once its attention is done.
            let last = index == 0 || self.targets == rows ? 0 : 1
            for (count, rows) in [(layerCount - last, rows), (last, self.targets)] where count > 0 {
                forward.append((count, BareProduct(m: rows, n: outputs, k: inputs, threads: threads)))
                let gradient = BareProduct(m: rows, n: inputs, k: outputs, transposesB: true, threads: threads)
                innerGradients.append((index == 0 ? count - 1 : count, gradient))
                if index == 0 { lowestGradient.append((1, gradient)) }
                weightGradients.append(
                    (count, BareProduct(m: inputs, n: outputs, k: rows, transposesA: true, threads: threads)))
            }
        }
        let (head, all) = (vocabulary, self.targets)
        forward.append((1, BareProduct(m: all, n: head, k: width, transposesB: true, threads: threads)))
        innerGradients.append((1, BareProduct(m: all, n: width, k: head, threads: threads)))
        weightGradients.append((1, BareProduct(m: head, n: width, k: all, transposesA: true, threads: threads)))
    }
}
