import Charts
import Checkpoints
import Diagnostics
import Files
import Glibc
import Training

/// Shows how training goes: on a terminal a line that is redrawn, otherwise a line for each logged step.
final class TrainingDisplay: TrainingObserver {
    private var plan: TrainingPlan?
    private var lastDrawing = 0.0
    private var lastSaved: String?
    /// As the last step tells it.
    private var secondsLeft = Double.nan
    private var lastLine = TrainingDisplay.seconds
    /// How long nothing is said where a line can't be redrawn: more each time, because what takes hours is looked at now
    /// and then.
    private var silence = 10.0

    /// Whether the course of the loss is drawn at the end, on a terminal.
    private let drawsLoss: Bool

    init(drawsLoss: Bool) { self.drawsLoss = drawsLoss }

    private static let longestSilence = 300.0
    /// Redrawing more often than this, in seconds, costs time and can't be read.
    private static let interval = 0.1

    func started(_ plan: TrainingPlan) {
        self.plan = plan
        show(plan, nil)
    }

    /// Says what trains, on what, and how long.
    ///
    /// - Parameter forecast: What it will take, where that was tried.
    func show(_ plan: TrainingPlan, _ forecast: RunForecast?) {
        for line in Self.table(plan) { Console.note(line) }
        for line in plan.dataSummaries + plan.notes { Console.note(line) }
        Console.note(Self.course(plan))
        if let forecast { Console.note(Self.needs(forecast)) }
        Console.note(Self.optimizer(plan))
        Console.note(Self.rate(plan))
        for warning in plan.warnings { Console.report(warning) }
        if let forecast, forecast.isTooLarge { Console.report(Self.shortage(forecast)) }
    }

    /// Shows examples token by token, what is learned of them marked.
    func show(_ samples: [TokenSample]) {
        Console.note(
            Console.errorHasColors
                ? "the first records token by token; what is learned stands in colour"
                : "the first records token by token; what is learned stands in brackets")
        for sample in samples {
            let place = sample.file.map { "\($0):\(sample.line ?? 1): " } ?? ""
            Console.note(
                "\(place)\(sample.tokens.count.grouped) tokens, \(sample.learnedCount.grouped) learned")
            var line: [(text: String, isMarked: Bool)] = []
            func end() {
                if !line.isEmpty { Console.marked("  ", line) }
                line = []
            }
            for token in sample.tokens.prefix(Self.mostTokens) {
                let shown = token.text.replacing("\r", with: "␍").replacing("\n", with: "⏎").replacing("\t", with: "⇥")
                line.append((shown, token.isLearned))
                if token.text.hasSuffix("\n") { end() }
            }
            end()
            let rest = sample.tokens.count - Self.mostTokens
            if rest > 0 { Console.note("  … and \(rest.grouped) more") }
        }
    }

    private static let mostTokens = 400

    func progressed(step: Int, of total: Int, loss: Double, tokensPerSecond: Double, secondsLeft: Double) {
        self.secondsLeft = secondsLeft
        // The line of this step comes anyway where it is a logged one.
        let isLogged = step == total || step % (plan?.loggingSteps ?? 1) == 0
        show(share: Double(step) / Double(max(1, total)), isLast: step == total, isToldAnyway: isLogged) {
            (Console.errorCanRedraw ? "" : "step ")
                + "\(step.grouped)/\(total.grouped)  loss \(loss.text(decimals: 4))  \(Self.rate(tokensPerSecond))"
                + "  \(secondsLeft.asDuration) left"
        }
    }

    func evaluating(step: Int, examples: Int, of total: Int) {
        show(share: Double(examples) / Double(max(1, total)), isLast: examples == total, isToldAnyway: false) {
            "evaluating after step \(step.grouped), \(examples.grouped) of \(total.grouped) examples"
        }
    }

    /// Draws a bar with `text` behind it, or where that can't be done says it if nothing was said for long.
    private func show(share: Double, isLast: Bool, isToldAnyway: Bool, _ text: () -> String) {
        if Console.isQuiet { return }
        let now = Self.seconds
        if Console.errorCanRedraw {
            guard now - lastDrawing >= Self.interval || isLast else { return }
            lastDrawing = now
            let facts = " " + text()
            Console.showStatus(Self.bar(share: share, besides: facts) + facts)
        } else if now - lastLine >= silence, !isToldAnyway {
            silence = min(Self.longestSilence, 2 * silence)
            say(text())
        }
    }

