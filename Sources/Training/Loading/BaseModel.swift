public import Checkpoints
import Configuration
public import Diagnostics
import Layers
public import Models
import Tensors
public import Tokenizers

/// A model with its tokenizer, as a folder that `transformers` saved holds them.
public struct BaseModel {
    /// The folder, resolved where a name of the local Hub cache was given.
    public let folder: String
    public let model: any Architecture
    /// nil where the folder has no tokenizer's files.
    public let tokenizer: (any Tokenizer)?
    /// The weights' files; nil for a model that begins at random.
    public let weights: ModelWeights?

    /// The token that ends a text: the tokenizer's, or the model configuration's where there is no tokenizer.
    public var endOfTextID: Int32? { tokenizer.map(\.endOfTextID) ?? model.endOfTextID }

    /// Opens a model folder, or a name in the local Hub cache.
    ///
    /// - Parameter randomSeed: Makes the tensors anew from this seed, so that `config.json` and a tokenizer are enough;
    ///   nil reads them.
    /// - Throws: `Problem` or `Problems` where something is missing, broken or not supported.
    public static func load(_ pathOrName: String, randomSeed: UInt64?, warn: WarningSink) throws -> BaseModel {
        let folder = try HubCache.resolve(pathOrName)
        let path = FileSystem.join(folder, "config.json")
        guard FileSystem.isFile(path) else {
            throw Problem(
                "this folder has no config.json, so it is no model as transformers saves it", file: folder,
                exitStatus: .missingInput)
        }
        let document = try ConfigDocument.load(jsonFile: path)
        let type = document.root.requiredString("model_type")
        try document.root.throwProblems()
        guard let architecture = architectures.first(where: { $0.modelType == type }) else {
            let known = architectures.map { "'\($0.modelType)'" }.joined(separator: ", ")
            throw Problems([
                document.root.problem("'\(type)' isn't supported; the supported models are \(known)", at: "model_type")
            ])
        }
        let weights = randomSeed == nil ? try ModelWeights(folder: folder, warn: warn) : nil
        let source: any ParameterSource =
            if let randomSeed { RandomParameters(seed: randomSeed) } else { CheckpointParameters(weights) }
        let model = try architecture.init(configuration: document.root, source: source)
        let tokenizer = hasTokenizer(folder) ? try loadTokenizer(folder: folder) : nil
        if let tokenizer, tokenizer.vocabularySize > model.vocabularySize {
            throw Problem(
                "the tokenizer has \(tokenizer.vocabularySize) entries, but the model only \(model.vocabularySize) "
                    + "(vocab_size in config.json): they don't belong together", file: folder)
        }
        return BaseModel(folder: folder, model: model, tokenizer: tokenizer, weights: weights)
    }

    private static func hasTokenizer(_ folder: String) -> Bool {
        ["tokenizer.json", "vocab.json"].contains { FileSystem.isFile(FileSystem.join(folder, $0)) }
    }
}

/// Takes a model's tensors from its checkpoint; old ones name them without the leading `transformer.`.
final class CheckpointParameters: ParameterSource {
    private let weights: ModelWeights?
    private let prefix: String

    init(_ weights: ModelWeights?) {
        self.weights = weights
        let hasPrefix = weights?.tensors.contains { $0.name.hasPrefix("transformer.") } ?? true
        prefix = hasPrefix ? "" : "transformer."
    }

    var location: String? { weights?.folder }
    var names: [String] { (weights?.tensors ?? []).map { modelName($0.name) } }

    func tensor(named name: String, shape: [Int], _ initializer: Initializer) throws -> Tensor? {
        guard let weights else { return nil }
        let fileName = self.fileName(name)
        guard weights.entry(named: fileName) != nil else { return nil }
        return try weights.tensor(named: fileName)
    }

    /// The name in the model's terms of a tensor of the file, and the other way round.
    func modelName(_ name: String) -> String { name.hasPrefix("lm_head.") ? name : prefix + name }

    func fileName(_ name: String) -> String {
        name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
    }
}
