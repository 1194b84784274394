import Datasets
import Diagnostics
import Layers
import Methods
import Models
import Ranks
import Tensors

/// The measurements of the validation data on the way.
extension Trainer {
    /// The evaluations of the whole run.
    var evaluationCount: Int {
        validation == nil ? 0 : settings.evaluationCount(steps: stepCount, stepsPerEpoch: stepsPerEpoch)
    }

    /// Evaluates where that is due and wasn't done yet.
    ///
    /// - Returns: false where it was to be stopped; then the run does it when it is resumed.
    func evaluateIfDue(
        _ progress: inout TrainingProgress, _ meter: inout RunMeter, _ log: MetricsLog?, isLast: Bool,
        _ shouldStop: () -> Bool
    ) throws -> Bool {
        guard let validation,
            progress.step > 0
                ? isLast || isDue(settings.evaluationSteps, progress.step) : settings.best.evaluatesOnStart,
            lastEvaluatedStep != progress.step
        else { return true }
        let start = meter.elapsed
        let found: (loss: Double, count: Int, scores: [NamedScore])
        do {
            found = try withoutGradients { try evaluate(validation, step: progress.step, shouldStop) }
        } catch is Stopped { return false }
        meter.evaluated(meter.elapsed - start)
        guard found.loss.isFinite else {
            try base.weights?.requireFinite()
            throw Problem(
                "the evaluation loss after step \(progress.step) is no finite number (\(found.loss)). "
                    + Self.divergenceAdvice)
        }
        let metrics = EvaluationMetrics(
            step: progress.step, epoch: epoch(progress.step), loss: found.loss, tokens: found.count,
            countsTexts: base.labels != nil, scores: found.scores, elapsedSeconds: meter.elapsed)
        try log?.append(metrics)
        lastEvaluatedStep = progress.step
        observer.evaluated(metrics)
        noteEvaluation(.init(step: progress.step, loss: found.loss, scores: found.scores), &progress)
        return true
    }

    /// The loss over the validation data, over how many targets, and a task's scores.
    func evaluate(
        _ validation: Dataset, step: Int, _ shouldStop: () -> Bool
    ) throws -> (loss: Double, count: Int, scores: [NamedScore]) {
        func progressed(_ examples: Int) throws {
            if shouldStop() { throw Stopped() }
            observer.evaluating(step: step, examples: examples, of: validation.count)
        }
        try progressed(0)
        let batchSize = settings.evaluationBatchSize
        guard let labels = base.labels else {
            let loss = try measureLoss(
                of: base.model, on: validation, rowsPerPass: .max, examplesPerPass: batchSize,
                sharingPrompts: settings.sharesInEvaluation, ranks: ranks, sharesBeginnings: false,
                startingFrom: hiddenStates?.evaluation(), labelSmoothing: settings.labelSmoothing,
                onProgress: progressed)
            return (loss.loss, loss.tokens, try textScores(shouldStop))
        }
        let answers = try measureLabels(
            of: base.model, on: validation, rowsPerPass: .max, examplesPerPass: batchSize,
            sharingPrompts: settings.sharesInEvaluation, ranks: ranks, startingFrom: hiddenStates?.evaluation(),
            labelSmoothing: settings.labelSmoothing, onProgress: progressed)
        return (answers.loss, answers.count, answers.scores(labels))
    }
}

/// Ends an evaluation before its end.
struct Stopped: Error {}
