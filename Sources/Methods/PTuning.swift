public import Configuration
import Diagnostics
import JSONText
public import Layers
import Tensors

/// P-tuning (Liu et al. 2021): virtual tokens whose vectors an encoder computes from a trained table, a network of three
/// layers or a bidirectional LSTM with one of two; in front of the sequences, as peft has them, or between the words of
/// the prompt's template, as the paper has them. The encoder is only there while training.
public struct PTuning: PEFTMethod {
    public static let name = "p_tuning"
    public static let learningRate = 1e-3
    public static let adapterType: String? = "P_TUNING"
    public static let tensorEndings = ["prompt_embeddings", "placed_prompt_embeddings"]

    enum Placement: String, CaseIterable {
        /// In front of every sequence.
        case front
        /// Where `data.prompt` says `[P3]`.
        case template
    }

    private let section: ConfigSection
    private let settings: PromptSettings
    private let encoder: PTuningEncoderSettings
    private let placement: Placement
    private let start: PromptSettings?

    public init(_ section: ConfigSection, startingFrom defaults: PTuning?) throws {
        self.section = section
        settings = PromptSettings(section, defaults: defaults?.settings, method: Self.name)
        encoder = PTuningEncoderSettings(section, defaults: defaults?.encoder)
        placement = section.choice("virtual_token_placement", default: defaults?.placement ?? .front)
        start = defaults?.settings
        if let defaults {
            settings.reportDifferences(from: defaults.settings, section)
            section.compare("virtual_token_placement", placement.rawValue, with: defaults.placement.rawValue)
        }
        try section.throwProblems()
    }

    public var leadingPositions: Int { placement == .front ? settings.count : 0 }
    public var placedTokens: Int { placement == .template ? settings.count : 0 }

    public func check(_ model: any AdaptableModel) throws {
        try settings.check(model, section, startingFrom: start, inEveryLayer: false)
    }

    public func install(into model: any AdaptableModel, _ context: InstallationContext) throws -> any Installation {
        try check(model)
        let width = model.promptShape.width
        let hidden = encoder.hiddenSize ?? width
        var own: [JSONValue.Member] = [
            .init("encoder_dropout", .number(encoder.dropout)),
            .init("encoder_hidden_size", .integer(hidden)),
            .init("encoder_num_layers", .integer(encoder.layerCount)),
            .init("encoder_reparameterization_type", .string(encoder.kind.rawValue)),
        ]
        if placement == .template { own.append(.init("virtual_token_placement", .string(placement.rawValue))) }
        let configuration = settings.adapterConfiguration(
            type: "P_TUNING", for: model, basePath: context.basePath, own)
        let advice = context.isTraining ? "resume the run instead" : nil
        if let advice, let stored = context.stored {
            throw PromptInstallation.encoderProblem(advice, file: stored.file)
        }
        if context.isTraining {
            try section.checkMemory(encoder.parameterCount(width: width, hidden: hidden), at: "encoder_hidden_size")
        }
        let network: any PromptEncoder =
            context.isTraining
            ? encoder.encoder(count: settings.rowCount(in: model), width: width, hidden: hidden, seed: context.seed)
            : PromptTable(PromptTable.random(settings.rowCount(in: model), width, seed: context.beginningSeed))
        return try PromptInstallation(
            settings, network, placement == .front ? .leading : .placed, configuration: configuration,
            encoderAdvice: advice, into: model, section, context)
    }
}

/// What computes the vectors of P-tuning's virtual tokens.
private struct PTuningEncoderSettings {
    enum Kind: String, CaseIterable {
        case perceptron = "MLP"
        case memory = "LSTM"
    }

    let kind: Kind
    /// nil for the model's width.
    let hiddenSize: Int?
    /// Layers of the LSTM.
    let layerCount: Int
    /// Between the layers of the LSTM.
    let dropout: Double

