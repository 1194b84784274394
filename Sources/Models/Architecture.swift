public import Batches
public import Configuration
import Diagnostics
public import Layers
public import Tensors

/// A family of models: how `config.json` names it and how one is built.
public protocol Architecture: LanguageModel, SendableMetatype {
    /// `model_type` in `config.json`.
    static var modelType: String { get }

    /// The module that holds everything but the head, which names of tensors begin with, such as `transformer`
    /// (transformers' `base_model_prefix`); empty where there is none.
    static var basePath: String { get }

    /// The path of the token embedding.
    static var tokenTablePath: String { get }

    /// The path of a language model's head.
    static var headPath: String { get }

    /// The head's path in checkpoints where that is another one.
    static var storedHeadPath: String { get }

    /// Whether the head is the token embedding where the configuration doesn't say.
    static var tiesHeadByDefault: Bool { get }

    /// `architectures` in `config.json` where a model has a task's head, such as `GPT2ForSequenceClassification`.
    static var classifierClass: String { get }

    /// The fields of the configuration that change what the tensors compute, beside their shapes, as text.
    var computation: String { get }

    /// Other names under which a checkpoint may hold the token embedding's weight once more.
    static var tokenTableCopies: [String] { get }

    /// Patterns of linear layers that transformers never keeps in fewer bits, whatever it is told.
    static var unquantizedModules: [String] { get }

    /// The language model's head as it stands in files; nil where it is the token embedding there too.
    var storedHead: (any StoredTensor)? { get }

    /// Fields of `config.json` that say how the head is, where they said something else.
    var headFields: [(key: String, value: Bool)] { get }

    /// Builds the model with the head of `objective` and takes its tensors from `source`; a task's head that isn't there
    /// is made anew.
    ///
    /// - Throws: `Problems` for a configuration that isn't supported, and for missing or misshapen tensors.
    init(configuration: ConfigSection, source: any ParameterSource, objective: Objective) throws
}

extension Architecture {
    public static var storedHeadPath: String { headPath }

    public static var tokenTableCopies: [String] { [] }

    public static var unquantizedModules: [String] { [] }

    public var storedHead: (any StoredTensor)? { isHeadTied ? nil : head.weight.value }

    /// The name that checkpoints have for one of the model's parameters, and the other way round.
    public static func storedName(_ name: String) -> String {
        name == headPath + ".weight" ? storedHeadPath + ".weight" : name
    }

    public static func name(ofStored name: String) -> String {
        name == storedHeadPath + ".weight" ? headPath + ".weight" : name
    }

    /// The names of the token embedding in checkpoints, old ones included.
    public static var tokenTableNames: [String] {
        let name = tokenTablePath + ".weight"
        return basePath.isEmpty ? [name] : [name, String(name.dropFirst(basePath.count + 1))]
    }

    /// The path of a task's head, the same in every family.
    public static var taskHeadPath: String { OutputHead.taskHeadPath }

    /// Builds the language model.
    public init(configuration: ConfigSection, source: any ParameterSource) throws {
        try self.init(configuration: configuration, source: source, objective: .languageModel)
    }
}

/// Every family that the tool knows.
public var architectures: [any Architecture.Type] {
    [
        GPT2.self, Llama.self, Mistral.self, Qwen2.self, Qwen3.self, GPTNeoX.self, T5.self, MT5.self,
    ]
}
