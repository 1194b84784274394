/// `bad_words_ids`
struct BadWords: LogitsProcessor {
    private let words: [[Int32]]

    init?(_ settings: ProcessingSettings, endIDs: Set<Int32>) {
        // As transformers has it: what ends a text may come.
        words = settings.badWords.filter { !$0.isEmpty && !($0.count == 1 && endIDs.contains($0[0])) }
        if words.isEmpty { return nil }
    }

    func process(_ scores: UnsafeMutableBufferPointer<Float>, _ history: TokenHistory) {
        scores.forbid(words.filter { history.tokens.suffix($0.count - 1) == $0.dropLast() }.map { $0[$0.count - 1] })
    }
}