    private func say(_ line: String) {
        lastLine = Self.seconds
        Console.note(line)
    }

    func logged(_ metrics: StepMetrics) {
        let total = plan.map { "/\($0.stepCount.grouped)" } ?? ""
        // The bar below has the rest.
        let pace =
            Console.errorCanRedraw
            ? ""
            : "  \(Self.rate(metrics.tokensPerSecond))"
                + (metrics.step == plan?.stepCount ? "" : "  \(secondsLeft.asDuration) left")
        say(
            "step \(metrics.step.grouped)\(total)  epoch \(metrics.epoch.text(decimals: 2))"
                + "  loss \(metrics.loss.text(decimals: 4))  grad norm \(metrics.gradientNorm.text(decimals: 3))"
                + "  rate \(metrics.learningRate.scientific)" + pace)
    }

    func evaluated(_ metrics: EvaluationMetrics) {
        Console.note(
            "step \(metrics.step.grouped)  evaluation loss \(metrics.loss.text(decimals: 4))"
                + metrics.scores.map { "  \($0.name) \($0.value?.text(decimals: 4) ?? "–")" }.joined()
                + "  (\(metrics.tokens.grouped) \(metrics.countsTexts ? "examples" : "tokens"))")
    }

    func saved(step: Int, folder: String) {
        lastSaved = folder
        Console.note("step \(step.grouped)  saved \(folder)")
    }

    func warned(_ problem: Problem) { Console.report(problem) }

    func finished(_ summary: TrainingSummary) {
        // The lines above say it all.
        Console.showStatus("")
        let losses = [
            summary.finalLoss.map { "loss \($0.text(decimals: 4))" },
            summary.evaluationLoss.map { "evaluation loss \($0.text(decimals: 4))" },
        ].compactMap { $0 }
        let facts =
            losses
            + [
                "\(summary.tokens.grouped) tokens", summary.elapsedSeconds.asDuration,
                "peak memory \(summary.peakMemoryBytes.asBytes)",
                summary.savedShare.map {
                    "shared prompts saved \((100 * $0).text(decimals: 1)) % of the tokens"
                },
            ].compactMap { $0 }
        if drawsLoss, Console.errorCanRedraw, !Console.isQuiet {
            for row in Self.curve(summary.losses, width: min(Self.widestCurve, Console.columns - 1)) {
                Console.note(row)
            }
        }
        for note in summary.notes { Console.note(note) }
        let word = summary.wasInterrupted ? "interrupted after" : "finished"
        Console.note("\(word) \(summary.steps.grouped) steps: \(facts.joined(separator: ", "))")
        Console.note(
            summary.wasInterrupted
                ? "go on with the same command and --resume" : "the result is in \(summary.outputFolder)")
        if summary.wasInterrupted, let lastSaved {
            let isAdapter = FileSystem.isFile(FileSystem.join(lastSaved, AdapterFolder.configurationName))
            Console.note(
                isAdapter
                    ? "the adapter as it is now is in \(lastSaved): use it with --adapter, or begin another run from it with "
                        + "peft.init_from"
                    : "the model as it is now is in \(lastSaved): use it with --base, or begin another run from it with "
                        + "model.path")
        }
        for (index, command) in summary.nextCommands.enumerated() {
            Console.note((index == 0 ? "next: " : "      ") + command)
        }
    }

    private static let (widestCurve, curveHeight, fewestLosses) = (72, 6, 3)

    /// The course of the loss in a few rows, none of which is wider than the terminal; none for few values, or on a narrow
    /// one.
    private static func curve(_ losses: [ChartPoint], width: Int) -> [String] {
        guard losses.count >= fewestLosses, let first = losses.first, let last = losses.last,
            let lowest = losses.min(by: { $0.y < $1.y })
        else { return [] }
        let means = Smoothing.means(losses, window: Smoothing.window(for: losses))
        let chart = Chart(
            title: "", x: .count, xTitle: "step", lines: [ChartLine("", means, color: 0)])
        let rows = TerminalChart(chart, width: width, height: curveHeight).texts
        let title =
            "loss \(first.y.text(decimals: 4)) → \(last.y.text(decimals: 4)), lowest \(lowest.y.text(decimals: 4)) after "
            + "step \(Int(clamping: lowest.x).grouped)"
        return rows.isEmpty || title.count > width ? [] : [title] + rows
    }

