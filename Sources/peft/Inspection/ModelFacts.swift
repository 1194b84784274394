import JSONText
import Models

/// The sizes of a model, as its `config.json` has them.
struct ModelFacts {
    struct Size {
        /// In words, for people.
        let label: String
        let key: String
        let value: JSONValue
    }

    /// `model_type`, such as `gpt2`.
    let type: String?
    let sizes: [Size]
    /// Whether the output layer is to share the token embedding, which it does where nothing is said.
    let tiesHead: Bool

    /// The fields that say how a model is built, by their names in the configurations of the common families.
    private static let fields: [(label: String, keys: [String])] = [
        ("class", ["architectures"]),
        ("layers", ["n_layer", "num_hidden_layers", "num_layers"]),
        ("width", ["n_embd", "hidden_size", "d_model"]),
        ("inner width", ["n_inner", "intermediate_size", "d_ff"]),
        ("heads", ["n_head", "num_attention_heads", "num_heads"]),
        ("key/value heads", ["num_key_value_heads"]),
        ("positions", ["n_positions", "max_position_embeddings"]),
        ("vocabulary", ["vocab_size"]),
        ("activation", ["activation_function", "hidden_act", "feed_forward_proj"]),
        ("tied head", ["tie_word_embeddings"]),
        ("end of text", ["eos_token_id"]),
    ]

    init(configurationFile path: String) throws {
        let root = try JSONNode.load(path: path)
        type = try root.optionalString("model_type")
        let family = architectures.first { [type] in $0.modelType == type }
        tiesHead =
            (try? root.optionalBoolean("tie_word_embeddings")) ?? nil ?? family?.tiesHeadByDefault ?? true
        sizes = try Self.fields.flatMap { label, keys in
            try keys.compactMap { key in try root.optional(key).map { Size(label: label, key: key, value: $0.plain) } }
        }
    }

    var json: JSONValue {
        .object([.init("model_type", type.map { .string($0) } ?? .null)] + sizes.map { .init($0.key, $0.value) })
    }
}
