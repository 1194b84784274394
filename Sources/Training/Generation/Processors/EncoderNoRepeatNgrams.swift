/// `encoder_no_repeat_ngram_size`
struct EncoderNoRepeatNgrams: LogitsProcessor {
    private let size: Int

    init?(_ settings: ProcessingSettings, endIDs: Set<Int32>) {
        if settings.encoderNoRepeatNgramSize == 0 { return nil }
        size = settings.encoderNoRepeatNgramSize
    }

    func process(_ scores: UnsafeMutableBufferPointer<Float>, _ history: TokenHistory) {
        scores.forbid(followers(of: history.tokens.suffix(size - 1), in: history.source, size))
    }
}
