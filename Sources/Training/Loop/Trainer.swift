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
    /// How conversations are written; nil where the data has none.
    let chat: ChatFormat?
    let observer: any TrainingObserver
    /// The ranks that train together; nil for this process alone.
    let ranks: Communicator?
    /// The step after which the validation loss was measured last.
    private var lastEvaluatedStep: Int?
    let stepsPerEpoch: Int
    let stepCount: Int
    private let accepted: InputChanges
    let warnings: [Problem]
    /// How the method began.
    var notes: [String]
    let hiddenStatePlan: HiddenStatePlan?
    private var hiddenStates: HiddenStateStore?
    var sharing = SharingState()

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
        context.note = { notes.append($0) }
        context.warn = { told.append($0) }
        installation =
            if let start {
                try base.install(start, as: configuration.method, context)
            } else {
                try configuration.method.installWithHead(into: base.model, context)
            }
        try settings.best.check(
            self.configuration.trainingSection, hasValidation: validation != nil,
            measures: BestSettings.measures(labels))
        optimizer = try self.configuration.optimizer(of: installation.trainable, in: base.model)
        warnings =
            RunForesight(
                configuration: self.configuration, stepCount: stepCount, stepsPerEpoch: stepsPerEpoch,
                batchCount: batches.count, memory: TrainingMemory(optimizer)
            ).warnings + told
        // Ranks would each come to hold the states of all records, and wait for each other's.
        let keepsNone = settings.hiddenStates.keeping == .off || ranks != nil
        let isEvaluatedAgain = settings.evaluationCount(steps: stepCount, stepsPerEpoch: stepsPerEpoch) > 1
        hiddenStatePlan =
            keepsNone
            ? nil
            : HiddenStatePlan(
                base.model, training: batches.dataset, isRepeated: stepCount > stepsPerEpoch,
                validation: isEvaluatedAgain ? validation : nil, hasNoise: settings.noiseAlpha > 0,
                memoryLimit: settings.hiddenStates.memoryLimit)
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
        let log = try ranks.onFirst {
            try MetricsLog(folder: settings.outputFolder, continuingAfter: progress.step)
        }
        lastEvaluatedStep = ranks.fromFirst(log?.lastEvaluation.map { "\($0.step)" }).flatMap { Int($0) }
        try decideSharing()
        observer.started(plan(firstStep: progress.step, folder: settings.outputFolder))
        try makeHiddenStateStore(in: settings.outputFolder)
        var meter = RunMeter(progress)
        // A run may have been stopped while it evaluated.
        noteEvaluation(log?.lastEvaluation, &progress)
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
                isLast = isOutOfPatience(progress)
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
            try folder?.finish(installation.deliver(), cardFacts(progress, best))
        }
        let summary = summary(progress, log, best, wasInterrupted: isStopping)
        observer.finished(summary)
        return summary
    }

    private func restore(_ checkpoint: String, _ data: DataFingerprint) throws -> TrainingProgress {
        try requireReachable(checkpoint)
        return try TrainingCheckpoint.restore(
            from: checkpoint, of: base.model, into: installation, optimizer, stepCount: stepCount,
            check: { progress, fingerprints in
                try refuseOtherCount(progress, checkpoint: checkpoint)
                try refuseOtherInputs(
                    fingerprints, RunFingerprints(base, data: data.text), checkpoint: checkpoint)
            }, warn: observer.warned)
    }

    private func allocateState(in outputFolder: String) throws {
        guard type(of: optimizer).isPaged else { return optimizer.state.allocate() }
        let folder = settings.optimizer.pagingFolder ?? outputFolder
        if ScratchMemory.isInMemory(folder) {
            observer.warned(
                Problem(
                    "the folder's files lie in memory themselves, so that the optimizer's state there saves none: name "
                        + "one on a disk by training.optim_paging_dir", file: folder, severity: .warning))
        }
        try optimizer.state.allocate(in: folder)
    }

    func makeHiddenStateStore(in outputFolder: String) throws {
        guard let plan = hiddenStatePlan, plan.rowCount > 0 else { return }
        let folder = settings.hiddenStates.scratchFolder ?? outputFolder
        if plan.scratchBytes > 0, ScratchMemory.isInMemory(folder) {
            observer.warned(
                Problem(
                    "the folder's files lie in memory themselves, so that hidden states there save none: name one on a "
                        + "disk by training.hidden_states_dir", file: folder, severity: .warning))
        }
        do {
            hiddenStates = try HiddenStateStore(plan, of: base.model, batches, folder: folder)
        } catch var problem as Problem where problem.exitStatus == .inputOutput {
            problem.message += "; hidden states aren't kept, and are computed anew each time"
            problem.severity = .warning
            observer.warned(problem)
        }
    }

    /// Writes a checkpoint.
    private func save(
        _ progress: TrainingProgress, _ folder: RunFolder?, _ log: MetricsLog?, _ data: DataFingerprint
    ) throws {
        try requireFiniteParameters(step: progress.step)
        try requireSameParameters(after: progress.step)
        guard let folder else { return }
        try rescueIfLost(progress, folder, log, data)
        try log?.synchronize()
        let path = try writeCheckpoint(progress, folder, data, to: folder.path)
        observer.saved(step: progress.step, folder: path)
    }

    private func writeCheckpoint(
        _ progress: TrainingProgress, _ folder: RunFolder, _ data: DataFingerprint, to path: String
    ) throws -> String {
        try TrainingCheckpoint.write(
            .init(
                progress: progress, installation: installation, optimizer: optimizer,
                fingerprints: RunFingerprints(base, data: data.text), configuration: configuration.resolvedYAML),
            delivery: folder.delivery, to: path,
            keeping: CheckpointKeeping(
                limit: settings.savingLimit, keepsBest: settings.best.isDelivered,
                isOnlyBest: isBest(progress) && !isSavingDue(progress.step)),
            warn: observer.warned)
    }

    private func isSavingDue(_ step: Int) -> Bool { step % (settings.savingSteps ?? stepsPerEpoch) == 0 }

    /// Whether no step comes any more.
    private func isEnd(_ progress: TrainingProgress, _ meter: RunMeter) -> Bool {
        progress.step == stepCount || isOutOfPatience(progress) || isOutOfTime(progress, meter)
    }

    /// Whether another step, with the last evaluation and a checkpoint behind it, would go beyond the time that there is.
    private func isOutOfTime(_ progress: TrainingProgress, _ meter: RunMeter) -> Bool {
        guard let limit = settings.maximumSeconds, progress.step > 0 else { return false }
        let needed = meter.secondsOfStep(
            after: progress.step, tokens: progress.tokens, evaluationTokens: validation?.counts.tokens)
        guard let needed else { return ranks.any(max(meter.elapsed, progress.exhaustedSeconds ?? 0) >= limit) }
        return ranks.any(meter.elapsed + needed >= limit)
    }

    /// Ends the run where its folder, or the file of its metrics, was removed or moved: what is known goes into a folder
    /// made anew, so that no step is lost.
    private func rescueIfLost(
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

    /// Whether the data has conversations.
    public var hasConversations: Bool { configuration.data.templates.conversation != nil }

    /// The configuration with all defaults, the labels of the data among them.
    public var resolvedYAML: String { configuration.resolvedYAML }

    /// What a run would do, without doing it.
    public func plan() -> TrainingPlan { plan(firstStep: 0, folder: settings.outputFolder) }

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
    private func batch(_ examples: [Example]) -> TokenBatch {
        examples.isEmpty
            ? TokenBatch(tokens: [], positions: [], offsets: [0], labels: [])
            : runner.model.batch(examples, sharingPrompts: sharing.isShared)
    }

    /// Takes a step of the run at a rate of 0, by which nothing is learned.
    ///
    /// - Returns: Its tokens.
    func tryStep(_ step: Int) throws -> Int {
        let (epoch, index) = step.quotientAndRemainder(dividingBy: stepsPerEpoch)
        let first = index * settings.accumulation
        let tried = try (first..<min(first + settings.accumulation, batches.count)).map {
            batch(try batches.examples(epoch: epoch, index: $0))
        }
        return runner.step(tried, firstPass: epoch * batches.count + first, learningRate: 0).tokenCount
    }

    /// The evaluations of the whole run.
    var evaluationCount: Int {
        validation == nil ? 0 : evaluationsDue(from: 1) + (settings.best.evaluatesOnStart ? 1 : 0)
    }

    /// The checkpoints of the whole run, as far as their steps are known.
    var checkpointCount: Int { timesDue(settings.savingSteps, from: 1) }

    private static let divergenceAdvice =
        "Nothing was saved since the last checkpoint. A lower training.learning_rate, training.max_grad_norm: 1 or a "
        + "longer training.warmup_steps usually helps"

    /// Where the examples come from, in words.
    private func places(_ examples: [Int]) -> String {
        let most = 16
        let dataset = batches.dataset
        let words = examples.prefix(most).map { index in
            dataset.place(of: index).map { "\($0.file):\($0.line)" } ?? "block \(index + 1)"
        }
        let more = examples.count > most ? " and \(examples.count - most) more" : ""
        return words.joined(separator: ", ") + more
    }

    /// The last step may have gone wrong without a loss after it that shows it.
    private func requireFiniteParameters(step: Int) throws {
        for parameter in installation.trainable where !sumOfSquares(parameter.tensor).isFinite {
            throw Problem(
                "not all elements are finite numbers after step \(step). " + Self.divergenceAdvice, key: parameter.name)
        }
    }

    /// With another number of examples a step is another part of an epoch, so that no option can allow it.
    private func refuseOtherCount(_ progress: TrainingProgress, checkpoint: String) throws {
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

    private func refuseOtherInputs(
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

    private func isDue(_ steps: Int?, _ step: Int) -> Bool {
        step == stepCount || step % (steps ?? stepsPerEpoch) == 0
    }

    /// How often something comes after so many steps from `step` on.
    private func timesDue(_ steps: Int?, from step: Int) -> Int {
        let interval = steps ?? stepsPerEpoch
        return stepCount / interval - (step - 1) / interval
    }

    /// The last step is always evaluated.
    private func evaluationsDue(from step: Int) -> Int {
        let interval = settings.evaluationSteps ?? stepsPerEpoch
        return timesDue(settings.evaluationSteps, from: step) + (stepCount % interval == 0 ? 0 : 1)
    }

    private func secondsLeft(_ progress: TrainingProgress, _ meter: RunMeter) -> Double {
        let step = progress.step
        return meter.secondsLeft(
            after: step, steps: stepCount - step, tokens: progress.tokens,
            evaluations: validation == nil ? 0 : evaluationsDue(from: step),
            evaluationTokens: validation?.counts.tokens ?? 0, checkpoints: timesDue(settings.savingSteps, from: step))
    }

    private func epoch(_ step: Int) -> Double { Double(step) / Double(stepsPerEpoch) }

    private func record(
        _ result: StepResult, _ progress: inout TrainingProgress, _ meter: inout RunMeter, _ log: MetricsLog?
    ) throws {
        let metrics = StepMetrics(
            step: progress.step, epoch: epoch(progress.step),
            loss: progress.pendingLossSum / Double(max(1, progress.pendingTargets)), gradientNorm: result.gradientNorm,
            learningRate: result.learningRate, tokens: progress.tokens, tokensPerSecond: meter.lap(progress.tokens),
            elapsedSeconds: meter.elapsed, peakMemoryBytes: peakMemory())
        progress.pendingLossSum = 0
        progress.pendingTargets = 0
        try log?.append(metrics)
        observer.logged(metrics)
    }

    /// Evaluates where that is due and wasn't done yet.
    ///
    /// - Returns: false where it was to be stopped; then the run does it when it is resumed.
    private func evaluateIfDue(
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
        // As in transformers a rate doesn't wait for the evaluation before the first step.
        if let rule = settings.schedule.plateau, progress.step > 0 { progress.plateau?.evaluated(found.loss, rule) }
        try log?.append(metrics)
        lastEvaluatedStep = progress.step
        observer.evaluated(metrics)
        noteEvaluation((progress.step, found.loss, found.scores), &progress)
        return true
    }

    /// The loss over the validation data, over how many targets, and a task's scores.
    private func evaluate(
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
            return (loss.loss, loss.tokens, [])
        }
        let answers = try measureLabels(
            of: base.model, on: validation, rowsPerPass: .max, examplesPerPass: batchSize,
            sharingPrompts: settings.sharesInEvaluation, ranks: ranks, startingFrom: hiddenStates?.evaluation(),
            labelSmoothing: settings.labelSmoothing, onProgress: progressed)
        return (answers.loss, answers.count, answers.scores(labels))
    }

    private func summary(
        _ progress: TrainingProgress, _ log: MetricsLog?, _ best: BestModel?, wasInterrupted: Bool
    ) -> TrainingSummary {
        TrainingSummary(
            outputFolder: settings.outputFolder, steps: progress.step, wasInterrupted: wasInterrupted,
            finalLoss: log?.lastLoss, evaluationLoss: log?.lastEvaluation?.loss, tokens: progress.tokens,
            elapsedSeconds: progress.elapsedSeconds, peakMemoryBytes: peakMemory(),
            savedShare: sharing.savedShare, best: best, notes: wasInterrupted ? [] : endNotes(progress, best),
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

/// Ends an evaluation before its end.
private struct Stopped: Error {}
