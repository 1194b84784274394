public import Configuration
import Diagnostics
import JSONText
public import Layers
import Tensors

/// Prompt tuning (Lester et al. 2021): [P; E(x)] instead of E(x), with the vectors P [virtual tokens, width] trained
/// and the model frozen.
public struct PromptTuning: PEFTMethod {
    public static let name = "prompt_tuning"
    public static let learningRate = 0.3
    public static let adapterType: String? = "PROMPT_TUNING"
    public static let tensorEndings = ["prompt_embeddings"]

    private enum Start: String, CaseIterable {
        /// N(0, 1)
        case random = "RANDOM"
        /// The vectors of a text's tokens, repeated or cut.
        case text = "TEXT"
        /// The vectors of random tokens.
        case sampleVocabulary = "SAMPLE_VOCAB"
    }

    private let section: ConfigSection
    private let settings: PromptSettings
    private let start: Start
    private let text: String?
    private let initial: PromptSettings?

    public init(_ section: ConfigSection, startingFrom defaults: PromptTuning?) throws {
        self.section = section
        settings = PromptSettings(section, defaults: defaults?.settings, method: Self.name)
        start = section.choice("prompt_tuning_init", default: defaults?.start ?? .random)
        text = section.optionalString("prompt_tuning_init_text") ?? defaults?.text
        // What an adapter began with doesn't matter once it was trained.
        if !section.isAdapterFile {
            if start == .text, text == nil {
                section.record(
                    "missing: prompt_tuning_init TEXT begins with the tokens of a text", at: "prompt_tuning_init_text")
            } else if start != .text, section.has("prompt_tuning_init_text") {
                section.record("goes with prompt_tuning_init: TEXT", at: "prompt_tuning_init_text")
            }
        }
        initial = defaults?.settings
        if let defaults { settings.reportDifferences(from: defaults.settings, section) }
        try section.throwProblems()
    }

    public var leadingPositions: Int { settings.count }

    public func check(_ model: any AdaptableModel) throws {
        try settings.check(model, section, startingFrom: initial, inEveryLayer: false)
    }

    public func install(into model: any AdaptableModel, _ context: InstallationContext) throws -> any Installation {
        try check(model)
        let configuration = settings.adapterConfiguration(
            type: "PROMPT_TUNING", for: model, basePath: context.basePath,
            [
                .init("prompt_tuning_init", .string(start.rawValue)),
                .init("prompt_tuning_init_text", text.map(JSONValue.string) ?? nil),
                .init("tokenizer_kwargs", nil),
                .init("tokenizer_name_or_path", start == .text ? .string(context.basePath) : nil),
            ])
        return try PromptInstallation(
            settings, PromptTable(table(for: model, context)), .leading, configuration: configuration,
            encoderAdvice: nil, into: model, section, context)
    }

    private func table(for model: any AdaptableModel, _ context: InstallationContext) throws -> Tensor {
        let count = settings.rowCount(in: model)
        if context.stored != nil { return Tensor(zeros: [count, model.tokenEmbedding.shape[1]]) }
        let vectors = model.tokenEmbedding.tensor
        switch context.isTraining ? start : .random {
        case .random: return PromptTable.random(count, vectors.columnCount, seed: context.seed)
        case .sampleVocabulary:
            var generator = RandomGenerator(seed: context.seed, stream: PromptTable.name)
            return rows(
                (0..<count).map { _ in Int(generator.next(upperBound: UInt64(vectors.rowCount))) }, vectors)
        case .text:
            let tokens = try context.encode(text ?? "")
            if tokens.isEmpty {
                throw Problems([
                    section.problem("an empty text has no tokens to begin with", at: "prompt_tuning_init_text")
                ])
            }
            return rows((0..<count).map { Int(tokens[$0 % tokens.count]) }, vectors)
        }
    }

    private func rows(_ indices: [Int], _ vectors: Tensor) -> Tensor {
        let width = vectors.columnCount
        let table = Tensor(uninitialized: [indices.count, width])
        for (row, index) in indices.enumerated() {
            (table.data + row * width).update(from: vectors.data + index * width, count: width)
        }
        return table
    }
}
