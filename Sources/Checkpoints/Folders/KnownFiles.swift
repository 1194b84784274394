/// The names of the files that make up models, adapters and runs; whatever else lies in a folder belongs to somebody
/// else.
public enum KnownFiles {
    /// What a model's folder holds, as transformers and this tool write it.
    public static func isModelFile(_ name: String) -> Bool {
        modelNames.contains(name) || notes.contains(name) || isShard(name)
    }

    /// Whether a folder with these names holds a model's configuration and weights.
    public static func areModel(_ names: [String]) -> Bool {
        names.contains("config.json")
            && names.contains { $0 == ModelWeights.singleName || $0 == ModelWeights.indexName }
    }

    /// Whether a file of this name belongs to a model, an adapter or a run.
    public static func isOurs(_ name: String) -> Bool {
        isModelFile(name) || AdapterFolder.fileNames.contains(name) || others.contains(name)
    }

    private static let modelNames: Set<String> = [
        "config.json", "generation_config.json", ModelWeights.singleName, ModelWeights.indexName, "tokenizer.json",
        "tokenizer_config.json", "vocab.json", "merges.txt", "special_tokens_map.json", "added_tokens.json",
        "tokenizer.model", "spiece.model",
        "chat_template.jinja", "chat_template.json", "training_config.yaml",
        templatesName,
    ]

    /// What a merged model or a converted adapter tells of the templates that it was trained with.
    public static let templatesName = "peft_templates.yaml"

    /// What people write beside a model, which outlives its weights.
    public static let notes = ["README.md", "LICENSE", "LICENSE.md", "LICENSE.txt"]

    private static let others: Set<String> = [
        AdapterFolder.configurationName, "metrics.jsonl", "loss.svg", "training_state.json",
        "training_state.safetensors",
        validationName,
    ]

    /// Which records a run has left out of its training, to be evaluated on.
    public static let validationName = "validation_records.jsonl"

    /// `model-00001-of-00002.safetensors`
    private static func isShard(_ name: String) -> Bool {
        name.wholeMatch(of: /model-\d{5}-of-\d{5}\.safetensors/) != nil
    }
}
