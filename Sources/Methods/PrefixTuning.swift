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
    public static let tensorEndings = ["prompt_embeddings", "every_attention_prompt_embeddings"]

    private let section: ConfigSection
    private let settings: PrefixSettings
    private let start: PromptSettings?

    public init(_ section: ConfigSection, startingFrom defaults: PrefixTuning?) throws {
        self.section = section
        settings = PrefixSettings(section, defaults: defaults?.settings, method: Self.name)
        start = defaults?.settings.prompt
        if let defaults { settings.reportDifferences(from: defaults.settings, section) }
        try section.throwProblems()
    }

    public var leadingPositions: Int { settings.prompt.count }
    public var formObstacle: String? { settings.formObstacle }

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

    /// Which attentions of a model with an encoder have a prefix.
    enum Placement: String, CaseIterable {
        /// The self-attention of the decoder's layers, in peft's order of pairs.
        case decoder
        /// The self-attention of the encoder's and of the decoder's layers and the attention between them, each with a pair
        /// of its own (Li and Liang 2021, section 4.2); peft can't load it.
        case everyAttention = "every_attention"
    }

    let prompt: PromptSettings
    let placement: Placement
    let isProjected: Bool
    /// The width between the two layers of the encoder; nil for that of the keys.
    let hiddenSize: Int?
    let beginsAtZero: Bool

    init(_ section: ConfigSection, defaults: PrefixSettings?, method: String) {
        prompt = PromptSettings(section, defaults: defaults?.prompt, method: method)
        placement = section.choice("prefix_placement", default: defaults?.placement ?? .decoder)
        isProjected = section.bool("prefix_projection", default: defaults?.isProjected ?? false)
        hiddenSize = section.optionalInt("encoder_hidden_size", in: 1...(1 << 20)) ?? defaults?.hiddenSize
        beginsAtZero = section.optionalChoice("init_weights", of: Start.allCases.map(\.rawValue)) != nil
        if !section.isAdapterFile, !isProjected, section.has("encoder_hidden_size") {
            section.record("goes with prefix_projection: true", at: "encoder_hidden_size")
        }
    }

    var formObstacle: String? {
        placement == .everyAttention
            ? "peft has prefixes in the decoder's own attention alone; only this tool loads the adapter" : nil
    }

    func reportDifferences(from start: PrefixSettings, _ section: ConfigSection) {
        prompt.reportDifferences(from: start.prompt, section)
        section.compare("prefix_placement", placement.rawValue, with: start.placement.rawValue)
    }

    func check(_ model: any AdaptableModel, _ section: ConfigSection, startingFrom start: PromptSettings?) throws {
        try prompt.check(model, section, startingFrom: start, inEveryLayer: true)
        let shape = model.promptShape
        guard let encoderLayers = shape.encoderLayerCount else {
            if placement == .everyAttention {
                throw Problems([
                    section.problem(
                        "goes with models that have an encoder; every layer of this one has a prefix anyway",
                        at: "prefix_placement")
                ])
            }
            return
        }
        if placement == .decoder, shape.layerCount > encoderLayers {
            throw Problems([
                section.problem(
                    "peft has pairs for as many layers as the encoder has (\(encoderLayers)), and the decoder has "
                        + "\(shape.layerCount): set it to every_attention", at: "prefix_placement")
            ])
        }
        if placement == .decoder, prompt.submodules == 1 {
            throw Problems([
                section.problem(
                    "with 1 peft puts the decoder's own tokens, later ones too, before its attention to the encoder, so that "
                        + "it learns from what it is to predict: leave it out, or set prefix_placement: every_attention",
                    at: "num_transformer_submodules")
            ])
        }
        if placement == .everyAttention, section.asksFor("num_transformer_submodules") {
            throw Problems([
                section.problem(
                    "says how peft lays pairs out, and prefix_placement: every_attention has them all: leave it out",
                    at: "num_transformer_submodules")
            ])
        }
    }

    /// How the vectors' columns are dealt out to the attentions of `shape`.
    private func layout(of shape: PromptShape) -> PrefixLayout {
        if placement == .everyAttention {
            return .everyAttention(encoder: shape.encoderLayerCount ?? 0, decoder: shape.layerCount)
        }
        let count = shape.storedLayerCount
        // With two stacks peft takes each layer's pair for its own attention and the next one for that to the sources, which
        // it then leaves out: so layer i gets pair 2i, and behind the last they begin anew.
        let step = prompt.submoduleCount(of: shape)
        return .pairs((0..<shape.layerCount).map { $0 * step % count }, of: count)
    }

    func install(
        into model: any AdaptableModel, _ section: ConfigSection, _ context: InstallationContext,
        startingFrom start: PromptSettings?, dropout: Float
    ) throws -> any Installation {
        try check(model, section, startingFrom: start)
        let shape = model.promptShape
        let keyWidth = shape.heads.keyValueWidth
        let layout = layout(of: shape)
        let width = layout.pairCount * 2 * keyWidth
        let hidden = hiddenSize ?? keyWidth
        let configuration = prompt.adapterConfiguration(
            type: "PREFIX_TUNING", for: model, basePath: context.basePath,
            [
                .init("encoder_hidden_size", .integer(hidden)),
                .init("init_weights", beginsAtZero ? .string(Start.zero.rawValue) : nil),
                .init("prefix_projection", .boolean(isProjected)),
            ] + (placement == .decoder ? [] : [.init("prefix_placement", .string(placement.rawValue))]))
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
            prompt, encoder, .prefix(layout), dropout: dropout, configuration: configuration,
            encoderAdvice: advice, into: model, section, context)
    }
}

/// Which pairs of keys and values, side by side in a prefix's vectors, stand in front of which attention.
enum PrefixLayout: Hashable {
    /// For each layer that predicts the number of its pair, of so many.
    case pairs([Int], of: Int)
    /// A pair for each of the encoder's layers, then of the decoder's, then of their attention to the sources.
    case everyAttention(encoder: Int, decoder: Int)

    var pairCount: Int {
        switch self {
        case .pairs(_, let count): count
        case .everyAttention(let encoder, let decoder): encoder + 2 * decoder
        }
    }

    /// The pairs of `vectors` [prefix length, pairs · 2 · width of keys] where they belong.
    func prefixes(_ vectors: Tensor) -> LayerPrefixes {
        let width = vectors.columnCount / (2 * pairCount)
        func pairs(_ numbers: some Sequence<Int>) -> [KeyValuePrefix] {
            numbers.map { number in
                let start = 2 * number * width
                return KeyValuePrefix(
                    keys: sliceColumns(vectors, start..<start + width),
                    values: sliceColumns(vectors, start + width..<start + 2 * width))
            }
        }
        switch self {
        case .pairs(let numbers, _): return LayerPrefixes(own: pairs(numbers))
        case .everyAttention(let encoder, let decoder):
            return LayerPrefixes(
                own: pairs(encoder..<encoder + decoder), sources: pairs(encoder + decoder..<encoder + 2 * decoder),
                encoder: pairs(0..<encoder))
        }
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
