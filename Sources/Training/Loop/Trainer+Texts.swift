import Configuration
import Datasets
import Diagnostics
import Metrics
import Ranks

/// The texts that evaluations generate and score.
extension Trainer {
    /// What is to be generated for; nil where nothing asks for it.
    ///
    /// - Throws: `Problems` where the keys don't go with the data, and `Problem` where prompts can't be used.
    static func texts(
        _ configuration: RunConfiguration, _ base: BaseModel, _ validation: Dataset?, _ chat: ChatFormat?
    ) throws -> TextEvaluation? {
        let (settings, section) = (configuration.training, configuration.trainingSection)
        let instead: String? =
            switch configuration.data.templates {
            case .completion, .conversation: nil
            case .text: "text only"
            case .labelled: "labels"
            }
        try settings.texts?.check(section, hasValidation: validation != nil, instead: instead)
        let ofTexts =
            instead == nil && !TextEvaluationSettings.areRefused(section) ? textMetrics.flatMap { $0.valueNames } : []
        try settings.best.check(
            section, hasValidation: validation != nil, measures: BestSettings.measures(base.labels) + ofTexts)
        guard instead == nil, let texts = settings.texts, let validation else { return nil }
        let evaluation = try TextEvaluation(texts, base, validation, chat: chat, seed: settings.seed)
        if !evaluation.hasRoom {
            throw Problems([
                section.problem(
                    "leaves no room for a text behind any prompt, whose tokens count: give generation_max_new_tokens, or a "
                        + "greater length", at: "generation_max_length")
            ])
        }
        return evaluation
    }

    /// What the texts get that are generated now; nothing where none are.
    func textScores(_ shouldStop: () -> Bool) throws -> [NamedScore] {
        guard let texts else { return [] }
        guard let scores = try texts.scores(ranks, shouldStop) else { throw Stopped() }
        return scores
    }
}
