import Glibc

/// Clocks a run: time and rate, with what evaluation takes left out of the rate.
struct RunMeter {
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
