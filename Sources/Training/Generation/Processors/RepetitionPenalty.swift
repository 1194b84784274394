/// `repetition_penalty`
struct RepetitionPenalty: LogitsProcessor {
    private let penalty: Float

    init?(_ settings: ProcessingSettings, endIDs: Set<Int32>) {
        if settings.repetitionPenalty == 1 { return nil }
        penalty = Float(settings.repetitionPenalty)
    }

    func process(_ scores: UnsafeMutableBufferPointer<Float>, _ history: TokenHistory) {
        scores.penalise(history.tokens, by: penalty)
    }
}
