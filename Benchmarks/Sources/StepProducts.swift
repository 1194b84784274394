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

    /// - Parameters:
    ///   - rows: Instead of those of a dense batch of the options.
    ///   - targets: The rows of the output layer; as many as the others where nil. Beside an encoder all of the decoder's.
    init(model: String, _ options: BatchOptions, rows: Int? = nil, targets: Int? = nil) throws {
        let fields = try JSONNode.load(path: model + "/config.json")
        let threads = options.threads
        func product(_ rows: Int, _ layer: Layer) -> (forward: BareProduct, gradient: BareProduct, weight: BareProduct)
        {
            let (inputs, outputs) = (layer.inputs, layer.outputs)
            return (
                BareProduct(m: rows, n: outputs, k: inputs, threads: threads),
                BareProduct(m: rows, n: inputs, k: outputs, transposesB: true, threads: threads),
                BareProduct(m: inputs, n: outputs, k: rows, transposesA: true, threads: threads)
            )
        }
        if try fields.optionalInteger("d_kv") != nil {
            let shape = try EncoderDecoderShape(fields)
            self.rows = rows ?? options.batch * options.length
            self.targets = targets ?? options.batch * options.targets
            for (layer, count, isDecoders, lowest) in shape.layers {
                let made = product(isDecoders ? self.targets : self.rows, layer)
                forward.append((count, made.forward))
                innerGradients.append((count - lowest, made.gradient))
                if lowest > 0 { lowestGradient.append((lowest, made.gradient)) }
                weightGradients.append((count, made.weight))
            }
            addHead(width: shape.width, vocabulary: shape.vocabulary, threads: threads)
            return
        }
        let shape = try Shape(fields)
        let rows = rows ?? options.batch * (options.length - 1)
        self.rows = rows
        self.targets = targets ?? rows
        for layer in shape.layers {
            // Of the last block only the labelled rows are needed once its attention is done.
            let last = layer.feedsAttention || self.targets == rows ? 0 : 1
            for (count, rows) in [(shape.layerCount - last, rows), (last, self.targets)] where count > 0 {
                let made = product(rows, layer)
                forward.append((count, made.forward))
                innerGradients.append((layer.feedsAttention ? count - 1 : count, made.gradient))
                if layer.feedsAttention { lowestGradient.append((1, made.gradient)) }
                weightGradients.append((count, made.weight))
            }
        }
        addHead(width: shape.width, vocabulary: shape.vocabulary, threads: threads)
    }

    private mutating func addHead(width: Int, vocabulary head: Int, threads: Int) {
        let all = targets
        forward.append((1, BareProduct(m: all, n: head, k: width, transposesB: true, threads: threads)))
        innerGradients.append((1, BareProduct(m: all, n: width, k: head, threads: threads)))
        weightGradients.append((1, BareProduct(m: head, n: width, k: all, transposesA: true, threads: threads)))
    }
}

extension StepProducts {
    struct Layer {
        let inputs: Int
        let outputs: Int
        /// Whether it computes queries, keys or values.
        var feedsAttention = false
    }

    /// The linear layers of a T5.
    private struct EncoderDecoderShape {
        let width: Int
        let vocabulary: Int
        /// How often there is each, whether it has the decoder's rows, and of how many what goes in needs no gradient.
        let layers: [(layer: Layer, count: Int, isDecoders: Bool, lowest: Int)]

        init(_ fields: JSONNode) throws {
            let (width, inner) = (try fields.integer("d_model"), try fields.integer("d_ff"))
            let attended = try fields.integer("d_kv") * fields.integer("num_heads")
            let encoders = try fields.integer("num_layers")
            let decoders = try fields.optionalInteger("num_decoder_layers") ?? encoders
            let isGated = try fields.string("feed_forward_proj").hasPrefix("gated")
            (self.width, vocabulary) = (width, try fields.integer("vocab_size"))
            let (input, output) = (
                Layer(inputs: width, outputs: attended), Layer(inputs: attended, outputs: width)
            )
            let (open, close) = (Layer(inputs: width, outputs: inner), Layer(inputs: inner, outputs: width))
            layers = [
                // Queries, keys and values of each stack's own attention.
                (input, 3 * encoders, false, 3), (input, 3 * decoders, true, 3),
                (output, encoders, false, 0), (output, decoders, true, 0),
                // Of a decoder's attention to the encoder's states.
                (input, decoders, true, 0), (input, 2 * decoders, false, 0), (output, decoders, true, 0),
                (open, (isGated ? 2 : 1) * encoders, false, 0), (open, (isGated ? 2 : 1) * decoders, true, 0),
                (close, encoders, false, 0), (close, decoders, true, 0),
            ]
        }
    }

    /// A model's linear layers.
    private struct Shape {
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
