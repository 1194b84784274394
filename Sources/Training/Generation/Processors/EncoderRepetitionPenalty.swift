/// `encoder_repetition_penalty`: above 1 the prompt's tokens become more likely.
struct EncoderRepetitionPenalty: LogitsProcessor {
    private let penalty: Float

    init?(_ settings: ProcessingSettings, endIDs: Set<Int32>) {
        if settings.encoderRepetitionPenalty == 1 { return nil }
        penalty = Float(1 / settings.encoderRepetitionPenalty)
    }

    func process(_ scores: UnsafeMutableBufferPointer<Float>, _ history: TokenHistory) {
        scores.penalise(history.source, by: penalty)
    }
}
