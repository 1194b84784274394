public import Configuration
import Diagnostics
import JSONText
public import Layers
import Tensors

/// Prefix tuning (Li and Liang 2021): keys and values P [prefix length, layers · 2 · width of keys] in front of every layer's
/// own, trained while the model is frozen; optionally computed from a smaller table E by an encoder that is only there
/// while training, P = W₂ tanh(W₁ E + b₁) + b₂.
public struct PrefixTuning: PEFTMethod {
    public static let name = "prefix_tuning"
    public static let learningRate = 1e-2
    public static let adapterType: String? = "PREFIX_TUNING"
    public static let tensorEndings = ["prompt_embeddings"]

    private let section: ConfigSection
    private let settings: PrefixSettings
    private let start: PromptSettings?

    public init(_ section: ConfigSection, startingFrom defaults: PrefixTuning?) throws {
        self.section = section
        settings = PrefixSettings(section, defaults: defaults?.settings, method: Self.name)
        start = defaults?.settings.prompt
        if let defaults { settings.prompt.reportDifferences(from: defaults.settings.prompt, section) }
        try section.throwProblems()
    }

    public var leadingPositions: Int { settings.prompt.count }

    public func check(_ model: any AdaptableModel) throws {
        try settings.check(model, section, startingFrom: start)
    }

    public func install(into model: any AdaptableModel, _ context: InstallationContext) throws -> any Installation {
        try settings.install(into: model, section, context, startingFrom: start, dropout: 0)
    }
}

/// The settings of a prefix, by peft's names.
struct PrefixSettings {
    enum Start: String, CaseIterable {
        case zero
    }

    let prompt: PromptSettings
    let isProjected: Bool
    /// The width between the two layers of the encoder; nil for that of the keys.
    let hiddenSize: Int?
    let beginsAtZero: Bool

    init(_ section: ConfigSection, defaults: PrefixSettings?, method: String) {
        prompt = PromptSettings(section, defaults: defaults?.prompt, method: method)
        isProjected = section.bool("prefix_projection", default: defaults?.isProjected ?? false)
        hiddenSize = section.optionalInt("encoder_hidden_size", in: 1...(1 << 20)) ?? defaults?.hiddenSize
        beginsAtZero = section.optionalChoice("init_weights", of: Start.allCases.map(\.rawValue)) != nil
        if !section.isAdapterFile, !isProjected, section.has("encoder_hidden_size") {
            section.record("goes with prefix_projection: true", at: "encoder_hidden_size")
        }
    }

    func check(_ model: any AdaptableModel, _ section: ConfigSection, startingFrom start: PromptSettings?) throws {
        try prompt.check(model, section, startingFrom: start, inEveryLayer: true)
    }

    func install(
        into model: any AdaptableModel, _ section: ConfigSection, _ context: InstallationContext,
        startingFrom start: PromptSettings?, dropout: Float
    ) throws -> any Installation {
        try check(model, section, startingFrom: start)
        let shape = model.promptShape
        let keyWidth = shape.heads.keyValueWidth
        let width = shape.layerCount * 2 * keyWidth
        let hidden = hiddenSize ?? keyWidth
        let configuration = prompt.adapterConfiguration(
            type: "PREFIX_TUNING", for: model, basePath: context.basePath,
            [
                .init("encoder_hidden_size", .integer(hidden)),
                .init("init_weights", beginsAtZero ? .string(Start.zero.rawValue) : nil),
                .init("prefix_projection", .boolean(isProjected)),
            ])
        let encoder: any PromptEncoder
        let usesEncoder = isProjected && context.isTraining
        let advice =
            usesEncoder ? "resume the run, or set prefix_projection to false to train the vectors themselves" : nil
        if let advice, let stored = context.stored {
            throw PromptInstallation.encoderProblem(advice, file: stored.file)
        }
        if usesEncoder {
            try section.checkMemory(
                Double(hidden) * Double(keyWidth + width), at: "encoder_hidden_size")
        }
        if usesEncoder {
            encoder = PrefixProjection(
                count: prompt.count, width: keyWidth, hidden: hidden, outputs: width, beginsAtZero: beginsAtZero,
                seed: context.seed)
        } else {
            encoder = PromptTable(
                beginsAtZero
                    ? Tensor(zeros: [prompt.count, width])
                    : PromptTable.random(prompt.count, width, seed: context.beginningSeed))
        }
        return try PromptInstallation(
            prompt, encoder, .prefix, dropout: dropout, configuration: configuration,
            encoderAdvice: advice, into: model, section, context)
    }
}

/// W₂ tanh(W₁ E + b₁) + b₂, with peft's names.
private final class PrefixProjection: PromptEncoder {
    private let embedding: PromptTable
    private let first: EncoderLinear
    private let second: EncoderLinear

    init(count: Int, width: Int, hidden: Int, outputs: Int, beginsAtZero: Bool, seed: UInt64) {
        embedding = PromptTable(PromptTable.random(count, width, seed: seed), name: "embedding.weight")
        first = EncoderLinear("transform.0", inputs: width, outputs: hidden, seed: seed)
        second = EncoderLinear("transform.2", inputs: hidden, outputs: outputs, seed: seed)
        if beginsAtZero {
            for tensor in [second.weight, second.bias] { tensor.data.update(repeating: 0, count: tensor.count) }
        }
    }

    var parameters: [TrainableParameter] { embedding.parameters + first.parameters + second.parameters }

    func vectors(_ context: ForwardContext) -> Tensor {
        second(hyperbolicTangent(first(embedding.vectors(context))))
    }
}
