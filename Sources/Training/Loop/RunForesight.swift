import Configuration
import Datasets
import Diagnostics
import JSONText
import Methods

/// What shows of a run before its first step: settings that, with so many steps and this data, can't do what they are
/// there for. No run is refused for them, because what they leave of it may be what is wanted.
struct RunForesight {
    let configuration: RunConfiguration
    let stepCount: Int
    let stepsPerEpoch: Int
    /// The micro-batches of an epoch.
    let batchCount: Int
    let memory: TrainingMemory

    private var settings: TrainingSettings { configuration.training }
    private var hasValidation: Bool {
        settings.isEvaluating
            && (!configuration.data.validation.isEmpty || configuration.data.validationFraction != nil)
    }

    /// A warning for each, at the place of the setting.
    var warnings: [Problem] {
        let found: [(key: String, message: String?)] = [
            ("learning_rate", rate), ("warmup_steps", warmup), ("gradient_accumulation_steps", accumulation),
            ("eval_steps", evaluation), ("budget", budget), ("save_steps", saving), ("logging_steps", logging),
            ("optim", memory.shortage(available: machineMemory)),
        ]
        return found.compactMap { key, message in
            message.map {
                var problem = configuration.trainingSection.problem($0, at: key)
                problem.severity = .warning
                return problem
            }
        }
    }

    private var steps: String { stepCount == 1 ? "1 step" : "\(stepCount) steps" }

    /// AdamW's steps are about as large as the rate, whatever the gradients.
    private var rate: String? {
        let rate = settings.learningRate
        let own = type(of: configuration.method).learningRate
        let advice = "\(Self.text(own)) is the default of \(configuration.methodName)"
        if rate == 0 { return "with a rate of 0 nothing is learned; \(advice)" }
        if settings.optimizer.type.stepsFollowGradients { return sgdRate }
        if rate > min(1, own * 1000) {
            return
                "a rate of \(Self.text(rate)) moves each number that trains by about so much in every step, which is "
                + "more than the weights are large: nothing sensible can come of it; \(advice)"
        }
        if rate < own / 10_000 {
            return "a rate of \(Self.text(rate)) changes next to nothing in \(steps); \(advice)"
        }
        return nil
    }

    /// Nothing is known of a rate's size where steps are as large as gradients, but that those of AdamW are too small.
    private var sgdRate: String? {
        if !settings.hasDefaultRate { return nil }
        return "isn't given, and the default of \(configuration.methodName) is for optimizers whose steps are as large "
            + "as the rate, which those of \(settings.optimizer.name) aren't: it wants a rate of 10 to 1000 times as much"
    }

    private var warmup: String? {
        let warmup = settings.warmupSteps(of: stepCount)
        if warmup == 0 { return nil }
        let kind = settings.schedule.kind
        if kind == .constant || kind == .reduceOnPlateau {
            return
                "has no effect with lr_scheduler_type: \(kind.rawValue); constant_with_warmup rises to the rate first"
        }
        if warmup < stepCount { return nil }
        if stepCount == 1, settings.schedule.factor(step: 0, warmup: warmup, total: 1) == 0 {
            return "the rate is 0 in the first step of a warm-up, and the run has no other: nothing is learned"
        }
        let last = settings.schedule.factor(step: stepCount - 1, warmup: warmup, total: stepCount)
        return "the rate rises for \(warmup) steps, and the run has \(steps): it ends at "
            + "\(Self.text(last * settings.learningRate)) instead of \(Self.text(settings.learningRate)); give fewer than "
            + "\(stepCount), or a share such as 0.1"
    }

    private var accumulation: String? {
        if settings.accumulation <= batchCount { return nil }
        let batches = batchCount == 1 ? "1 micro-batch" : "\(batchCount) micro-batches"
        let size =
            settings.batches.tokens.map { "train_batch_tokens \($0)" }
            ?? "per_device_train_batch_size \(settings.batchSize)"
        return "an epoch has \(batches) of \(size), so that no step ever has "
            + "\(settings.accumulation)"
    }

    private var evaluation: String? {
        guard let interval = settings.evaluationSteps, settings.isEvaluating else { return nil }
        if !hasValidation {
            return "nothing is evaluated every \(interval) steps: data.validation names no file to measure the loss on"
        }
        if interval <= stepCount { return nil }
        return
            "the run has \(steps), so that the validation loss is measured once, at its end; \(advice(atMost: stepCount))"
    }

    private var budget: String? {
        settings.budgetSeconds == nil
            ? nil : "shares a time out among the runs of peft compare, and does nothing here: max_time ends one run"
    }

    private var saving: String? {
        guard let interval = settings.savingSteps, interval != .max, interval > stepCount else { return nil }
        return "the run has \(steps), so that no checkpoint is saved; \(advice(atMost: stepCount))"
    }

    private var logging: String? {
        // The default is more than a very short run has, and that is nothing to speak of.
        guard settings.loggingSteps > stepCount, settings.loggingSteps > 10 else { return nil }
        return "the run has \(steps), so that the training loss is told once, at its end; give at most \(stepCount)"
    }

    private func advice(atMost most: Int) -> String {
        stepsPerEpoch <= most
            ? "give at most \(most), or leave it out for once an epoch, every \(stepsPerEpoch) steps"
            : "give at most \(most)"
    }

    /// Three digits say it all.
    private static func text(_ value: Double) -> String {
        guard value > 0, value.isFinite else { return "\(value)" }
        var (scale, rounded) = (1.0, value)
        if value < 1e9 {
            while value * scale < 100, scale < 1e15 { scale *= 10 }
            rounded = (value * scale).rounded() / scale
        }
        return shortestText(of: rounded)
    }
}
