import Batches
import Datasets

/// An example token by token, as a run sees it.
public struct TokenSample: Sendable, Hashable {
    public struct Token: Sendable, Hashable {
        public let id: Int32
        /// How the token is spelt.
        public let text: String
        /// Whether it takes part in the loss.
        public let isLearned: Bool
    }

    /// Where the record stands; nil for blocks of several.
    public let file: String?
    public let line: Int?
    public let tokens: [Token]

    public var learnedCount: Int { tokens.count { $0.isLearned } }
}

extension Trainer {
    /// The first examples of the training data, in the order of the files, token by token.
    public func samples(_ count: Int) throws -> [TokenSample] {
        let dataset = batches.dataset
        let codec = try base.codec()
        return try (0..<min(count, dataset.count)).map { index in
            let example = try dataset.example(index)
            let place = dataset.place(of: index)
            let source = example.source ?? []
            var learned = Array(repeating: false, count: example.tokenCount)
            for span in example.targets { for token in span { learned[source.count + token] = true } }
            return TokenSample(
                file: place?.file, line: place?.line,
                tokens: zip(source + example.tokens, learned).map { id, isLearned in
                    TokenSample.Token(
                        id: id, text: id < 0 ? "[P]" : codec.spelling(of: id), isLearned: isLearned)
                })
        }
    }
}
