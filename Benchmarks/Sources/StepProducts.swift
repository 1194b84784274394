import JSONText

/// The matrix products of a step that trains adapters of queries and values, each with how often it is made.
struct StepProducts {
    typealias Entry = (count: Int, product: BareProduct)

    /// Rows of the layers' products, and of the output layer's.
    let rows: Int
    let targets: Int
    private(set) var forward: [Entry] = []
    /// The gradients of all inputs but those of the first block's queries, keys and values, below which nothing is
    /// adapted.
    private(set) var innerGradients: [Entry] = []
    private(set) var lowestGradient: [Entry] = []
    private(set) var weightGradients: [Entry] = []

    /// - Parameter targets: The rows of the output layer; as many as the others where nil.
    init(model: String, rows: Int, targets: Int?, threads: Int) throws {
        let shape = try Shape(JSONNode.load(path: model + "/config.json"))
        self.rows = rows
        self.targets = targets ?? rows
        for layer in shape.layers {
            // Of the last block only the labelled rows are needed once its attention is done.
            let last = layer.feedsAttention || self.targets == rows ? 0 : 1
            let (inputs, outputs) = (layer.inputs, layer.outputs)
            for (count, rows) in [(shape.layerCount - last, rows), (last, self.targets)] where count > 0 {
                forward.append((count, BareProduct(m: rows, n: outputs, k: inputs, threads: threads)))
                let gradient = BareProduct(m: rows, n: inputs, k: outputs, transposesB: true, threads: threads)
                innerGradients.append((layer.feedsAttention ? count - 1 : count, gradient))
                if layer.feedsAttention { lowestGradient.append((1, gradient)) }
                weightGradients.append(
                    (count, BareProduct(m: inputs, n: outputs, k: rows, transposesA: true, threads: threads)))
            }
        }
        let (vocabulary, width) = (shape.vocabulary, shape.width)
        let (head, all) = (vocabulary, self.targets)
        forward.append((1, BareProduct(m: all, n: head, k: width, transposesB: true, threads: threads)))
        innerGradients.append((1, BareProduct(m: all, n: width, k: head, threads: threads)))
        weightGradients.append((1, BareProduct(m: head, n: width, k: all, transposesA: true, threads: threads)))
    }
}

extension StepProducts {
    /// A model's linear layers.
    private struct Shape {
        struct Layer {
            let inputs: Int
            let outputs: Int
            /// Whether it computes queries, keys or values.
            var feedsAttention = false
        }

        let layerCount: Int
        let width: Int
        let vocabulary: Int
        /// Of one block.
        let layers: [Layer]

        init(_ fields: JSONNode) throws {
            vocabulary = try fields.integer("vocab_size")
            if try fields.string("model_type") == "gpt2" {
                (layerCount, width) = (try fields.integer("n_layer"), try fields.integer("n_embd"))
                let inner = try fields.optionalInteger("n_inner") ?? 4 * width
                layers = [
                    Layer(inputs: width, outputs: 3 * width, feedsAttention: true),
                    Layer(inputs: width, outputs: width),
                    Layer(inputs: width, outputs: inner), Layer(inputs: inner, outputs: width),
                ]
                return
            }
            (layerCount, width) = (try fields.integer("num_hidden_layers"), try fields.integer("hidden_size"))
            let inner = try fields.integer("intermediate_size")
            let heads = try fields.integer("num_attention_heads")
            let size = try fields.optionalInteger("head_dim") ?? width / heads
            let keyWidth = try (fields.optionalInteger("num_key_value_heads") ?? heads) * size
            layers = [
                Layer(inputs: width, outputs: heads * size, feedsAttention: true),
                Layer(inputs: width, outputs: keyWidth, feedsAttention: true),
                Layer(inputs: width, outputs: keyWidth, feedsAttention: true),
                Layer(inputs: heads * size, outputs: width), Layer(inputs: width, outputs: inner),
                Layer(inputs: width, outputs: inner), Layer(inputs: inner, outputs: width),
            ]
        }
    }
}
