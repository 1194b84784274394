import Diagnostics
import Files
import JSONText
import Tensors

/// The model of a run's best evaluation.
public struct BestModel: Sendable, Hashable {
    public let step: Int
    /// By which it is the best, as metrics.jsonl names it.
    public let metric: String
    public let value: Double
    /// Whether it is what the run delivers.
    public let isDelivered: Bool
}

extension Trainer {
    /// What is measured by `training.metric_for_best_model` in an evaluation; not a number where that isn't defined.
    private func measure(_ loss: Double, _ scores: [NamedScore]) -> Double {
        let name = settings.best.metric
        if name == "loss" { return loss }
        return scores.first { $0.name == name }.flatMap { $0.value } ?? .nan
    }

    /// Takes an evaluation in, where it is one of the step at hand and wasn't taken in before: for the rate that waits for
    /// it, and the best model.
    func noteEvaluation(_ evaluation: MetricsLine.Evaluation?, _ progress: inout TrainingProgress) {
        // As in transformers nothing waits for the evaluation before the first step.
        guard progress.step > 0, let last = evaluation, last.step == progress.step else { return }
        if let rule = settings.schedule.plateau { progress.plateau?.evaluated(last.loss, step: last.step, rule) }
        guard settings.best.isTracked, progress.best.lastStep != progress.step else { return }
        progress.best.add(
            measure(last.loss, last.scores), step: last.step, greaterIsBetter: settings.best.greaterIsBetter,
            threshold: settings.best.threshold)
    }

    /// Whether the checkpoint of this step is that of the best model so far, which is saved.
    func isBest(_ progress: TrainingProgress) -> Bool {
        (settings.best.isDelivered || settings.best.isSaved) && progress.best.step == progress.step
    }

    /// Whether too many evaluations in a row were no better.
    func isOutOfPatience(_ progress: TrainingProgress) -> Bool {
        settings.best.patience.map { progress.best.failures >= $0 } ?? false
    }

    /// Puts the best model in the place of the last, where that is to be delivered.
    ///
    /// - Returns: The best model; nil where none is known.
    func takeBest(_ progress: TrainingProgress, in folder: RunFolder, warn: WarningSink) throws -> BestModel? {
        guard settings.best.isTracked else { return nil }
        let name = "eval_" + settings.best.metric
        guard let step = progress.best.step, let value = progress.best.value else {
            if settings.best.isDelivered {
                warn(
                    Problem(
                        "\(name) was no number in any evaluation, so that none is the best: the last model is delivered",
                        file: folder.path, severity: .warning))
            }
            return nil
        }
        var isDelivered = settings.best.isDelivered
        let path = TrainingCheckpoint.path(folder.path, step: step)
        if isDelivered, step != progress.step {
            if FileSystem.isFolder(path) {
                try TrainingCheckpoint.restoreResult(from: path, of: base.model, into: installation, warn: warn)
            } else {
                isDelivered = false
                warn(
                    Problem(
                        "the checkpoint of the best step (\(name) \(value)) is gone: the last model is delivered",
                        file: path, severity: .warning))
            }
        }
        return BestModel(step: step, metric: name, value: value, isDelivered: isDelivered)
    }

    /// Why a run ended before its last step, and which of its models is the best, a line each.
    func endNotes(_ progress: TrainingProgress, _ best: BestModel?) -> [String] {
        var notes: [String] = []
        if progress.step < stepCount, isOutOfPatience(progress) {
            let count = progress.best.failures == 1 ? "once" : "\(progress.best.failures) times"
            notes.append(
                "stopped after step \(progress.step.grouped) of \(stepCount.grouped): eval_\(settings.best.metric) was no "
                    + "better \(count) (training.early_stopping_patience)")
        }
        if progress.step < stepCount, !isOutOfPatience(progress), let limit = settings.maximumSeconds {
            notes.append(
                "stopped after step \(progress.step.grouped) of \(stepCount.grouped): another one would have gone beyond the "
                    + "\(Int(exactly: limit).map { $0.grouped } ?? shortestText(of: limit)) s of training.max_time")
        }
        if let best {
            notes.append(
                "the best model is that of step \(best.step.grouped), \(best.metric) \(shortestText(of: best.value))"
                    + (best.isDelivered ? ", which is delivered" : ""))
        }
        return notes
    }
}
