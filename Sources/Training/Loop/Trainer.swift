import Batches
import Checkpoints
import Configuration
import Datasets
import Diagnostics
import Files
import Layers
import Methods
import Models
public import Ranks
import Tensors
import Tokenizers

/// A training run from its configuration to its delivery.
public final class Trainer {
    /// What to do with an output folder that already holds a run.
    public enum Existing: Sendable {
        case refuse, resume, overwrite
    }

    let configuration: RunConfiguration
    let base: BaseModel
    let installation: any Installation
    let optimizer: any Optimizer
    let runner: StepRunner
    let batches: BatchSequence
    let validation: Dataset?
    /// Those of the training data that aren't learned, by `data.validation_fraction`; nil without it.
    let heldOut: Dataset?
    /// What evaluations generate for; nil where they don't.
    let texts: TextEvaluation?
    /// How conversations are written; nil where the data has none.
    let chat: ChatFormat?
    let observer: any TrainingObserver
    /// The ranks that train together; nil for this process alone.
    let ranks: Communicator?
    /// The step after which the validation loss was measured last.
    var lastEvaluatedStep: Int?
    let stepsPerEpoch: Int
    let stepCount: Int
    let accepted: InputChanges
    let warnings: [Problem]
    /// How the method began.
    var notes: [String]
    let hiddenStatePlan: HiddenStatePlan?
    var hiddenStates: HiddenStateStore?
    var sharing = SharingState()
    /// Whether a training pass draws something random, once that was found out.
    var drawsAtRandom: Bool?

    var settings: TrainingSettings { configuration.training }

