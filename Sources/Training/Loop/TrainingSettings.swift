import Configuration
import Diagnostics
import Tensors

/// The `training` section of a configuration, by the names of `transformers`' `TrainingArguments`.
public struct TrainingSettings: Sendable, Hashable {
    public var outputFolder: String
    public var epochs: Double
    /// Ends training after so many steps, whatever the epochs; nil for no limit.
    public var maximumSteps: Int?
    public var batchSize: Int
    /// Whether the size of batches is yet to be found; until then they have one example.
    public var isBatchAutomatic: Bool
    /// The most memory that the run may take, in bytes; nil for what is free.
    public var memoryLimit: Int?
    /// Ends training before it has taken longer than this, in seconds; nil for no limit.
    public var maximumSeconds: Double?
    /// What the runs that are compared may take together, in seconds; nil for no limit.
    public var budgetSeconds: Double?
    public var evaluationBatchSize: Int
    public var accumulation: Int
    /// Whether blocks are computed again on the way back instead of keeping what that needs.
    public var isCheckpointing: Bool
    /// Whether products with weights take numbers rounded to BF16, and add them up as 32-bit floats.
    public var roundsProducts: Bool
    public var hiddenStates: HiddenStateSettings
    /// Whether what the records of a batch begin with in common is computed once.
    public var promptSharing: PromptSharing
    public var learningRate: Double
    /// Whether the rate is the method's own, because the configuration gives none.
    public var hasDefaultRate: Bool
    public var schedule: LearningRateSchedule
    /// A number of steps, or below 1 a share of the run's, as `transformers` takes it.
    public var warmup: Double
    /// Whether `warmup` is a share of the run's steps however large it is, as `warmup_ratio` was.
    public var isWarmupRatio = false
    public var optimizer: OptimizerSettings
    /// The share of each label that goes to all of them alike.
    public var labelSmoothing: Double
    /// How much noise the embeddings of tokens get while training; 0 for none.
    public var noiseAlpha: Double
    public var seed: UInt64
    public var loggingSteps: Int
    /// Whether the loss on the validation data is measured while training.
    public var isEvaluating = true
    /// nil: at the end of each epoch.
    public var evaluationSteps: Int?
    /// nil: at the end of each epoch; the largest number there is for never.
    public var savingSteps: Int?
    /// How many checkpoints are kept; nil for all.
    public var savingLimit: Int?
    public var best: BestSettings
    public var reports: ReportSettings
    /// Texts that evaluations generate and score; nil for none.
    public var texts: TextEvaluationSettings?
    public var batches: BatchSettings

    /// More than any run has, and small enough for counts to be multiplied and added.
    private static let largest = Int(Int32.max)

    /// - Parameter rate: The learning rate where the section gives none.
    init(_ section: ConfigSection, defaultRate rate: Double) {
        outputFolder = section.requiredPath("output_dir")
        epochs = section.double("num_train_epochs", default: 3, in: Above(0))
        maximumSteps = section.optionalInt("max_steps", in: CountOrNone(largest: Self.largest)).flatMap {
            $0 < 0 ? nil : $0
        }
        maximumSeconds = section.optionalDuration("max_time")
        budgetSeconds = section.optionalDuration("budget")
        if budgetSeconds != nil, maximumSeconds != nil {
            section.record(
                "shares a time out among runs that are compared, beside max_time of one: give one of them", at: "budget"
            )
        }
        let sizeKey = "per_device_train_batch_size"
        batches = BatchSettings(section, hasSize: section.has(sizeKey))
        // Where batches are filled by tokens there is no number of examples, and none by default.
        let size =
            batches.tokens == nil
            ? section.int(sizeKey, orWord: "auto", default: 8, in: 1...Self.largest) : section.optionalInt(sizeKey) ?? 8
        (batchSize, isBatchAutomatic) = (size ?? 1, size == nil)
        memoryLimit = section.optionalByteCount("memory_limit")
        evaluationBatchSize = section.int("per_device_eval_batch_size", default: 8, in: 1...Self.largest)
        accumulation = section.int("gradient_accumulation_steps", default: 1, in: 1...Self.largest)
        isCheckpointing = section.bool("gradient_checkpointing", default: false)
        roundsProducts = section.bool("bf16", default: false)
        if roundsProducts, !Processor.hasBFloat16Products {
            section.warn(
                "has no effect: this processor doesn't multiply numbers of 16 bits (AVX512-BF16), so products are of 32 bits",
                at: "bf16")
            roundsProducts = false
        }
        hiddenStates = HiddenStateSettings(section)
        promptSharing = section.choice("share_prompts", default: PromptSharing.auto)
        learningRate = section.double("learning_rate", dependentDefault: rate, in: 0...)
        hasDefaultRate = !section.has("learning_rate")
        schedule = LearningRateSchedule(section, learningRate: learningRate)
        warmup = section.countOrShare("warmup_steps", default: 0, in: 0...Double(Self.largest))
        if let ratio = section.optionalDouble("warmup_ratio", in: 0...1), ratio > 0 {
            if warmup > 0 {
                section.warn("has no effect beside warmup_steps, as it hadn't in transformers", at: "warmup_ratio")
            } else {
                (warmup, isWarmupRatio) = (ratio, true)
            }
        }
        optimizer = OptimizerSettings(section)
        labelSmoothing = section.optionalDouble("label_smoothing_factor", in: 0...1) ?? 0
        noiseAlpha = section.optionalDouble("neftune_noise_alpha", in: 0...1e6) ?? 0
        seed = UInt64(section.int("seed", default: 42, in: 0...))
        loggingSteps = section.int("logging_steps", default: 10, in: 1...)
        evaluationSteps = section.optionalInt("eval_steps", in: 1...)
        savingSteps = section.optionalInt("save_steps", in: 1...)
        savingLimit = section.optionalInt("save_total_limit", in: 1...)
        let saving = section.optionalChoice("save_strategy", of: ["no", "steps", "epoch", "best"])
        best = BestSettings(section, isSaved: saving == "best")
        texts = TextEvaluationSettings(section, best: best.metric)
        reports = ReportSettings(section)
        readStrategies(section, saving: saving)
    }

