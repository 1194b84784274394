import Configuration
import Diagnostics
import Metrics

/// What the `training` section says of texts that are generated for the validation data's prompts in each evaluation, and
/// scored; by the names of `transformers`' `Seq2SeqTrainingArguments` where it has them.
public struct TextEvaluationSettings: Sendable, Hashable {
    /// The measures that were asked for, by their names.
    public var metrics: [String]
    /// How many prompts are drawn by the seed.
    public var sampleCount: Int
    public var maximumNewTokens: Int
    /// Tokens of a text at most, those of the prompt included unless an encoder reads it, whose opening counts then; nil for no
    /// such limit.
    public var maximumLength: Int?
    public var beamCount: Int

    private static let metricsKey = "eval_metrics"
    private static let generateKey = "predict_with_generate"
    /// Keys that say how, and don't ask for any.
    private static let manner = [
        "eval_generation_samples", "generation_max_new_tokens", "generation_max_length", "generation_num_beams",
    ]

    /// nil where texts aren't asked for.
    ///
    /// - Parameter best: The measure by which the best model is known.
    init?(_ section: ConfigSection, best: String) {
        let given = section.optionalStrings(Self.metricsKey) ?? []
        let generates = section.optionalBool(Self.generateKey)
        sampleCount = section.optionalInt("eval_generation_samples", in: 1...Int(Int32.max)) ?? 64
        let limit = section.optionalInt("generation_max_new_tokens", in: 1...Int(Int32.max))
        maximumNewTokens = limit ?? 128
        maximumLength = section.optionalInt("generation_max_length", in: 1...Int(Int32.max))
        if maximumLength != nil, limit == nil { maximumNewTokens = Int(Int32.max) }
        beamCount = section.optionalInt("generation_num_beams", in: 1...256) ?? 1
        do {
            metrics = try given.isEmpty ? [] : textMetrics(named: given.joined(separator: ",")).map { $0.name }
        } catch {
            metrics = []
            section.record("\((error as? Problem)?.message ?? "\(error)")", at: Self.metricsKey)
        }
        // What labels have under the same name is looked up first where there are labels.
        let measure = Measure.all.first { $0.name == best }?.textMetric?.name
        if let measure, !metrics.contains(measure), generates != false { metrics.append(measure) }
        if metrics.isEmpty, generates == true { metrics = [ROUGE.name] }
        if generates == false, !given.isEmpty {
            section.record("are of texts that are generated, and \(Self.generateKey) is false", at: Self.metricsKey)
        }
        if !metrics.isEmpty { return }
        for key in Self.manner where section.has(key) {
            section.warn(
                "has no effect: texts are generated where \(Self.metricsKey), \(Self.generateKey) or metric_for_best_model "
                    + "asks for them", at: key)
        }
        return nil
    }

    /// Whether no texts are to be generated whatever else asks for them.
    static func areRefused(_ section: ConfigSection) -> Bool { section.optionalBool(generateKey) == false }

    /// Those of its keys that need evaluations, as far as they are set.
    func evaluatingKeys(_ section: ConfigSection) -> [String] {
        [Self.metricsKey, Self.generateKey].filter { section.has($0) && !Self.areRefused(section) }
    }

    /// Throws `Problems` where keys ask for texts and there is nothing to generate for.
    ///
    /// - Parameter what: What the data has in place of prompts; nil where it has prompts.
    func check(_ section: ConfigSection, hasValidation: Bool, instead what: String?) throws {
        let problems = evaluatingKeys(section).compactMap { key in
            if !hasValidation {
                return section.problem(
                    "needs data to evaluate on: give data.validation or data.validation_fraction", at: key)
            }
            return what.map { section.problem("compares completions of prompts: the data has \($0)", at: key) }
        }
        if !problems.isEmpty { throw Problems(problems) }
    }

    /// How texts are continued.
    var generation: GenerationSettings {
        var settings = GenerationSettings(maximumNewTokens: maximumNewTokens, sampling: nil)
        if beamCount > 1 {
            settings.beams = BeamSettings(count: beamCount, lengthPenalty: 1, earlyStopping: .no, returnedCount: 1)
        }
        return settings
    }
}
