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

/// Asks a language model how probable the answers to questions are. Each prompt is computed once for all its answers, and what
/// prompts begin with alike once for many of them.
public struct ChoiceQuestions {
    private struct Question {
        let prompt: String
        let ids: [Int32]
        let endings: [[Int32]]
        let choices: Choices
    }

    /// Questions that are put into passes together; what an answer is doesn't depend on where an evaluation went on.
    public static let atOnce = LabelPrompting.textsAtOnce

    private let base: BaseModel
    private let question: (Int) throws -> Question?
    private let prompting: LabelPrompting
    /// The numbers of the questions that can be asked.
    private let usable: [Int]

    /// How many questions can be asked.
    public var count: Int { usable.count }

    /// - Parameter drops: Whether questions that the model can't take are left out.
    /// - Throws: `Problem` with file and line where a question can't be asked, and where none can.
    public init(
        _ base: BaseModel, _ dataset: Dataset, _ prompts: PromptCodec, shots: FewShot?, hasPlaces: Bool, drops: Bool
    ) throws {
        self.base = base
        let codec = try base.codec(hasPlaces: hasPlaces)
        let question = { index in
            try Self.tokens(index, base, dataset, codec, prompts, shots: shots, drops: drops)
        }
        self.question = question
        usable = try (0..<dataset.count).filter { try question($0) != nil }
        if usable.isEmpty { throw Problem("all \(dataset.count) questions are longer than the model takes") }
        prompting = LabelPrompting(
            base.model, opening: codec.answerOpening,
            texts: try usable.prefix(Self.atOnce).compactMap { try question($0)?.ids })
    }

    /// Question `index` with its completions as tokens; nil where they are too long and such are left out.
    ///
    /// - Throws: `Problem` with file and line where the question can't be asked.
    private static func tokens(
        _ index: Int, _ base: BaseModel, _ dataset: Dataset, _ codec: TextCodec, _ prompts: PromptCodec,
        shots: FewShot?,
        drops: Bool
    ) throws -> Question? {
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
        return Question(prompt: prompt.source, ids: question, endings: endings, choices: choices)
    }

    /// The prompt of a question, and its choices; here and below questions are numbered among those that can be asked.
    public func question(_ number: Int) throws -> (prompt: String, choices: Choices) {
        let question = try asked(number)
        return (question.prompt, question.choices)
    }

    private func asked(_ number: Int) throws -> Question {
        guard let question = try question(usable[number]) else { defect("ChoiceQuestions: one that is too long") }
        return question
    }

    /// The passes of those questions that stand together with one, in their order.
    public func passes(with number: Int) throws -> [Range<Int>] {
        let start = number / Self.atOnce * Self.atOnce
        let end = min(start + Self.atOnce, count)
        let texts = try (start..<end).map { try asked($0).ids }
        var passes: [Range<Int>] = []
        var first = 0
        while first < texts.count {
            let next = prompting.passEnd(texts, from: first)
            passes.append(start + first..<start + next)
            first = next
        }
        return passes
    }

    /// What the model says to the questions of a pass.
    public func answers(_ pass: Range<Int>) throws -> [ChoiceAnswer] {
        let questions = try pass.map(asked)
        let losses = prompting.losses(behind: questions.map(\.ids), endings: questions.map(\.endings))
        return try zip(questions, losses).map { question, losses in
            if !losses.allSatisfy(\.isFinite) { throw nonFiniteResult("the loss", of: base.model) }
            return ChoiceAnswer(
                question.choices, numbers: losses.map(-) + question.endings.map { Double($0.count) })
        }
    }
}
