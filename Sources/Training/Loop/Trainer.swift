import Checkpoints
import Datasets
import Diagnostics
import Glibc
import Layers
import Methods
import Models
import Tensors

/// A training run from its configuration to its delivery.
public final class Trainer {
    /// What to do with an output folder that already holds a run.
    public enum Existing: Sendable {
        case refuse, resume, overwrite
    }

    private let configuration: RunConfiguration
    private let base: BaseModel
    private let installation: any Installation
    private let optimizer: AdamW
    private let runner: StepRunner
    private let batches: BatchSequence
    private let validation: Dataset?
    private let observer: any TrainingObserver
    private let stepsPerEpoch: Int
    private let stepCount: Int
    private var lastLoss: Double?

    private var settings: TrainingSettings { configuration.training }

    /// Loads the model and the data and puts the method in; nothing is written yet.
    public init(_ configuration: RunConfiguration, observer: any TrainingObserver) throws {
        self.configuration = configuration
        self.observer = observer
        let settings = configuration.training
        base = try BaseModel.load(
            configuration.modelPath, randomSeed: configuration.start == .random ? settings.seed : nil,
            warn: observer.warned)
        guard let tokenizer = base.tokenizer else {
            throw Problem(
                "no tokenizer in this folder: it needs tokenizer.json, or vocab.json and merges.txt",
                file: base.folder, exitStatus: .missingInput)
        }
        let (data, end, limit) = (configuration.data, base.endOfTextID, base.model.maximumLength)
        func dataset(_ paths: [String]) throws -> Dataset {
            try data.dataset(paths: paths, tokenizer: tokenizer, beginningID: nil, endID: end, lengthLimit: limit)
        }
        batches = BatchSequence(
            dataset: try dataset(data.train), batchSize: settings.batchSize, shuffles: data.shuffles,
            seed: settings.seed)
        validation = data.validation.isEmpty ? nil : try dataset(data.validation)
        installation = try configuration.method.install(
            into: base.model,
            InstallationContext(seed: settings.seed, basePath: configuration.modelPath, isTraining: true))
        if let path = configuration.initialAdapter {
            let adapter = try AdapterFolder(path: path, warn: observer.warned)
            let tensors = try adapter.entries.map { ($0.path, try adapter.tensor($0)) }
            try installation.load(
                Dictionary(tensors, uniquingKeysWith: { first, _ in first }), file: adapter.weights.path)
        }
        optimizer = AdamW(installation.trainable, settings.optimizer)
        runner = StepRunner(model: base.model, optimizer: optimizer, seed: settings.seed)
        stepsPerEpoch = settings.stepsPerEpoch(batches: batches.count)
        stepCount = settings.stepCount(batches: batches.count)
    }

    /// Trains, writes checkpoints on the way and the delivery at the end.
    ///
    /// - Parameter shouldStop: Asked after every step; true saves a checkpoint and ends the run.
    public func run(_ existing: Existing, shouldStop: () -> Bool) throws -> TrainingSummary {
        let folder = try RunFolder(configuration, base: base, existing: existing, warn: observer.warned)
        var progress = TrainingProgress()
        if let path = try folder.checkpointToResume() {
            progress = try TrainingCheckpoint.restore(
                from: path, into: installation, optimizer, warn: observer.warned)
        }
        let log = try MetricsLog(folder: folder.path, continuingAfter: progress.step)
        observer.started(plan(firstStep: progress.step, folder: folder.path))
        var meter = Meter(progress)
        while progress.step < stepCount {
            let result = try takeStep(progress.step)
            progress.step += 1
            progress.tokens += result.tokenCount
            progress.pendingLossSum += result.lossSum
            progress.pendingTargets += result.targetCount
            progress.elapsedSeconds = meter.elapsed
            observer.progressed(
                step: progress.step, of: stepCount, loss: result.loss, tokensPerSecond: meter.rate(progress.tokens),
                secondsLeft: meter.secondsLeft(step: progress.step, of: stepCount))
            let isLast = progress.step == stepCount
            if isLast || progress.step % settings.loggingSteps == 0 {
                try record(result, &progress, &meter, log)
            }
            if isDue(settings.evaluationSteps, progress.step), let validation {
                try evaluate(validation, &progress, &meter, log)
            }
            let isStopping = !isLast && shouldStop()
            if isStopping || !isLast && isDue(settings.savingSteps, progress.step) {
                progress.elapsedSeconds = meter.elapsed
                let path = try TrainingCheckpoint.write(
                    progress, installation, optimizer, delivery: folder.delivery, to: folder.path,
                    limit: settings.savingLimit)
                observer.saved(step: progress.step, folder: path)
            }
            if isStopping { return summary(progress, folder, wasInterrupted: true) }
        }
        progress.elapsedSeconds = meter.elapsed
        try folder.finish(installation.deliver())
        return summary(progress, folder, wasInterrupted: false)
    }

