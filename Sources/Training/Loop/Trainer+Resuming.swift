import Datasets
import Diagnostics
import Ranks

/// What a run that goes on must have in common with the one that began.
extension Trainer {
    func restore(_ checkpoint: String, _ data: DataFingerprint) throws -> TrainingProgress {
        try requireReachable(checkpoint)
        return try TrainingCheckpoint.restore(
            from: checkpoint, of: base.model, into: installation, optimizer, stepCount: stepCount,
            check: { progress, fingerprints in
                try refuseOtherCount(progress, checkpoint: checkpoint)
                try refuseOtherInputs(
                    fingerprints, RunFingerprints(base, data: data.text), checkpoint: checkpoint)
            }, warn: observer.warned)
    }

    /// With another number of examples a step is another part of an epoch, so that no option can allow it.
    func refuseOtherCount(_ progress: TrainingProgress, checkpoint: String) throws {
        if progress.rankCount != ranks.count {
            throw Problem(
                "the run began on \(processes(progress.rankCount)) and is to go on on \(processes(ranks.count)): a resumed run "
                    + "must be the same; start as many, give --overwrite to begin anew, or begin another run from there with "
                    + "peft.init_from: \(checkpoint) and another output_dir", file: checkpoint)
        }
        guard let count = progress.exampleCount, count != batches.dataset.count else { return }
        throw Problem(
            "the training data had \(count) examples when the run began and has "
                + "\(batches.dataset.count) now: a resumed run must be the same; put the data back, give "
                + "--overwrite to begin anew, or begin another run from there with peft.init_from: \(checkpoint) and "
                + "another output_dir", file: checkpoint)
    }

    func refuseOtherInputs(
        _ before: RunFingerprints, _ now: RunFingerprints, checkpoint: String
    ) throws {
        let problems = now.differences(from: before).compactMap { text, change -> Problem? in
            if accepted.contains(change) {
                observer.warned(Problem(text, file: checkpoint, severity: .warning))
                return nil
            }
            return Problem(
                text
                    + ": a resumed run must be the same; put it back, give --overwrite to begin anew, or \(change.option) "
                    + "to go on all the same", file: checkpoint)
        }
        if !problems.isEmpty { throw Problems(problems) }
    }
}
