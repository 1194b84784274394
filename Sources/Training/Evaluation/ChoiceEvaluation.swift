import Batches
public import Datasets
import Diagnostics
public import JSONText
import Layers
import Models
import Tensors

/// By what the log probability of a choice is divided before choices are compared: longer ones are less probable.
public enum ChoiceNormalization: String, CaseIterable, Sendable {
    case none, tokens, bytes
}

/// How probable a language model found each of the answers to a question.
public struct ChoiceAnswer: Sendable, Hashable {
    public let choices: [String]
    /// ln p of each behind the question.
    public let logProbabilities: [Double]
    /// The tokens of each.
    public let tokenCounts: [Int]
    /// The right one.
    public let answer: Int

    /// The most probable one; of equals the first.
    public func chosen(_ normalization: ChoiceNormalization) -> Int {
        var best = (index: 0, score: -Double.infinity)
        for (index, value) in logProbabilities.enumerated() {
            let score =
                switch normalization {
                case .none: value
                case .tokens: value / Double(max(tokenCounts[index], 1))
                case .bytes: value / Double(max(choices[index].utf8.count, 1))
                }
            if score > best.score { best = (index, score) }
        }
        return best.index
    }

    /// What a line of predictions says of it.
    public func members(_ normalization: ChoiceNormalization) -> [JSONValue.Member] {
        [
            .init("prediction", .string(choices[chosen(normalization)])), .init("reference", .string(choices[answer])),
            .init("choices", .array(choices.map(JSONValue.string))),
            .init("log_probabilities", .array(logProbabilities.map(JSONValue.number))),
            .init("token_counts", .array(tokenCounts.map(JSONValue.integer))), .init("answer", .integer(answer)),
        ]
    }

    /// Reads what `members` wrote; nil where that isn't of these choices.
    public init?(_ line: JSONNode, _ expected: Choices) throws {
        choices = try line.array("choices").map { try $0.asString() }
        logProbabilities = try line.array("log_probabilities").map { try $0.asNumber() }
        tokenCounts = try line.array("token_counts").map { try $0.asInteger() }
        answer = try line.integer("answer")
        let isSame = answer == expected.answer && choices.elementsEqual(expected.texts, by: sameBytes)
        if !isSame || logProbabilities.count != choices.count || tokenCounts.count != choices.count { return nil }
    }

    /// The log probabilities, and then the tokens, of each choice.
    public var numbers: [Double] { logProbabilities + tokenCounts.map(Double.init) }

    /// - Parameter numbers: As `numbers` gives them.
    public init(_ choices: Choices, numbers: [Double]) {
        self.choices = choices.texts
        logProbabilities = Array(numbers.prefix(choices.texts.count))
        tokenCounts = numbers.dropFirst(choices.texts.count).map { Int($0) }
        answer = choices.answer
    }
}

/// How often the right answer was chosen.
public struct ChoiceScores: Sendable, Hashable {
    public private(set) var count = 0
    private let normalization: ChoiceNormalization
    private var right = [Int](repeating: 0, count: ChoiceNormalization.allCases.count)
    /// The sum of what guessing would get.
    private var guessed = 0.0

    public init(_ normalization: ChoiceNormalization) { self.normalization = normalization }

    public mutating func add(_ answer: ChoiceAnswer) {
        count += 1
        for (index, normalization) in ChoiceNormalization.allCases.enumerated()
        where answer.chosen(normalization) == answer.answer { right[index] += 1 }
        guessed += 1 / Double(answer.choices.count)
    }

    private func share(_ normalization: ChoiceNormalization) -> Double {
        let index = ChoiceNormalization.allCases.firstIndex(of: normalization) ?? 0
        return Double(right[index]) / Double(max(count, 1))
    }

    /// `accuracy` by the normalization that was asked for, `acc` by none and `acc_norm` by bytes, as they are called
    /// elsewhere, and what guessing gets.
    public var scores: [NamedScore] {
        [
            NamedScore("accuracy", share(normalization)), NamedScore("acc", share(.none)),
            NamedScore("acc_norm", share(.bytes)), NamedScore("chance", guessed / Double(max(count, 1))),
        ]
    }
}

/// Asks a language model how probable the answers to a question are.
public struct ChoiceQuestions {
    private let base: BaseModel
    private let dataset: Dataset
    private let codec: TextCodec
    private let prompts: PromptCodec
    private let shots: FewShot?
    /// Whether questions that the model can't take are left out.
    private let drops: Bool

    public init(
        _ base: BaseModel, _ dataset: Dataset, _ prompts: PromptCodec, shots: FewShot?, hasPlaces: Bool, drops: Bool
    ) throws {
        self.base = base
        self.dataset = dataset
        self.prompts = prompts
        self.shots = shots
        self.drops = drops
        codec = try base.codec(hasPlaces: hasPlaces)
    }

    /// The tokens of question `index` and of each completion; nil where they are too long and such are left out.
    ///
    /// - Throws: `Problem` with file and line where the question can't be asked.
    private func tokens(_ index: Int) throws -> (question: [Int32], endings: [[Int32]], choices: Choices)? {
        let (prompt, choices, completions) = try dataset.choices(of: index)
        func problem(_ message: String) -> Problem {
            let place = dataset.place(of: index)
            return Problem(message, file: place?.file, position: place.map { TextPosition(line: $0.line, column: 1) })
        }
        let question: [Int32]
        do {
            question = try prompts.ids(of: prompt)
        } catch let found as Problem where found.file == nil {
            throw problem(found.message)
        }
        let endings = completions.map { codec.ids(of: $0, isContinuation: codec.answerOpening == nil) }
        if let empty = endings.firstIndex(where: \.isEmpty) {
            throw problem("the choice '\(choices.texts[empty])' has no tokens, so that the model can't be asked for it")
        }
        if let complaint = codec.complaint(about: endings.joined()) { throw problem(complaint) }
        let longest = endings.reduce(0) { max($0, $1.count) }
        let length = codec.answerOpening == nil ? question.count + longest : max(question.count, longest)
        let limit = base.model.maximumLength - (codec.answerOpening == nil ? 0 : 1)
        if length > limit {
            if drops { return nil }
            throw problem(
                "\(length) tokens are more than what the model takes (\(limit))"
                    + (shots == nil ? "" : ": give fewer --shots"))
        }
        return (question, endings, choices)
    }

    /// The numbers of the questions that can be asked.
    ///
    /// - Throws: `Problem` with file and line where one can't, and where none can.
    public func usable() throws -> [Int] {
        let found = try (0..<dataset.count).filter { try tokens($0) != nil }
        if found.isEmpty { throw Problem("all \(dataset.count) questions are longer than the model takes") }
        return found
    }

    /// The prompt of question `index`, and its choices.
    public func question(_ index: Int) throws -> (prompt: String, choices: Choices) {
        let (prompt, choices, _) = try dataset.choices(of: index)
        return (prompt.source, choices)
    }

    /// What the model says to question `index`, which is one of the usable ones.
    public func answer(_ index: Int) throws -> ChoiceAnswer {
        guard let (question, endings, choices) = try tokens(index) else {
            defect("ChoiceQuestions.answer: a question that is too long")
        }
        let values = endings.map { ending in
            let example = codec.example(given: question, wanted: ending)
            return -base.model.loss(base.model.batch([example]), scale: 1, .inference()).sum
        }
        if !values.allSatisfy(\.isFinite) { throw nonFiniteResult("the loss", of: base.model) }
        return ChoiceAnswer(choices, numbers: values + endings.map { Double($0.count) })
    }
}
