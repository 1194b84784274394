/// `min_length`
struct MinimumLength: LogitsProcessor {
    private let length: Int
    private let endIDs: Set<Int32>

    init?(_ settings: ProcessingSettings, endIDs: Set<Int32>) {
        if settings.minimumLength == 0 || endIDs.isEmpty { return nil }
        (length, self.endIDs) = (settings.minimumLength, endIDs)
    }

    func process(_ scores: UnsafeMutableBufferPointer<Float>, _ history: TokenHistory) {
        if history.tokens.count < length { scores.forbid(endIDs) }
    }
}
