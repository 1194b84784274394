import Configuration
import Diagnostics
import JSONText
import Layers
import Tensors

/// A learned prompt in a model: its encoder, and how its vectors enter the sequences.
final class PromptInstallation: Installation, LearnedPrompt {
    /// How the vectors enter the sequences.
    enum Arrangement: Hashable {
        /// As virtual tokens in front of every sequence.
        case leading
        /// As virtual tokens where the data's template has them.
        case placed
        /// As keys and values of layers.
        case prefix(PrefixLayout)
    }

    private let model: any AdaptableModel
    private let encoder: any PromptEncoder
    private let arrangement: Arrangement
    private let count: Int
    /// On the vectors of a pass in training.
    private let dropoutProbability: Float
    private let extras: ExtraParameters
    private let configuration: JSONValue
    /// What to do instead, where training was to go on from an adapter whose encoder isn't in its files.
    private let encoderAdvice: String?

    /// - Parameter encoderAdvice: nil where the vectors themselves train.
    init(
        _ settings: PromptSettings, _ encoder: any PromptEncoder, _ arrangement: Arrangement, dropout: Float = 0,
        configuration: JSONValue, encoderAdvice: String?, into model: any AdaptableModel, _ section: ConfigSection,
        _ context: InstallationContext
    ) throws {
        self.model = model
        self.encoder = encoder
        self.arrangement = arrangement
        count = settings.count
        dropoutProbability = dropout
        self.configuration = configuration
        self.encoderAdvice = encoderAdvice
        extras = ExtraParameters(model: model)
        try extras.add(modulesToSave: settings.modulesToSave, section)
        try extras.takeOver(tracking: context.isTraining)
        if context.isTraining { for parameter in encoder.parameters { parameter.tensor.track() } }
        model.prompt = self
    }

    // MARK: In the model

    var leadingCount: Int { arrangement == .leading ? count : 0 }
    var placedCount: Int { arrangement == .placed ? count : 0 }
    var prefixCount: Int { if case .prefix = arrangement { count } else { 0 } }

    func embeddings(_ context: ForwardContext) -> Tensor? { prefixCount > 0 ? nil : vectors(context) }

    func prefixes(_ context: ForwardContext) -> LayerPrefixes {
        guard case .prefix(let layout) = arrangement else { return LayerPrefixes() }
        return layout.prefixes(vectors(context))
    }

    private func vectors(_ context: ForwardContext) -> Tensor {
        let vectors = encoder.vectors(context)
        guard let choice = context.dropout(dropoutProbability) else { return vectors }
        return dropout(vectors, choice)
    }

    // MARK: For the run

    var trainable: [TrainableParameter] { encoder.parameters + extras.trainable }

    /// The tensor's name in the file. What peft hasn't got, tokens that the template places say, has another one than
    /// peft's, so that peft refuses the file instead of taking it for something else.
    private var tensorName: String {
        switch arrangement {
        case .placed: "placed_" + PromptTable.name
        case .prefix(.everyAttention): "every_attention_" + PromptTable.name
        case .leading, .prefix(.pairs): PromptTable.name
        }
    }

    func deliver() -> Delivery {
        let vectors = withoutGradients { encoder.vectors(.inference()) }
        return .adapter(
            configuration: configuration,
            tensors: [(tensorName, vectors)] + extras.trainable.map { ("base_model." + $0.name, $0.tensor) })
    }

    func load(_ tensors: [String: Tensor], file: String) throws(Problems) {
        guard encoderAdvice == nil, let table = encoder.parameters.first?.tensor else {
            throw Self.encoderProblem(encoderAdvice ?? "", file: file)
        }
        try loadExactly(
            tensors, into: [(tensorName, table)] + extras.trainable.map { ($0.name, $0.tensor) }, file: file)
    }

    /// Where training was to go on from vectors whose encoder is gone.
    static func encoderProblem(_ advice: String, file: String) -> Problems {
        Problems([
            Problem(
                "the adapter's vectors came from an encoder, which its files don't hold, so that training can't go on "
                    + "from them: \(advice)", file: file)
        ])
    }

    var trainingState: [(name: String, tensor: Tensor)] {
        resumesFromTrainingStateAlone ? trainable.map { ($0.name, $0.tensor) } : []
    }

    var resumesFromTrainingStateAlone: Bool { encoderAdvice != nil }

    var mergeObstacle: String? {
        "a learned prompt is part of the sequences and not of the weights; use the adapter beside its base model"
    }

    func merge(weight: Float) { defect("PromptInstallation: a prompt can't be merged") }

    func remove() {
        model.prompt = nil
        extras.restore()
    }
}
