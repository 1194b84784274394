import Batches
public import Checkpoints
import Configuration
public import Datasets
public import Diagnostics
import Files
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
    /// What a model with a task's head tells; nil for a language model.
    public let labels: LabelSet?
    /// The token that texts are filled up with elsewhere, which a classifier doesn't look at.
    public let paddingID: Int32?
    /// Of the model as it was before it was quantized here.
    let fingerprint: ModelFingerprint
    /// How linear layers are kept that the folder has in more bits; nil where they are as they are there.
    public let quantization: QuantizationSettings?
    /// Is told of adapters that were trained on another base, or with another tokenizer; nil refuses them.
    public var otherBaseWarning: WarningSink?

    /// The tokens that end a text.
    public let endOfText: EndOfText

    /// The token that is put behind a text.
    public var endOfTextID: Int32? { endOfText.appended }

    /// What makes ids of texts for the model with what is installed in it now, and texts of ids.
    ///
    /// - Parameter hasPlaces: Whether `[P3]` in prompts is a place; it stays empty where the model has no virtual tokens.
    /// - Throws: `Problem` where the folder has no tokenizer.
    public func codec(hasPlaces: Bool = false) throws -> TextCodec {
        guard let tokenizer else {
            throw Problem(
                "no tokenizer in this folder: it needs \(tokenizerFileNames)", file: folder,
                exitStatus: .missingInput)
        }
        var codec = TextCodec(tokenizer, end: endOfText)
        codec.virtualTokens = VirtualTokenPlaces(placedCount: model.prompt?.placedCount ?? 0)
        codec.answerOpening = model.hasEncoder ? model.opening([]) : nil
        if codec.virtualTokens == .none, hasPlaces { codec.virtualTokens = .empty }
        return codec
    }

    /// Opens a model folder, or a name in the local Hub cache.
    ///
    /// - Parameter randomSeed: Makes the tensors anew from this seed, so that `config.json` and a tokenizer are enough;
    ///   nil reads them.
    /// - Throws: `Problem` or `Problems` where something is missing, broken or not supported.
    public static func load(_ pathOrName: String, randomSeed: UInt64?, warn: WarningSink) throws -> BaseModel {
        try load(pathOrName, randomSeed: randomSeed, labels: nil, headSeed: 0, quantization: nil, warn: warn)
    }

    /// Opens a model folder with the head that tells `labels`, made anew from `headSeed` where the folder has none.
    ///
    /// - Parameters:
    ///   - labels: nil for the head that the folder has.
    ///   - quantization: Keeps linear layers in fewer bits than the folder does; nil keeps them as they are.
    /// - Throws: also where the folder has a head for other labels.
    public static func load(
        _ pathOrName: String, randomSeed: UInt64?, labels wanted: LabelSet?, headSeed: UInt64,
        quantization: QuantizationSettings?, warn: WarningSink
    ) throws -> BaseModel {
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
        let stored: any ParameterSource =
            if let randomSeed { RandomParameters(seed: randomSeed) } else {
                CheckpointParameters(weights, headSeed, architecture)
            }
        let source: any ParameterSource =
            if let quantization { try QuantizingParameters(stored, quantization, architecture) } else { stored }
        let own = try TaskLabels.of(document.root, architecture, weights: weights)
        let labels =
            if let wanted, let own { try TaskLabels.matched(wanted, to: own, folder: folder) } else { wanted ?? own }
        let model = try architecture.init(
            configuration: document.root, source: source, objective: labels?.objective ?? .languageModel)
        source.warnings.forEach(warn)
        let padding = document.root.optionalInt("pad_token_id").flatMap { Int32(exactly: $0) }.flatMap {
            // Old configurations write -1 for none.
            $0 < 0 ? nil : $0
        }
        try document.root.throwProblems()
        var tokenizer = hasTokenizer(folder: folder) ? try loadTokenizer(folder: folder) : nil
        if let whole = tokenizer, whole.vocabularySize > model.vocabularySize {
            tokenizer = LimitedTokenizer(whole, rowCount: model.vocabularySize)
        }
        let endOfText = try EndOfText(tokenizer, model, folder: folder, warn: warn)
        // A head that the folder hasn't got is no part of it.
        let newHead = model.taskHead.flatMap { weights?.entry(named: $0.name) == nil ? $0.name : nil }
        return BaseModel(
            folder: folder, model: model, tokenizer: tokenizer, weights: weights, labels: labels,
            paddingID: padding ?? endOfText.appended,
            fingerprint: ModelFingerprint(
                model, leavingOut: Set([newHead].compactMap { $0 })),
            quantization: quantization, endOfText: endOfText)
    }
}

/// Takes a model's tensors from its checkpoint; old ones name them without the leading `transformer.` or `model.`.
final class CheckpointParameters: ParameterSource {
    private let weights: ModelWeights?
    private let prefix: String
    /// What the names of heads begin with, which lie beside the module that holds the rest.
    private let heads: [String]
    /// The head's path in the model and in the file.
    private let head: (model: String, file: String)
    let seed: UInt64
    var warnings: [Problem] = []

    /// - Parameter seed: Of a task's head that the checkpoint hasn't got.
    init(_ weights: ModelWeights?, _ seed: UInt64, _ architecture: any Architecture.Type) {
        let basePath = architecture.basePath
        self.weights = weights
        self.seed = seed
        let hasPrefix =
            basePath.isEmpty || weights?.tensors.contains { $0.name.hasPrefix(basePath + ".") } ?? true
        prefix = hasPrefix ? "" : basePath + "."
        heads = [architecture.headPath + ".", architecture.taskHeadPath + "."]
        let hasModelsHead = weights?.entry(named: architecture.headPath + ".weight") != nil
        head = (
            architecture.headPath + ".", (hasModelsHead ? architecture.headPath : architecture.storedHeadPath) + "."
        )
    }

    var location: String? { weights?.folder }
    func storedName(_ name: String) -> String { fileName(name) }
    var names: [String] {
        guard let weights else { return [] }
        let others = weights.quantizationNames
        return weights.tensors.filter { !others.contains($0.name) }.map { modelName($0.name) }
    }

    func tensor(named name: String, shape: [Int], _ initializer: Initializer) throws -> (any StoredTensor)? {
        guard let weights else { return nil }
        let fileName = self.fileName(name)
        guard weights.entry(named: fileName) != nil else { return nil }
        return try weights.raw(named: fileName).stored()
    }

    func linearWeight(
        named name: String, shape: [Int], isInputByOutput: Bool, _ initializer: Initializer
    ) throws -> (any StoredTensor)? {
        let (outputs, inputs) = isInputByOutput ? (shape[1], shape[0]) : (shape[0], shape[1])
        return try weights?.quantized(
            named: fileName(name), outputs: outputs, inputs: inputs, isInputByOutput: isInputByOutput)
            ?? tensor(named: name, shape: shape, initializer)
    }

    /// The name in the model's terms of a tensor of the file, and the other way round.
    func modelName(_ name: String) -> String {
        if name.hasPrefix(head.file) { return head.model + name.dropFirst(head.file.count) }
        return heads.contains(where: name.hasPrefix) ? name : prefix + name
    }

    func fileName(_ name: String) -> String {
        if name.hasPrefix(head.model) { return head.file + name.dropFirst(head.model.count) }
        return name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
    }
}