    /// Loads the model and the data and puts the method in; nothing is written yet.
    ///
    /// - Parameters:
    ///   - accepted: What may be another than it was when the adapter that training starts from was trained, or the run
    ///     that is resumed began.
    ///   - ranks: The ranks that train together; nil for this process alone.
    public init(
        _ configuration: RunConfiguration, accepting accepted: InputChanges = [], ranks: Communicator? = nil,
        observer: any TrainingObserver
    ) throws {
        self.ranks = ranks
        self.observer = observer
        self.accepted = accepted
        let settings = configuration.training
        let start = try configuration.initialAdapter.map { try AdapterFolder(path: $0, warn: observer.warned) }
        var wanted = try configuration.data.labelSet(paths: configuration.data.train)
        if let start, let told = try LabelSet(of: start) {
            guard let own = wanted else {
                throw Problem(
                    "the adapter tells labels and doesn't go on with texts: set task: sequence_classification",
                    file: start.path)
            }
            wanted = try TaskLabels.matched(own, to: told, folder: start.path)
        }
        var base = try BaseModel.load(
            configuration.modelPath, randomSeed: configuration.start == .random ? settings.seed : nil, labels: wanted,
            headSeed: settings.seed, quantization: configuration.quantization, warn: observer.warned)
        if accepted.contains(.base) { base.otherBaseWarning = observer.warned }
        self.base = base
        if settings.roundsProducts { base.model.roundProducts() }
        let labels = base.labels
        if labels != nil, configuration.task == .causalLM {
            throw Problem(
                "the model tells labels and doesn't go on with texts: set task: sequence_classification",
                file: base.folder)
        }
        if configuration.asksForEncoder, !base.model.hasEncoder {
            throw Problem(
                "the model has no encoder: task seq_2_seq_lm is for those that have one, and the others go on with texts "
                    + "(causal_lm)", file: base.folder, key: "task")
        }
        if labels?.isRegression == true, settings.labelSmoothing > 0 {
            throw Problems([
                configuration.trainingSection.problem(
                    "goes with labels that are classes, and these are numbers", at: "label_smoothing_factor")
            ])
        }
        self.configuration = try labels.map { try configuration.with($0) } ?? configuration
        var codec = try base.codec()
        codec.virtualTokens = VirtualTokenPlaces(placedCount: configuration.method.placedTokens)
        base.checkEnd(
            of: configuration.data.blockSize == nil ? configuration.data.templates : nil, warn: observer.warned)
        try configuration.method.check(base.model)
        try configuration.check(codec)
        let (data, padding) = (configuration.data, base.paddingID)
        let chat = try data.templates.conversation.map { source in
            try base.chatFormat(
                source.template, savedIn: source.template == nil ? configuration.initialAdapter : nil)
        }
        self.chat = chat
        for warning in chat?.warnings ?? [] { observer.warned(warning) }
        let limit = base.model.maximumLength - configuration.method.leadingPositions
        func dataset(_ paths: [String], _ codec: TextCodec) throws -> Dataset {
            try data.dataset(
                paths: paths, codec: codec, lengthLimit: limit,
                limitName: ExampleEncoder.limitName(besideVirtualTokens: configuration.method.leadingPositions),
                labels: labels, paddingID: padding, chat: chat)
        }
        let parts = try data.validationFraction.map {
            try dataset(data.train, codec).split(fraction: $0, seed: settings.seed)
        }
        let trained = try parts?.rest ?? dataset(data.train, codec)
        batches = BatchSequence(
            dataset: trained, try self.configuration.batchPlan(for: trained, rankCount: ranks.count))
        heldOut = parts?.part
        validation =
            try settings.isEvaluating
            ? parts?.part ?? (data.validation.isEmpty ? nil : dataset(data.validation, codec)) : nil
        for warning in data.warnings(on: batches.dataset, labels) { observer.warned(warning) }
        stepsPerEpoch = settings.stepsPerEpoch(batches: batches.count)
        stepCount = settings.stepCount(batches: batches.count)
        var context = InstallationContext(
            seed: settings.seed, basePath: absolutePath(ofModel: configuration.modelPath), isTraining: true)
        context.stepCount = stepCount
        context.encode = { [codec] text in
            let ids = codec.whole(text)
            if let complaint = codec.complaint(about: ids) { throw Problem(complaint) }
            return ids
        }
        var notes: [String] = []
        var told: [Problem] = []
        if let heldOut, !settings.isEvaluating {
            var warning = configuration.dataSection.problem(
                "takes \(heldOut.count.grouped) of \((heldOut.count + trained.count).grouped) examples from what is learned, and "
                    + "with training.eval_strategy: no nothing is evaluated on them: leave validation_fraction out to learn "
                    + "from all, or eval_strategy to evaluate", at: "validation_fraction")
            warning.severity = .warning
            told.append(warning)
        }
        context.note = { notes.append($0) }
        context.warn = { told.append($0) }
        installation =
            if let start {
                try base.install(start, as: configuration.method, context)
            } else {
                try configuration.method.installWithHead(into: base.model, context)
            }
        texts = try Self.texts(self.configuration, base, validation, chat)
        optimizer = try self.configuration.optimizer(of: installation.trainable, in: base.model)
        warnings =
            RunForesight(
                configuration: self.configuration, stepCount: stepCount, stepsPerEpoch: stepsPerEpoch,
                batchCount: batches.count, memory: TrainingMemory(optimizer)
            ).warnings + told
        // Ranks would each come to hold the states of all records, and wait for each other's.
        hiddenStatePlan =
            ranks == nil
            ? HiddenStatePlan(
                base.model, training: batches.dataset, validation: validation, batchCount: batches.count, settings)
            : nil
        self.notes = notes + (hiddenStatePlan?.notes ?? [])
        runner = StepRunner(
            model: base.model, installation: installation, optimizer: optimizer, seed: settings.seed,
            isCheckpointing: settings.isCheckpointing, ranks: ranks, labelSmoothing: settings.labelSmoothing,
            noiseAlpha: settings.noiseAlpha)
    }

