public import Configuration
public import Diagnostics
public import JSONText
public import Layers
public import Tensors

/// A way of fine-tuning: which parameters train, how they are delivered, and whether they merge.
public protocol PEFTMethod: SendableMetatype {
    /// `peft.method` in a run's configuration, such as `lora`.
    static var name: String { get }

    /// The peak learning rate of a run whose configuration gives none, as the method's paper or peft's examples have it:
    /// what trains few numbers, or numbers of another size than weights, wants other steps than whole weights.
    static var learningRate: Double { get }

    /// `peft_type` in `adapter_config.json`, such as `LORA`; nil where no adapter comes out.
    static var adapterType: String? { get }

    /// What the names of its own tensors end in behind the path of their module, such as `.lora_A.weight`, or a whole name;
    /// `peft doctor` tells such tensors from ones that belong nowhere.
    static var tensorEndings: [String] { get }

    /// The library that loads the adapters, by its name on the Hub.
    static var library: String { get }

    /// Why `library` doesn't load adapters of the method into the supported models, and what to do, as a sentence without
    /// its point; nil where it does.
    static var loadingObstacle: String? { get }

    /// Reads the settings from the `peft` section of a run, or from `adapter_config.json`, whose names are the same.
    ///
    /// - Parameter defaults: The settings of the adapter that training starts from, if it starts from one.
    /// - Throws: `Problems` for settings out of range or at odds with each other.
    init(_ section: ConfigSection, startingFrom defaults: Self?) throws

    /// Positions that the method takes for itself in front of every sequence.
    var leadingPositions: Int { get }

    /// Virtual tokens that the prompt's template has to place, `[P3]` for three of them.
    var placedTokens: Int { get }

    /// Why no other tool loads what these settings deliver, as a sentence without its point; nil where `library` does.
    var formObstacle: String? { get }

    /// Whether training begins by changing the weights below its adapters, so that peft's files hold what became of them.
    var changesBaseWeights: Bool { get }

    /// Whether the settings fit a model, as far as that shows before data is read.
    ///
    /// - Throws: `Problems` where they don't.
    func check(_ model: any AdaptableModel) throws

    /// Puts the method into a model: afterwards its parameters, and no others, ask for gradients.
    ///
    /// - Throws: `Problems` where the settings don't fit the model; then the model is as it was.
    func install(into model: any AdaptableModel, _ context: InstallationContext) throws -> any Installation
}

extension PEFTMethod {
    public static var tensorEndings: [String] { [] }
    public static var library: String { "peft" }
    public static var loadingObstacle: String? { nil }
    public var leadingPositions: Int { 0 }
    public var placedTokens: Int { 0 }
    public var formObstacle: String? {
        placedTokens > 0
            ? "peft doesn't know virtual tokens that are placed in the prompt; only this tool loads the adapter" : nil
    }
    public var changesBaseWeights: Bool { false }
    public func check(_ model: any AdaptableModel) throws {}
}

/// What a method may need to know of the run besides its settings.
public struct InstallationContext {
    /// The seed of everything that begins at random.
    public var seed: UInt64
    /// Where the base model lies, as the adapter's files shall name it.
    public var basePath: String
    /// Whether parameters are to be trained, rather than only used.
    public var isTraining: Bool
    /// The optimizer steps of the run; nil where nothing is trained.
    public var stepCount: Int?
    /// What the file holds that everything will be loaded from; nil where the method begins anew.
    public var stored: StoredShapes?
    /// The tokens of a text of its own, as the tokenizer gives them.
    public var encode: (String) throws -> [Int32]
    /// Is told in a line how the method begins, where that is worth a word.
    public var note: (String) -> Void = { _ in }
    /// Is told what isn't as one would think where the method begins.
    public var warn: WarningSink = { _ in }

    /// A context without steps and without a tokenizer, which are set where there are any.
    public init(seed: UInt64, basePath: String, isTraining: Bool) {
        self.seed = seed
        self.basePath = basePath
        self.isTraining = isTraining
        encode = { _ in
            throw Problem(
                "no tokenizer in this folder: it needs tokenizer.json, or vocab.json and merges.txt, or tokenizer.model, or spiece.model",
                file: basePath,
                exitStatus: .missingInput)
        }
    }
}

/// A parameter that an optimizer trains.
public struct TrainableParameter {
    /// The name in the delivered file.
    public let name: String
    public let tensor: Tensor
    /// Whether weight decay touches it: not biases and norms.
    public let decays: Bool
    /// The elements that train where the others don't, in row-major order; nil for all.
    public let elements: Range<Int>?
    /// What the run's learning rate is multiplied by for it.
    public var rateFactor = 1.0

    public init(name: String, tensor: Tensor, decays: Bool, elements: Range<Int>? = nil) {
        self.name = name
        self.tensor = tensor
        self.decays = decays
        self.elements = elements
    }

    /// How many numbers train.
    public var count: Int { elements?.count ?? tensor.count }

    /// What trains, in the tensor's own memory.
    public var value: Tensor { elements.map(tensor.elements) ?? tensor }

    /// The gradient of what trains, which `backward` left.
    public var gradient: Tensor? {
        guard let gradient = tensor.gradient else { return nil }
        return elements.map(gradient.elements) ?? gradient
    }
}

/// What a method leaves behind for others to load.
public enum Delivery {
    /// An adapter as `adapter_config.json` and the tensors of `adapter_model.safetensors`.
    case adapter(configuration: JSONValue, tensors: [(name: String, tensor: Tensor)])
    /// The whole model, as an ordinary checkpoint.
    case checkpoint
}

/// Every method that the tool knows.
public var methods: [any PEFTMethod.Type] {
    [
        Full.self,
        LoRA.self,
        AdaLoRA.self,
        BitFit.self,
        LastLayers.self,
        LNTuning.self,
        IA3.self,
        LoHa.self,
        LoKr.self,
        BottleneckAdapter.self,
        PromptTuning.self,
        PrefixTuning.self,
        PTuning.self,
        PTuningV2.self,
    ]
}