    init(_ section: ConfigSection, defaults: PTuningEncoderSettings?) {
        kind = section.choice("encoder_reparameterization_type", default: defaults?.kind ?? .perceptron)
        hiddenSize = section.optionalInt("encoder_hidden_size", in: 1...(1 << 20)) ?? defaults?.hiddenSize
        layerCount = section.int("encoder_num_layers", default: defaults?.layerCount ?? 2, in: 1...64)
        dropout = Double(section.probability("encoder_dropout", default: defaults?.dropout ?? 0))
        if kind == .perceptron, !section.isAdapterFile {
            // A run's own record of its settings holds the defaults too.
            let isSet = [("encoder_num_layers", layerCount != 2), ("encoder_dropout", dropout != 0)]
            for (key, isSet) in isSet where isSet && section.has(key) {
                section.record("goes with encoder_reparameterization_type: LSTM; an MLP has three layers", at: key)
            }
        }
    }

    /// How many numbers the encoder's layers have.
    func parameterCount(width: Int, hidden: Int) -> Double {
        let (width, hidden) = (Double(width), Double(hidden))
        switch kind {
        case .perceptron: return 2 * width * hidden + hidden * hidden
        case .memory:
            let lower = 8 * hidden * (width + hidden)
            return lower + Double(layerCount - 1) * 24 * hidden * hidden + 4 * hidden * hidden + 2 * hidden * width
        }
    }

    func encoder(count: Int, width: Int, hidden: Int, seed: UInt64) -> any PromptEncoder {
        switch kind {
        case .perceptron: PerceptronEncoder(count: count, width: width, hidden: hidden, seed: seed)
        case .memory:
            MemoryEncoder(
                count: count, width: width, hidden: hidden, layers: layerCount, dropout: Float(dropout), seed: seed)
        }
    }
}

/// W₃ relu(W₂ relu(W₁ E + b₁) + b₂) + b₃, with peft's names.
private final class PerceptronEncoder: PromptEncoder {
    private let embedding: PromptTable
    private let layers: [EncoderLinear]

    init(count: Int, width: Int, hidden: Int, seed: UInt64) {
        embedding = PromptTable(PromptTable.random(count, width, seed: seed), name: "embedding.weight")
        layers = [
            EncoderLinear("mlp_head.0", inputs: width, outputs: hidden, seed: seed),
            EncoderLinear("mlp_head.2", inputs: hidden, outputs: hidden, seed: seed),
            EncoderLinear("mlp_head.4", inputs: hidden, outputs: width, seed: seed),
        ]
    }

    var parameters: [TrainableParameter] { embedding.parameters + layers.flatMap(\.parameters) }

    func vectors(_ context: ForwardContext) -> Tensor {
        layers[2](layers[1](layers[0](embedding.vectors(context), activation: .relu), activation: .relu))
    }
}

/// W₂ relu(W₁ lstm(E) + b₁) + b₂ over a bidirectional LSTM, with peft's names.
private final class MemoryEncoder: PromptEncoder {
    private let embedding: PromptTable
    private let memory: BidirectionalLSTM
    private let layers: [EncoderLinear]

    init(count: Int, width: Int, hidden: Int, layers layerCount: Int, dropout: Float, seed: UInt64) {
        embedding = PromptTable(PromptTable.random(count, width, seed: seed), name: "embedding.weight")
        memory = BidirectionalLSTM(
            "lstm_head", inputs: width, hidden: hidden, layers: layerCount, dropout: dropout, seed: seed)
        layers = [
            EncoderLinear("mlp_head.0", inputs: 2 * hidden, outputs: 2 * hidden, seed: seed),
            EncoderLinear("mlp_head.2", inputs: 2 * hidden, outputs: width, seed: seed),
        ]
    }

    var parameters: [TrainableParameter] {
        embedding.parameters + memory.parameters + layers.flatMap(\.parameters)
    }

    func vectors(_ context: ForwardContext) -> Tensor {
        layers[1](layers[0](memory(embedding.vectors(context), context), activation: .relu))
    }
}
