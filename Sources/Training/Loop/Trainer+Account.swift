import Datasets
import Layers
import Methods
import Models
import Ranks
import Tensors

/// What a run says of itself before it begins and when it is done.
extension Trainer {
    func cardFacts(_ progress: TrainingProgress, _ best: BestModel?) -> ModelCard.Facts {
        let counts = parameterCounts
        var data = [
            (
                use: "training", files: configuration.data.train, examples: batches.dataset.count,
                counts: batches.dataset.counts
            )
        ]
        if let validation {
            let files = configuration.data.validation
            data.append(
                (
                    "validation", files.isEmpty ? configuration.data.train : files, validation.count,
                    validation.counts
                ))
        }
        return ModelCard.Facts(
            isAdapter: !configuration.deliversModel,
            mergeObstacle: configuration.deliversModel ? nil : installation.mergeObstacle,
            formObstacle: installation.formObstacle, hasEncoder: base.model.hasEncoder,
            trainableCount: counts.trainable, totalCount: counts.total, steps: progress.step, tokens: progress.tokens,
            elapsedSeconds: progress.elapsedSeconds, peakMemoryBytes: ProcessMemory.peakBytes, best: best, data: data)
    }

    /// What trains, and the parameters of the base model with those that the method adds.
    private var parameterCounts: (trainable: Int, total: Int) {
        let trainable = installation.trainable
        let own = Set(base.model.parameters.map { ObjectIdentifier($0.value) })
        let added = trainable.filter { !own.contains(ObjectIdentifier($0.tensor)) }
        return (
            trainable.reduce(0) { $0 + $1.count },
            base.model.parameters.reduce(0) { $0 + $1.count } + added.reduce(0) { $0 + $1.count }
        )
    }

    func plan(firstStep: Int, folder: String) -> TrainingPlan {
        let counts = parameterCounts
        return TrainingPlan(
            method: configuration.methodName, groups: TrainingPlan.groups(installation.trainable),
            trainableCount: counts.trainable, totalCount: counts.total,
            dataSummaries: [
                "training: \(batches.dataset.summary)", validation.map { "validation: \($0.summary)" },
                validationNote, texts?.note, batches.dataset.targetSummary(base.labels), batches.groupingSummary,
            ].compactMap { $0 }, stepCount: stepCount, stepsPerEpoch: stepsPerEpoch, firstStep: firstStep,
            outputFolder: folder, threadCount: WorkerPool.shared.threadCount, rankCount: ranks.count,
            learningRate: settings.learningRate,
            hasDefaultRate: settings.hasDefaultRate, schedule: settings.schedule,
            warmupSteps: [.constant, .reduceOnPlateau].contains(settings.schedule.kind)
                ? 0 : settings.warmupSteps(of: stepCount),
            loggingSteps: settings.loggingSteps, optimizer: settings.optimizer.name,
            optimizerStateBytes: optimizer.state.byteCount, notes: notes + sharing.notes, warnings: warnings)
    }
}

extension TrainingPlan {
    /// Trainable parameters by their names with the layers' numbers left open.
    static func groups(_ parameters: [TrainableParameter]) -> [Group] {
        var order: [String] = []
        var counts: [String: (tensors: Int, parameters: Int)] = [:]
        for parameter in parameters {
            let pattern = parameter.name.split(separator: ".").map { Int($0) == nil ? String($0) : "*" }
                .joined(separator: ".")
            if counts[pattern] == nil { order.append(pattern) }
            let before = counts[pattern] ?? (0, 0)
            counts[pattern] = (before.tensors + 1, before.parameters + parameter.count)
        }
        return order.map {
            Group(pattern: $0, tensorCount: counts[$0]?.tensors ?? 0, parameterCount: counts[$0]?.parameters ?? 0)
        }
    }
}