    /// Trains, writes checkpoints on the way and the delivery at the end. A run that is finished already is resumed by
    /// leaving it as it is.
    ///
    /// - Parameter shouldStop: Asked after every step and while evaluating; true saves a checkpoint and ends the run.
    /// - Throws: `Problem` or `Problems` for an output folder that can't be used, a checkpoint that doesn't belong to
    ///   this run or is broken, records that can't be used, and losses, gradients or parameters that aren't finite.
    public func run(_ existing: Existing, shouldStop: () -> Bool) throws -> TrainingSummary {
        func anyShouldStop() -> Bool { ranks.any(shouldStop()) }
        // The first rank alone has the folder and writes into it.
        let folder = try ranks.onFirst {
            try RunFolder(
                configuration, base: base, chat: chat, existing: existing, stepCount: stepCount, warn: observer.warned)
        }
        if ranks.any(folder?.isFinished ?? false) { return try finishedBefore(folder) }
        if let folder, configuration.data.validationFraction != nil { try writeValidationRecords(to: folder.path) }
        try ranks.agree { try allocateState(in: settings.outputFolder) }
        var progress = TrainingProgress()
        let checkpoint = ranks.fromFirst(try ranks.onFirst { try folder?.checkpointToResume() } ?? nil)
        let data = DataFingerprint(batches.dataset, isUrgent: checkpoint != nil || ranks != nil)
        try ranks.agree {
            if let checkpoint { progress = try restore(checkpoint, data) }
        }
        try requireSameInputs(data)
        progress.exampleCount = batches.dataset.count
        if settings.schedule.plateau != nil, progress.plateau == nil {
            progress.plateau = PlateauState(rate: settings.learningRate)
        }
        progress.rankCount = ranks.count
        let log = try ranks.onFirst { try openLog(after: progress.step) }
        // All of it, because how the run goes on depends on it everywhere.
        let evaluation = try ranks.fromFirst(log?.lastEvaluationLine).flatMap {
            try MetricsLine($0, file: MetricsLog.fileName, line: 1).evaluation
        }
        lastEvaluatedStep = evaluation?.step
        try decideSharing()
        observer.started(plan(firstStep: progress.step, folder: settings.outputFolder))
        try makeHiddenStateStore(in: settings.outputFolder)
        var meter = RunMeter(progress)
        // A run may have been stopped while it evaluated.
        noteEvaluation(evaluation, &progress)
        var isLast = isEnd(progress, meter)
        var isStopping = try !evaluateIfDue(&progress, &meter, log, isLast: isLast, anyShouldStop)
        // An evaluation that was made up for may have been one too many without a better model.
        isLast = isLast || isEnd(progress, meter)
        while !isStopping, !isLast {
            let result = try takeStep(progress.step, plateau: progress.plateau)
            progress.step += 1
            progress.tokens += result.tokenCount
            progress.pendingLossSum += result.lossSum
            progress.pendingTargets += result.targetCount
            progress.elapsedSeconds = meter.elapsed
            observer.progressed(
                step: progress.step, of: stepCount, loss: result.loss, tokensPerSecond: meter.rate(progress.tokens),
                secondsLeft: secondsLeft(progress, meter))
            isLast = isEnd(progress, meter)
            let isLogged = isLast || progress.step % settings.loggingSteps == 0
            if isLogged { try record(result, &progress, &meter, log) }
            isStopping = try !evaluateIfDue(&progress, &meter, log, isLast: isLast, anyShouldStop)
            if !isLast, !isStopping {
                isStopping = anyShouldStop()
                // An evaluation may have been one too many without a better model, or longer than those before it.
                isLast =
                    isOutOfPatience(progress) || lastEvaluatedStep == progress.step && isOutOfTime(progress, meter)
                if isLast, !isLogged { try record(result, &progress, &meter, log) }
            }
            progress.elapsedSeconds = meter.elapsed
            // Where a run ends early, a later one goes on from there, or finds that it has nothing to do.
            let endsEarly = isLast && progress.step < stepCount
            progress.exhaustedSeconds = endsEarly && !isOutOfPatience(progress) ? settings.maximumSeconds : nil
            if isStopping || endsEarly || isBest(progress) || isSavingDue(progress.step) {
                let start = meter.elapsed
                try save(progress, folder, log, data)
                meter.saved(meter.elapsed - start)
            } else if isLogged {
                try rescueIfLost(progress, folder, log, data)
            }
        }
        progress.elapsedSeconds = meter.elapsed
        var best: BestModel?
        if !isStopping {
            try requireFiniteParameters(step: progress.step)
            try requireSameParameters(after: progress.step)
            try rescueIfLost(progress, folder, log, data)
            try log?.synchronize()
            best =
                try ranks.onFirst { try folder.flatMap { try takeBest(progress, in: $0, warn: observer.warned) } }
                ?? nil
            try drawLosses(progress, log, in: folder)
            try folder?.finish(installation.deliver(), cardFacts(progress, best))
        }
        let summary = summary(progress, log, best, wasInterrupted: isStopping)
        observer.finished(summary)
        return summary
    }

    /// Whether no step comes any more.
    func isEnd(_ progress: TrainingProgress, _ meter: RunMeter) -> Bool {
        progress.step == stepCount || isOutOfPatience(progress) || isOutOfTime(progress, meter)
    }

