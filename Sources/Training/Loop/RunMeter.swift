/// Clocks a run: time and rate, with what evaluations and checkpoints take left out of the rate.
package struct RunMeter {
    /// What comes in between steps again and again.
    private struct Interludes {
        var count = 0
        var seconds = 0.0
        var longest: Double?

        var mean: Double? { count > 0 ? seconds / Double(count) : nil }

        mutating func add(_ seconds: Double) {
            count += 1
            self.seconds += seconds
            longest = max(longest ?? 0, seconds)
        }
    }

    /// Seconds since the beginning.
    private let clock: () -> Double
    private let earlier: Double
    private let firstStep: Int
    private let firstTokens: Int
    private var evaluations = Interludes()
    private var checkpoints = Interludes()
    private var lapStart = 0.0
    private var lapTokens: Int

    init(_ progress: TrainingProgress) {
        let start = ContinuousClock.now
        self.init(step: progress.step, tokens: progress.tokens, elapsed: progress.elapsedSeconds) {
            start.duration(to: .now) / .seconds(1)
        }
    }

    /// - Parameters:
    ///   - step: The steps that were taken before, with `tokens` tokens in `elapsed` seconds.
    ///   - clock: Seconds since the run went on.
    package init(step: Int, tokens: Int, elapsed: Double, clock: @escaping () -> Double) {
        self.clock = clock
        earlier = elapsed
        firstStep = step
        firstTokens = tokens
        lapTokens = tokens
    }

    private var sinceStart: Double { clock() }

    /// Seconds of training, those before an interruption included.
    package var elapsed: Double { earlier + sinceStart }

    private var ofSteps: Double { max(1e-9, sinceStart - evaluations.seconds - checkpoints.seconds) }

    package mutating func evaluated(_ seconds: Double) {
        evaluations.add(seconds)
        lapStart += seconds
    }

    package mutating func saved(_ seconds: Double) {
        checkpoints.add(seconds)
        lapStart += seconds
    }

    package func rate(_ tokens: Int) -> Double { Double(tokens - firstTokens) / ofSteps }

    /// The time that `steps` more take, with the evaluations and checkpoints that are still to come.
    ///
    /// - Parameter evaluationTokens: Of one evaluation; before the first one, its time is reckoned from them.
    package func secondsLeft(
        after step: Int, steps: Int, tokens: Int, evaluations count: Int, evaluationTokens: Int, checkpoints saves: Int
    ) -> Double {
        let evaluation = evaluations.mean ?? secondsOfEvaluation(evaluationTokens, tokens)
        return ofSteps / Double(max(1, step - firstStep)) * Double(steps) + Double(count) * evaluation
            + Double(saves) * (checkpoints.mean ?? 0)
    }

    /// The time of another step, and of an evaluation (where `evaluationTokens` are given) and a checkpoint behind it, as long
    /// as the longest ones; nil where no step was clocked.
    package func secondsOfStep(after step: Int, tokens: Int, evaluationTokens: Int?) -> Double? {
        if step <= firstStep { return nil }
        let evaluation = evaluationTokens.map { evaluations.longest ?? secondsOfEvaluation($0, tokens) } ?? 0
        return ofSteps / Double(step - firstStep) + evaluation + (checkpoints.longest ?? 0)
    }

    /// A step goes forwards and backwards, an evaluation forwards alone.
    private func secondsOfEvaluation(_ evaluationTokens: Int, _ tokens: Int) -> Double {
        Double(evaluationTokens) / max(1, 2.5 * rate(tokens))
    }

    /// Tokens a second since the last call.
    package mutating func lap(_ tokens: Int) -> Double {
        let now = sinceStart
        defer { (lapStart, lapTokens) = (now, tokens) }
        return Double(tokens - lapTokens) / max(1e-9, now - lapStart)
    }
}
