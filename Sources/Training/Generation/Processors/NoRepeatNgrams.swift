/// `no_repeat_ngram_size`
struct NoRepeatNgrams: LogitsProcessor {
    private let size: Int

    init?(_ settings: ProcessingSettings, endIDs: Set<Int32>) {
        if settings.noRepeatNgramSize == 0 { return nil }
        size = settings.noRepeatNgramSize
    }

    func process(_ scores: UnsafeMutableBufferPointer<Float>, _ history: TokenHistory) {
        scores.forbid(followers(of: history.tokens.suffix(size - 1), in: history.tokens, size))
    }
}

/// The tokens that complete a sequence of `size` in `tokens` which begins with `beginning`.
func followers(of beginning: ArraySlice<Int32>, in tokens: [Int32], _ size: Int) -> [Int32] {
    if beginning.count < size - 1 || tokens.count < size { return [] }
    return (size - 1..<tokens.count).filter { tokens[($0 - size + 1)..<$0] == beginning }.map { tokens[$0] }
}