    /// Whether another step, with the last evaluation and a checkpoint behind it, would go beyond the time that there is.
    func isOutOfTime(_ progress: TrainingProgress, _ meter: RunMeter) -> Bool {
        guard let limit = settings.maximumSeconds, progress.step > 0 else { return false }
        let needed = meter.secondsOfStep(
            after: progress.step, tokens: progress.tokens, evaluationTokens: validation?.counts.tokens)
        guard let needed else { return ranks.any(max(meter.elapsed, progress.exhaustedSeconds ?? 0) >= limit) }
        return ranks.any(meter.elapsed + needed >= limit)
    }

    /// Whether the data has conversations.
    public var hasConversations: Bool { configuration.data.templates.conversation != nil }

    /// The configuration with all defaults, the labels of the data among them.
    public var resolvedYAML: String { configuration.resolvedYAML }

    /// What a run would do, without doing it.
    public func plan() -> TrainingPlan { plan(firstStep: 0, folder: settings.outputFolder) }

    static let divergenceAdvice =
        "Nothing was saved since the last checkpoint. A lower training.learning_rate, training.max_grad_norm: 1 or a "
        + "longer training.warmup_steps usually helps"

    func isDue(_ steps: Int?, _ step: Int) -> Bool {
        step == stepCount || step % (steps ?? stepsPerEpoch) == 0
    }

    /// How often something comes after so many steps from `step` on.
    func timesDue(_ steps: Int?, from step: Int) -> Int {
        let interval = steps ?? stepsPerEpoch
        return stepCount / interval - (step - 1) / interval
    }

    private func secondsLeft(_ progress: TrainingProgress, _ meter: RunMeter) -> Double {
        let step = progress.step
        return meter.secondsLeft(
            after: step, steps: stepCount - step, tokens: progress.tokens,
            evaluations: validation == nil
                ? 0 : settings.evaluationsDue(from: step, steps: stepCount, stepsPerEpoch: stepsPerEpoch),
            evaluationTokens: validation?.counts.tokens ?? 0, checkpoints: timesDue(settings.savingSteps, from: step))
    }

    func epoch(_ step: Int) -> Double { Double(step) / Double(stepsPerEpoch) }

    private func record(
        _ result: StepResult, _ progress: inout TrainingProgress, _ meter: inout RunMeter, _ log: MetricsLog?
    ) throws {
        let metrics = StepMetrics(
            step: progress.step, epoch: epoch(progress.step),
            loss: progress.pendingLossSum / Double(max(1, progress.pendingTargets)), gradientNorm: result.gradientNorm,
            learningRate: result.learningRate, tokens: progress.tokens, tokensPerSecond: meter.lap(progress.tokens),
            elapsedSeconds: meter.elapsed, peakMemoryBytes: ProcessMemory.peakBytes)
        progress.pendingLossSum = 0
        progress.pendingTargets = 0
        try log?.append(metrics)
        observer.logged(metrics)
    }

    private func summary(
        _ progress: TrainingProgress, _ log: MetricsLog?, _ best: BestModel?, wasInterrupted: Bool
    ) -> TrainingSummary {
        TrainingSummary(
            outputFolder: settings.outputFolder, steps: progress.step, wasInterrupted: wasInterrupted,
            finalLoss: log?.lastLoss, evaluationLoss: log?.lastEvaluation?.loss, tokens: progress.tokens,
            elapsedSeconds: progress.elapsedSeconds, peakMemoryBytes: ProcessMemory.peakBytes,
            losses: log?.course.points(of: "loss") ?? [], savedShare: sharing.savedShare, best: best,
            notes: wasInterrupted ? [] : endNotes(progress, best),
            nextCommands: wasInterrupted
                ? []
                : ResultUse(
                    configuration, isAdapter: !configuration.deliversModel, mergeObstacle: installation.mergeObstacle,
                    formObstacle: installation.formObstacle, hasEncoder: base.model.hasEncoder
                ).commands)
    }

    /// What is known of a run that needs no more steps.
    private func finishedBefore(_ folder: RunFolder?) throws -> TrainingSummary {
        var progress = TrainingProgress()
        progress.step = stepCount
        let log = try folder.map { try MetricsLog(folder: $0.path, continuingAfter: stepCount) }
        progress.tokens = log?.tokens ?? 0
        progress.elapsedSeconds = log?.elapsedSeconds ?? 0
        let summary = summary(progress, log, nil, wasInterrupted: false)
        observer.foundFinished(summary)
        return summary
    }
}