    func foundFinished(_ summary: TrainingSummary) {
        Console.note(
            "the run in \(summary.outputFolder) is finished, after \(summary.steps.grouped) steps; give --overwrite to "
                + "train anew")
    }

    /// What trains: a row for each kind of parameter, and the share of the whole.
    private static func table(_ plan: TrainingPlan) -> [String] {
        let rows =
            [("method \(plan.method) trains", "tensors", "parameters")]
            + plan.groups.map { ($0.pattern, $0.tensorCount.grouped, $0.parameterCount.grouped) }
        let widths = (
            rows.map(\.0.count).max() ?? 0, rows.map(\.1.count).max() ?? 0, rows.map(\.2.count).max() ?? 0
        )
        let share = 100 * Double(plan.trainableCount) / Double(max(1, plan.totalCount))
        return rows.map { name, tensors, parameters in
            name.padded(widths.0) + "  " + tensors.leftPadded(widths.1) + "  " + parameters.leftPadded(widths.2)
        } + [
            "\(plan.trainableCount.grouped) of \(plan.totalCount.grouped) parameters train "
                + "(\(share.text(decimals: 2)) %)"
        ]
    }

    private static func needs(_ forecast: RunForecast) -> String {
        "about \(forecast.peakMemoryBytes.asBytes) of memory at most"
            + (forecast.availableBytes.map { ", of \($0.asBytes) that there are" } ?? "") + "; "
            + (forecast.seconds.map { "about \($0.asDuration) for \(forecast.tokens.grouped) tokens" }
                ?? "\(forecast.tokens.grouped) tokens in a time that wasn't tried out")
    }

    private static func shortage(_ forecast: RunForecast) -> Problem {
        Problem(
            "the run takes about \(forecast.peakMemoryBytes.asBytes) of memory, and there are "
                + "\((forecast.availableBytes ?? 0).asBytes): smaller batches, training.gradient_checkpointing, a smaller "
                + "data.max_length, optim: adamw_8bit or a base in few bits need less",
            severity: .warning)
    }

    private static func course(_ plan: TrainingPlan) -> String {
        let start = plan.firstStep > 0 ? ", going on after step \(plan.firstStep.grouped)" : ""
        let threads = plan.threadCount == 1 ? "1 thread" : "\(plan.threadCount) threads"
        let ranks = plan.rankCount == 1 ? "" : " in each of \(plan.rankCount) processes"
        return
            "\(plan.stepCount.grouped) steps, \(plan.stepsPerEpoch.grouped) an epoch\(start), on \(threads)\(ranks), "
            + "into \(plan.outputFolder)"
    }

    private static func rate(_ plan: TrainingPlan) -> String {
        let origin = plan.hasDefaultRate ? ", the default of \(plan.method)" : ""
        let steps = plan.warmupSteps == 1 ? "1 step" : "\(plan.warmupSteps.grouped) steps"
        return "learning rate \(plan.learningRate.scientific)\(origin); \(plan.schedule.kind.rawValue), "
            + (plan.warmupSteps == 0 ? "without warm-up" : "\(steps) of warm-up")
    }

    private static func optimizer(_ plan: TrainingPlan) -> String {
        let megabytes = Double(plan.optimizerStateBytes) / 1e6
        return "optimizer \(plan.optimizer), which remembers \(megabytes.text(decimals: megabytes < 10 ? 1 : 0)) MB"
    }

    private static func rate(_ tokensPerSecond: Double) -> String {
        tokensPerSecond.isFinite ? "\(Int(clamping: tokensPerSecond.rounded()).grouped) tokens/s" : "? tokens/s"
    }

    /// A bar as wide as fits beside the facts, at most 30 columns; nothing on a narrow terminal.
    private static func bar(share: Double, besides facts: String) -> String {
        let width = min(30, Console.columns - facts.count - 3)
        if width < 5 { return "" }
        let full = Int((share * Double(width)).rounded(.down))
        return "[" + String(repeating: "=", count: full) + String(repeating: " ", count: width - full) + "]"
    }

    private static var seconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
