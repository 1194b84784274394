public import Batches
public import Configuration
import Diagnostics
public import Layers

/// A family of models: how `config.json` names it and how one is built.
public protocol Architecture: LanguageModel, SendableMetatype {
    /// `model_type` in `config.json`.
    static var modelType: String { get }

    /// The module that holds everything but the head, which names of tensors begin with, such as `transformer`
    /// (transformers' `base_model_prefix`).
    static var basePath: String { get }

    /// `architectures` in `config.json` where a model has a task's head, such as `GPT2ForSequenceClassification`.
    static var classifierClass: String { get }

    /// The fields of the configuration that change what the tensors compute, beside their shapes, as text.
    var computation: String { get }

    /// Whether the configuration says that the language model's head is the token embedding, whatever the file holds.
    var tiesHeadByConfiguration: Bool { get }

    /// Builds the model with the head of `objective` and takes its tensors from `source`; a task's head that isn't there
    /// is made anew.
    ///
    /// - Throws: `Problems` for a configuration that isn't supported, and for missing or misshapen tensors.
    init(configuration: ConfigSection, source: any ParameterSource, objective: Objective) throws
}

extension Architecture {
    /// Builds the language model.
    public init(configuration: ConfigSection, source: any ParameterSource) throws {
        try self.init(configuration: configuration, source: source, objective: .languageModel)
    }
}

/// Every family that the tool knows.
public var architectures: [any Architecture.Type] {
    [
        GPT2.self, Llama.self, Mistral.self, Qwen2.self, Qwen3.self,
    ]
}
