import Diagnostics
import Methods
import Ranks
import Tensors

/// The checkpoints of a run.
extension Trainer {
    /// Writes a checkpoint.
    func save(
        _ progress: TrainingProgress, _ folder: RunFolder?, _ log: MetricsLog?, _ data: DataFingerprint
    ) throws {
        try requireFiniteParameters(step: progress.step)
        try requireSameParameters(after: progress.step)
        guard let folder else { return }
        try rescueIfLost(progress, folder, log, data)
        try log?.synchronize()
        let path = try writeCheckpoint(progress, folder, data, to: folder.path)
        try drawLosses(progress, log, in: folder)
        observer.saved(step: progress.step, folder: path)
    }

    func writeCheckpoint(
        _ progress: TrainingProgress, _ folder: RunFolder, _ data: DataFingerprint, to path: String
    ) throws -> String {
        try TrainingCheckpoint.write(
            .init(
                progress: progress, installation: installation, optimizer: optimizer,
                fingerprints: RunFingerprints(base, data: data.text), configuration: configuration.resolvedYAML),
            delivery: folder.delivery, to: path,
            keeping: CheckpointKeeping(
                limit: settings.savingLimit, keepsBest: settings.best.isDelivered || settings.best.isSaved,
                isOnlyBest: isBest(progress) && !isSavingDue(progress.step) && !settings.best.isSaved),
            warn: observer.warned)
    }

    func isSavingDue(_ step: Int) -> Bool { step % (settings.savingSteps ?? stepsPerEpoch) == 0 }

    /// Ends the run where its folder, or the file of its metrics, was removed or moved: what is known goes into a folder
    /// made anew, so that no step is lost.
    func rescueIfLost(
        _ progress: TrainingProgress, _ folder: RunFolder?, _ log: MetricsLog?, _ data: DataFingerprint
    ) throws {
        guard let folder, let log, !(folder.isInPlace && log.isInPlace) else { return }
        try requireFiniteParameters(step: progress.step)
        let path: String
        do {
            path = try folder.makeAnew()
            try log.copy(to: path)
            observer.saved(step: progress.step, folder: try writeCheckpoint(progress, folder, data, to: path))
        } catch var problem as Problem {
            problem.message =
                "the run's folder or its metrics were removed or moved while it went on, and it can't be made anew: "
                + problem.message
            problem.exitStatus = .inputOutput
            throw problem
        }
        throw Problem(
            "the run's folder or its metrics were removed or moved while it went on, after step \(progress.step). The "
                + "metrics and a checkpoint of this step are in '\(path)'"
                + (path == folder.path ? ": go on with the same command and --resume" : "; its own place is taken"),
            file: folder.path, exitStatus: .inputOutput)
    }

    /// The checkpoints of the whole run: where the best models are saved, as if each evaluation were better than all before.
    var checkpointCount: Int {
        let best = settings.best.isDelivered || settings.best.isSaved ? evaluationCount : 0
        return max(timesDue(settings.savingSteps, from: 1), best)
    }

    /// The last step may have gone wrong without a loss after it that shows it.
    func requireFiniteParameters(step: Int) throws {
        for parameter in installation.trainable where !sumOfSquares(parameter.tensor).isFinite {
            throw Problem(
                "not all elements are finite numbers after step \(step). " + Self.divergenceAdvice, key: parameter.name)
        }
    }
}