    /// What a run would do, without doing it.
    public func plan() -> TrainingPlan { plan(firstStep: 0, folder: settings.outputFolder) }

    private func takeStep(_ step: Int) throws -> StepResult {
        let (epoch, index) = step.quotientAndRemainder(dividingBy: stepsPerEpoch)
        let first = index * settings.accumulation
        let indices = first..<min(first + settings.accumulation, batches.count)
        let result = runner.step(
            try indices.map { try batches.batch(epoch: epoch, index: $0) }, firstPass: epoch * batches.count + first,
            learningRate: settings.learningRate
                * settings.schedule.factor(step: step, warmup: settings.warmupSteps, total: stepCount))
        guard result.isFinite else {
            let records = indices.flatMap { batches.examples(epoch: epoch, index: $0) }.map { "\($0 + 1)" }
            throw Problem(
                "the loss or a gradient of step \(step + 1) is no finite number (loss \(result.loss), gradient norm "
                    + "\(result.gradientNorm)), on records \(records.prefix(16).joined(separator: ", ")) of the training "
                    + "data; the parameters were left as they were. A lower training.learning_rate, "
                    + "training.max_grad_norm: 1 or a longer training.warmup_steps usually helps")
        }
        return result
    }

    private func isDue(_ steps: Int?, _ step: Int) -> Bool {
        step == stepCount || step % (steps ?? stepsPerEpoch) == 0
    }

    private func epoch(_ step: Int) -> Double { Double(step) / Double(stepsPerEpoch) }

    private func record(
        _ result: StepResult, _ progress: inout TrainingProgress, _ meter: inout Meter, _ log: MetricsLog
    ) throws {
        let metrics = StepMetrics(
            step: progress.step, epoch: epoch(progress.step),
            loss: progress.pendingLossSum / Double(max(1, progress.pendingTargets)), gradientNorm: result.gradientNorm,
            learningRate: result.learningRate, tokens: progress.tokens, tokensPerSecond: meter.lap(progress.tokens),
            elapsedSeconds: meter.elapsed, peakMemoryBytes: peakMemory())
        lastLoss = metrics.loss
        progress.pendingLossSum = 0
        progress.pendingTargets = 0
        try log.append(metrics)
        observer.logged(metrics)
    }

    private func evaluate(
        _ validation: Dataset, _ progress: inout TrainingProgress, _ meter: inout Meter, _ log: MetricsLog
    ) throws {
        let start = meter.elapsed
        let loss = try withoutGradients {
            try evaluateLoss(of: base.model, on: validation, rowsPerPass: 1024, onProgress: { _ in })
        }
        meter.leaveOut(meter.elapsed - start)
        progress.evaluationLoss = loss.loss
        let metrics = EvaluationMetrics(
            step: progress.step, epoch: epoch(progress.step), loss: loss.loss, tokens: loss.tokens,
            elapsedSeconds: meter.elapsed)
        try log.append(metrics)
        observer.evaluated(metrics)
    }

