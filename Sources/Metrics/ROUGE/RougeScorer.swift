import Diagnostics

/// What of two texts a ROUGE score compares.
public enum RougeType: String, CaseIterable, Sendable {
    /// Tokens.
    case rouge1
    /// Pairs of neighbouring tokens.
    case rouge2
    /// The longest common subsequence of the whole texts.
    case rougeL
    /// The union of the longest common subsequences of each line of the reference with the prediction's lines.
    case rougeLsum
}

/// How much of the prediction (precision) and of the reference (recall) is common to both, from 0 to 1, and the harmonic
/// mean of the two (fmeasure).
public struct RougeScore: Equatable, Sendable {
    public var precision: Double
    public var recall: Double
    public var fmeasure: Double

    public init(precision: Double, recall: Double) {
        self.precision = precision
        self.recall = recall
        let sum = precision + recall
        fmeasure = sum > 0 ? 2 * precision * recall / sum : 0
    }

    init(common: Int, predicted: Int, expected: Int) {
        self.init(
            precision: Double(common) / Double(max(predicted, 1)), recall: Double(common) / Double(max(expected, 1)))
    }
}

public typealias RougeScores = [RougeType: RougeScore]

/// ROUGE scores as rouge_score 0.1.2 computes them (C.-Y. Lin, "ROUGE: a package for automatic evaluation of summaries",
/// 2004).
public struct RougeScorer: Sendable {
    public let types: [RougeType]
    /// Whether tokens of more than three characters are compared by their stems.
    public let useStemmer: Bool

    public init(types: [RougeType], useStemmer: Bool) {
        self.types = types
        self.useStemmer = useStemmer
    }

    /// The prediction's scores against the reference that it fits best: for each type apart, the first of those with the
    /// highest F-measure. There must be at least one reference.
    public func score(prediction: String, references: [String]) -> RougeScores {
        require(!references.isEmpty, "RougeScorer.score: no reference")
        var tokenizer = RougeTokenizer(useStemmer: useStemmer)
        let predicted = tokenizer.read(prediction)
        let expected = references.map { tokenizer.read($0) }
        var best: RougeScores = [:]
        for type in types {
            let grams = predicted.grams(type)
            for reference in expected {
                let score: RougeScore
                switch type {
                case .rouge1, .rouge2:
                    let others = reference.grams(type)
                    score = RougeScore(
                        common: commonCount(grams, others), predicted: grams.count, expected: others.count)
                case .rougeL:
                    score = RougeScore(
                        common: LongestCommonSubsequence.length(reference.tokens, predicted.tokens),
                        predicted: predicted.tokens.count, expected: reference.tokens.count)
                case .rougeLsum:
                    score = RougeScore(
                        common: unionCount(reference, predicted, tokenCount: tokenizer.tokenCount),
                        predicted: predicted.tokens.count, expected: reference.tokens.count)
                }
                if best[type].map({ score.fmeasure > $0.fmeasure }) ?? true { best[type] = score }
            }
        }
        return best
    }

    /// How many elements two sorted lists share, each as often as both hold it.
    private func commonCount(_ first: [UInt64], _ second: [UInt64]) -> Int {
        var (i, j, count) = (0, 0, 0)
        while i < first.count && j < second.count {
            if first[i] == second[j] {
                count += 1
                i += 1
                j += 1
            } else if first[i] < second[j] {
                i += 1
            } else {
                j += 1
            }
        }
        return count
    }

    /// The tokens in the unions of common subsequences (section 3.2 of the paper), none counted more often than either
    /// text holds it, as ROUGE 1.5.5 does.
    private func unionCount(_ reference: RougeText, _ prediction: RougeText, tokenCount: Int) -> Int {
        var leftInReference = [Int](repeating: 0, count: tokenCount)
        var leftInPrediction = leftInReference
        for token in reference.tokens { leftInReference[Int(token)] += 1 }
        for token in prediction.tokens { leftInPrediction[Int(token)] += 1 }
        var count = 0
        for sentence in reference.sentences {
            var isCommon = [Bool](repeating: false, count: sentence.count)
            for other in prediction.sentences {
                for index in LongestCommonSubsequence.indices(sentence, other) { isCommon[index] = true }
            }
            for (index, token) in sentence.enumerated() where isCommon[index] {
                let token = Int(token)
                guard leftInReference[token] > 0 && leftInPrediction[token] > 0 else { continue }
                leftInReference[token] -= 1
                leftInPrediction[token] -= 1
                count += 1
            }
        }
        return count
    }
}

extension RougeText {
    /// The text's tokens or pairs of tokens, packed and sorted; none for the other types.
    fileprivate func grams(_ type: RougeType) -> [UInt64] {
        switch type {
        case .rouge1: tokens.map { UInt64($0) }.sorted()
        case .rouge2: zip(tokens, tokens.dropFirst()).map { UInt64($0) << 32 | UInt64($1) }.sorted()
        case .rougeL, .rougeLsum: []
        }
    }
}
