import Testing
import Training

@Suite("A run's clock") struct RunMeterTests {
    private final class Clock {
        var seconds = 0.0
    }

    @Test("tells the time left with evaluations and checkpoints, before the first one too")
    func left() {
        let clock = Clock()
        var meter = RunMeter(step: 10, tokens: 1000, elapsed: 5) { clock.seconds }
        func left(after step: Int, tokens: Int, evaluations: Int) -> Double {
            meter.secondsLeft(
                after: step, steps: 20 - step, tokens: tokens, evaluations: evaluations, evaluationTokens: 5000,
                checkpoints: 1)
        }
        // Two steps of 100 tokens in 4 s: 50 tokens a second, and 125 in an evaluation.
        clock.seconds = 4
        #expect(meter.rate(1200) == 50 && meter.elapsed == 9)
        #expect(left(after: 12, tokens: 1200, evaluations: 3) == 8 * 2 + 3 * 40)
        // One evaluation took 10 s and a checkpoint 3 s, in which no step was taken.
        clock.seconds = 17
        meter.evaluated(10)
        meter.saved(3)
        #expect(meter.rate(1200) == 50 && meter.elapsed == 22)
        #expect(left(after: 12, tokens: 1200, evaluations: 2) == 8 * 2 + 2 * 10 + 3)
    }

    @Test("reckons another step, evaluation and checkpoint as long as the longest so far, so that a time is kept to")
    func longest() {
        let clock = Clock()
        var meter = RunMeter(step: 10, tokens: 1000, elapsed: 5) { clock.seconds }
        func needed(after step: Int, _ evaluationTokens: Int?) -> Double? {
            meter.secondsOfStep(after: step, tokens: 1200, evaluationTokens: evaluationTokens)
        }
        #expect(needed(after: 10, 5000) == nil)
        clock.seconds = 4
        #expect(needed(after: 12, 5000) == 2 + 40 && needed(after: 12, nil) == 2)
        clock.seconds = 24
        for seconds in [3.0, 10] { meter.evaluated(seconds) }
        for seconds in [6.0, 1] { meter.saved(seconds) }
        #expect(needed(after: 12, 5000) == 2.0 + 10 + 6)
    }

    @Test("tells the tokens a second since it was last asked, without what came in between")
    func lap() {
        let clock = Clock()
        var meter = RunMeter(step: 0, tokens: 0, elapsed: 0) { clock.seconds }
        clock.seconds = 2
        #expect(meter.lap(100) == 50)
        clock.seconds = 7
        meter.evaluated(4)
        #expect(meter.lap(180) == 80)
    }
}