    private func summary(_ progress: TrainingProgress, _ folder: RunFolder, wasInterrupted: Bool) -> TrainingSummary {
        let summary = TrainingSummary(
            outputFolder: folder.path, steps: progress.step, wasInterrupted: wasInterrupted,
            finalLoss: lastLoss, evaluationLoss: progress.evaluationLoss, tokens: progress.tokens,
            elapsedSeconds: progress.elapsedSeconds, peakMemoryBytes: peakMemory())
        observer.finished(summary)
        return summary
    }

    private func plan(firstStep: Int, folder: String) -> TrainingPlan {
        let trainable = installation.trainable
        let own = Set(base.model.parameters.map { ObjectIdentifier($0.tensor) })
        let added = trainable.filter { !own.contains(ObjectIdentifier($0.tensor)) }
        return TrainingPlan(
            method: configuration.methodName, groups: TrainingPlan.groups(trainable),
            trainableCount: trainable.reduce(0) { $0 + $1.tensor.count },
            totalCount: base.model.parameters.reduce(0) { $0 + $1.tensor.count }
                + added.reduce(0) { $0 + $1.tensor.count },
            dataSummaries: [
                "training: \(batches.dataset.summary)", validation.map { "validation: \($0.summary)" },
            ].compactMap { $0 }, stepCount: stepCount, stepsPerEpoch: stepsPerEpoch, firstStep: firstStep,
            outputFolder: folder, threadCount: WorkerPool.shared.threadCount)
    }
}

/// Clocks a run: time and rate, with what evaluation takes left out of the rate.
private struct Meter {
    private let start = ContinuousClock.now
    private let earlier: Double
    private let firstStep: Int
    private let firstTokens: Int
    private var excluded = 0.0
    private var lapStart = 0.0
    private var lapTokens: Int

    init(_ progress: TrainingProgress) {
        earlier = progress.elapsedSeconds
        firstStep = progress.step
        firstTokens = progress.tokens
        lapTokens = progress.tokens
    }

    private var sinceStart: Double { start.duration(to: .now) / .seconds(1) }

    /// Seconds of training, those before an interruption included.
    var elapsed: Double { earlier + sinceStart }

    mutating func leaveOut(_ seconds: Double) {
        excluded += seconds
        lapStart += seconds
    }

    func rate(_ tokens: Int) -> Double { Double(tokens - firstTokens) / max(1e-9, sinceStart - excluded) }

    func secondsLeft(step: Int, of total: Int) -> Double {
        (sinceStart - excluded) / Double(max(1, step - firstStep)) * Double(total - step)
    }

    /// Tokens a second since the last call.
    mutating func lap(_ tokens: Int) -> Double {
        let now = sinceStart
        defer { (lapStart, lapTokens) = (now, tokens) }
        return Double(tokens - lapTokens) / max(1e-9, now - lapStart)
    }
}

/// The most memory that the process held at one time, in bytes.
func peakMemory() -> Int {
    var usage = rusage()
    let thisProcess: Int32 = 0
    getrusage(thisProcess, &usage)
    return usage.ru_maxrss * 1024
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
            counts[pattern] = (before.tensors + 1, before.parameters + parameter.tensor.count)
        }
        return order.map {
            Group(pattern: $0, tensorCount: counts[$0]?.tensors ?? 0, parameterCount: counts[$0]?.parameters ?? 0)
        }
    }
}

extension Dataset {
    /// One line for people.
    fileprivate var summary: String {
        let counts = counts
        var text = "\(count) examples of \(counts.records) records"
        if counts.dropped > 0 { text += ", \(counts.dropped) dropped" }
        if counts.truncated > 0 { text += ", \(counts.truncated) truncated" }
        if counts.tokens > 0, counts.tokenized == counts.records { text += ", \(counts.tokens) tokens" }
        return text
    }
}
