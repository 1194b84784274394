import Batches
import Datasets
import Diagnostics
import Layers
import Models
import Ranks
import Tensors

/// The steps of a run.
extension Trainer {
    func takeStep(_ step: Int, plateau: PlateauState?) throws -> StepResult {
        let (epoch, index) = step.quotientAndRemainder(dividingBy: stepsPerEpoch)
        let first = index * settings.accumulation
        let indices = first..<min(first + settings.accumulation, batches.count)
        let result = try runner.step(
            try indices.map { batch(ranks.share(of: try batches.examples(epoch: epoch, index: $0))) },
            firstPass: epoch * batches.count + first,
            learningRate: plateau?.rate ?? settings.learningRate
                * settings.schedule.factor(
                    step: step, warmup: settings.warmupSteps(of: stepCount), total: stepCount),
            startingFrom: { try hiddenStates?.states(of: batches.indices(epoch: epoch, index: first + $0)) })
        sharing.add(result)
        guard result.isFinite else {
            try base.weights?.requireFinite()
            let places = places(indices.flatMap { batches.indices(epoch: epoch, index: $0) })
            throw Problem(
                "the loss or a gradient of step \(step + 1) is no finite number (loss \(result.loss), gradient norm "
                    + "\(result.gradientNorm)), on \(places). " + Self.divergenceAdvice)
        }
        return result
    }

    /// With fewer examples than ranks some of them have none.
    func batch(_ examples: [Example]) -> TokenBatch {
        examples.isEmpty
            ? TokenBatch(tokens: [], positions: [], offsets: [0], labels: [])
            : runner.model.batch(examples, sharingPrompts: sharing.isShared)
    }

    /// Where the examples come from, in words.
    func places(_ examples: [Int]) -> String {
        let most = 16
        let dataset = batches.dataset
        let words = examples.prefix(most).map { index in
            dataset.place(of: index).map { "\($0.file):\($0.line)" }
                ?? "block \((dataset.block(of: index) ?? index) + 1)"
        }
        let more = examples.count > most ? " and \(examples.count - most) more" : ""
        return words.joined(separator: ", ") + more
    }
}
