/// What the scores of the next token are changed by before it is chosen; by the names of transformers' `generate`, which are
/// off as they stand here.
public struct ProcessingSettings: Sendable, Hashable {
    /// Scores of tokens that stand in the text already are divided by it, negative ones multiplied (Keskar et al. 2019).
    public var repetitionPenalty = 1.0
    /// The same the other way round for the prompt's tokens.
    public var encoderRepetitionPenalty = 1.0
    /// No so many tokens in a row come twice; 0 for any.
    public var noRepeatNgramSize = 0
    /// No so many tokens in a row come that the prompt has; 0 for any.
    public var encoderNoRepeatNgramSize = 0
    /// Sequences of tokens that never come.
    public var badWords: [[Int32]] = []
    /// Nothing ends before the text has so many tokens, the prompt's included where the model goes on from it.
    public var minimumLength = 0
    /// Nothing ends before so many tokens have come.
    public var minimumNewTokens = 0

    public init() {}
}

/// A sequence that is continued, as far as it is.
package struct TokenHistory {
    /// What the model goes on from and what came.
    package var tokens: [Int32]
    /// How many of them came.
    package var newCount: Int
    /// The prompt.
    package var source: [Int32]

    package init(tokens: [Int32], newCount: Int, source: [Int32]) {
        (self.tokens, self.newCount, self.source) = (tokens, newCount, source)
    }
}

/// Changes the scores of the next token: logits, or their logarithms of probabilities where beams are searched.
package protocol LogitsProcessor: Sendable {
    /// nil where the settings don't ask for it.
    ///
    /// - Parameter endIDs: The tokens of which each ends a text.
    init?(_ settings: ProcessingSettings, endIDs: Set<Int32>)

    func process(_ scores: UnsafeMutableBufferPointer<Float>, _ history: TokenHistory)
}

/// All of them, in transformers' order.
package let logitsProcessors: [any LogitsProcessor.Type] = [
    EncoderRepetitionPenalty.self, RepetitionPenalty.self, NoRepeatNgrams.self, EncoderNoRepeatNgrams.self,
    BadWords.self,
    MinimumLength.self, MinimumNewTokens.self,
]

extension UnsafeMutableBufferPointer<Float> {
    /// The tokens can't come; ids that the scores don't reach, as of virtual tokens, are passed over.
    func forbid(_ tokens: some Sequence<Int32>) {
        for token in tokens where indices.contains(Int(token)) { self[Int(token)] = -.infinity }
    }

    /// Divides the scores of tokens by `penalty`, and multiplies negative ones with it; each once.
    func penalise(_ tokens: [Int32], by penalty: Float) {
        for token in Set(tokens) where indices.contains(Int(token)) {
            let score = self[Int(token)]
            self[Int(token)] = score < 0 ? score * penalty : score / penalty
        }
    }
}