    /// When there are evaluations and checkpoints, in transformers' words for it.
    private mutating func readStrategies(_ section: ConfigSection, saving: String?) {
        func note(_ key: String, _ strategy: String) {
            if section.has(key) { section.warn("has no effect with \(strategy)", at: key) }
        }
        switch section.optionalChoice("eval_strategy", of: ["no", "steps", "epoch"]) {
        case "no":
            isEvaluating = false
            note("eval_steps", "eval_strategy: no")
            for key in best.evaluatingKeys(section) + (texts?.evaluatingKeys(section) ?? []) {
                section.record("needs evaluations, and with eval_strategy: no there are none", at: key)
            }
        case "steps": evaluationSteps = evaluationSteps ?? loggingSteps
        case "epoch":
            note("eval_steps", "eval_strategy: epoch")
            evaluationSteps = nil
        default: break
        }
        switch saving {
        case "no", "best":
            note("save_steps", "save_strategy: \(saving ?? "")")
            savingSteps = .max
        case "steps": savingSteps = savingSteps ?? 500
        case "epoch":
            note("save_steps", "save_strategy: epoch")
            savingSteps = nil
        default: break
        }
    }

    /// The optimizer steps of an epoch of `batches` micro-batches; the last one may have fewer of them.
    func stepsPerEpoch(batches: Int) -> Int { (batches + accumulation - 1) / accumulation }

    /// The steps in which the rate rises, of a run of `total`.
    package func warmupSteps(of total: Int) -> Int {
        warmup >= 1 && !isWarmupRatio ? Int(warmup) : Int((Double(total) * warmup).rounded(.up))
    }

    /// The optimizer steps of the whole run.
    func stepCount(batches: Int) -> Int {
        if let maximumSteps { return maximumSteps }
        let steps = (epochs * Double(stepsPerEpoch(batches: batches))).rounded(.up)
        return Int(min(max(1, steps), Double(Self.largest)))
    }

    /// How often a run of so many steps evaluates: where it is asked for before the first step too.
    func evaluationCount(steps: Int, stepsPerEpoch: Int) -> Int {
        evaluationsDue(from: 1, steps: steps, stepsPerEpoch: stepsPerEpoch) + (best.evaluatesOnStart ? 1 : 0)
    }

    /// How often it evaluates from the step `first` on: the last step is always evaluated.
    func evaluationsDue(from first: Int, steps: Int, stepsPerEpoch: Int) -> Int {
        let interval = evaluationSteps ?? stepsPerEpoch
        return (steps - 1) / interval + 1 - (first - 1) / interval
    }
}

/// A number of steps, or −1 for no limit.
private struct CountOrNone: ValueLimit {
    let largest: Int

    func contains(_ value: Int) -> Bool { value == -1 || (1...largest).contains(value) }
    var requirement: String { "between 1 and \(largest)" }
}
