/// `min_new_tokens`
struct MinimumNewTokens: LogitsProcessor {
    private let count: Int
    private let endIDs: Set<Int32>

    init?(_ settings: ProcessingSettings, endIDs: Set<Int32>) {
        if settings.minimumNewTokens == 0 || endIDs.isEmpty { return nil }
        (count, self.endIDs) = (settings.minimumNewTokens, endIDs)
    }

    func process(_ scores: UnsafeMutableBufferPointer<Float>, _ history: TokenHistory) {
        if history.newCount < count { scores.forbid(endIDs) }
    }
}
