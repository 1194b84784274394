public import Charts
public import Diagnostics

/// What a run is about to do.
public struct TrainingPlan: Sendable {
    /// Parameters of one kind that train, such as all `lora_A` matrices.
    public struct Group: Sendable, Hashable {
        /// The names with their layer numbers replaced by `*`.
        public let pattern: String
        public let tensorCount: Int
        public let parameterCount: Int
    }

    public let method: String
    public let groups: [Group]
    public let trainableCount: Int
    /// The parameters of the base model, and those that the method adds.
    public let totalCount: Int
    /// One line for each data set: records, dropped, truncated, tokens.
    public let dataSummaries: [String]
    public let stepCount: Int
    public let stepsPerEpoch: Int
    /// The step that the run continues after; 0 for a fresh one.
    public let firstStep: Int
    public let outputFolder: String
    public let threadCount: Int
    /// The processes that train together.
    public let rankCount: Int
    /// The peak.
    public let learningRate: Double
    /// Whether that is the method's own, because the configuration gives none.
    public let hasDefaultRate: Bool
    public let schedule: LearningRateSchedule
    public let warmupSteps: Int
    public let loggingSteps: Int
    /// As `training.optim` calls it.
    public let optimizer: String
    /// What it remembers, in bytes.
    public let optimizerStateBytes: Int
    /// How the method begins, a line each, where that is worth a word.
    public let notes: [String]
    /// What shows already that it won't do what it is there for.
    public let warnings: [Problem]
}

/// One logged stretch of training, as it stands in `metrics.jsonl`.
public struct StepMetrics: Sendable, Hashable {
    public let step: Int
    public let epoch: Double
    /// The mean loss per target token since the last logged step, in nats.
    public let loss: Double
    /// The norm of all gradients together before clipping, at this step.
    public let gradientNorm: Double
    public let learningRate: Double
    /// Tokens that went through the model so far.
    public let tokens: Int
    /// Since the last logged step.
    public let tokensPerSecond: Double
    public let elapsedSeconds: Double
    /// The most memory that the process held at one time.
    public let peakMemoryBytes: Int
}

/// One evaluation in the course of training.
public struct EvaluationMetrics: Sendable, Hashable {
    public let step: Int
    public let epoch: Double
    /// The mean loss per target token over the validation data, in nats.
    public let loss: Double
    /// The number of targets: tokens, or texts that have a label.
    public let tokens: Int
    /// Whether the targets are texts.
    public let countsTexts: Bool
    /// A task's measures, or those of texts that were generated.
    public let scores: [NamedScore]
    public let elapsedSeconds: Double
}

/// How a run ended.
public struct TrainingSummary: Sendable, Hashable {
    public let outputFolder: String
    public let steps: Int
    /// Whether the user stopped it; then a checkpoint of the last step was saved.
    public let wasInterrupted: Bool
    public let finalLoss: Double?
    public let evaluationLoss: Double?
    public let tokens: Int
    public let elapsedSeconds: Double
    public let peakMemoryBytes: Int
    /// The training loss by the step, from the first one on.
    public let losses: [ChartPoint]
    /// The share of the tokens trained on since the start that others had computed; nil where there were none.
    public let savedShare: Double?
    /// The model of the best evaluation, where it was looked for.
    public let best: BestModel?
    /// Why the run ended early, and which model is the best, a line each.
    public let notes: [String]
    /// Commands that use the result; none of an interrupted run.
    public let nextCommands: [String]
}

/// Is told how training goes; it prints, training doesn't.
public protocol TrainingObserver: AnyObject {
    func started(_ plan: TrainingPlan)
    /// After every step, for a progress bar: the step's own loss, the average rate, and the time that is left, with the
    /// evaluations and checkpoints to come.
    func progressed(step: Int, of total: Int, loss: Double, tokensPerSecond: Double, secondsLeft: Double)
    /// After every `logging_steps` steps and after the last one.
    func logged(_ metrics: StepMetrics)
    /// In the course of an evaluation.
    func evaluating(step: Int, examples: Int, of total: Int)
    func evaluated(_ metrics: EvaluationMetrics)
    func saved(step: Int, folder: String)
    func warned(_ problem: Problem)
    func finished(_ summary: TrainingSummary)
    /// In place of all others, where a run that is to be resumed is finished already.
    func foundFinished(_ summary: TrainingSummary)
}

/// What isn't of interest needn't be taken.
extension TrainingObserver {
    public func started(_ plan: TrainingPlan) {}
    public func progressed(step: Int, of total: Int, loss: Double, tokensPerSecond: Double, secondsLeft: Double) {}
    public func logged(_ metrics: StepMetrics) {}
    public func evaluating(step: Int, examples: Int, of total: Int) {}
    public func evaluated(_ metrics: EvaluationMetrics) {}
    public func saved(step: Int, folder: String) {}
    public func warned(_ problem: Problem) {}
    public func finished(_ summary: TrainingSummary) {}
    public func foundFinished(_ summary: TrainingSummary) {}
}

/// Takes none of it: for trials, of which the run itself tells again.
final class SilentObserver: TrainingObserver {}
