public import Configuration
import Diagnostics
public import Layers

/// A family of models: how `config.json` names it and how one is built.
public protocol Architecture: LanguageModel {
    /// `model_type` in `config.json`.
    static var modelType: String { get }

    /// Builds the model and takes its tensors from `source`.
    ///
    /// - Throws: `Problems` for a configuration that isn't supported, and for missing, misshapen or unused tensors.
    init(configuration: ConfigSection, source: any ParameterSource) throws
}

/// Every family that the tool knows.
public var architectures: [any Architecture.Type] {
    [
        GPT2.self
    ]
}
