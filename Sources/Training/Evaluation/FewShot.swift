import Batches
public import Datasets
import Diagnostics
import Layers
import Models
public import Ranks
import Tensors
import Tokenizers

/// Records that a language model is shown before each question: what prompting can do without training (Brown et al.
/// 2020). They stand one behind the other with a blank line after each.
public struct FewShot: Sendable {
    /// What ends a shown record, and what the model is to end its own with.
    public static let separator = "\n\n"

    /// Empty for no shots.
    public let text: String
    public let count: Int

    /// Which records were passed over because they are too long; nil where there were none.
    public let note: String?

    /// Chooses `count` records of a run's training data by a seed; the same for every question. Records that are longer
    /// than the run or the model takes are passed over.
    ///
    /// - Parameter encoder: Makes examples of any length for the model.
    /// - Throws: `Problem` where there are fewer.
    public init(
        _ count: Int, for base: BaseModel, _ settings: DataSettings, encoder: ExampleEncoder, seed: UInt64
    ) throws {
        let own = base.model.maximumLength
        let length = min(settings.maximumLength ?? own, own)
        let name =
            settings.maximumLength == length
            ? "data.max_length"
            : ExampleEncoder.limitName(besideVirtualTokens: base.model.prompt?.positionOffset ?? 0)
        let dataset = try Dataset(paths: settings.train, encoder: encoder)
        self.count = count
        var (text, chosen, tooLong) = ("", 0, 0)
        for index in permutation(of: dataset.count, seed: seed, epoch: 0) {
            if chosen == count { break }
            if try dataset.example(Int(index)).tokenCount > length {
                tooLong += 1
                continue
            }
            let record = try dataset.texts(of: Int(index))
            text += dataset.question(record.given) + record.wanted + Self.separator
            chosen += 1
        }
        if chosen < count {
            let reason = tooLong == 0 ? "" : " not longer than \(name) (\(length))"
            throw Problem("--shots \(count) is more than the training data has records\(reason) (\(chosen))")
        }
        note =
            tooLong == 0
            ? nil : "--shots: passed over \(tooLong) record\(tooLong == 1 ? "" : "s") longer than \(name) (\(length))"
        self.text = text
    }

    /// The records as tokens, and what an example behind them ends with.
    public func encoded(_ codec: TextCodec) -> ExampleEncoder.Shots {
        ExampleEncoder.Shots(
            tokens: codec.opening(text),
            ending: codec.answerOpening == nil ? codec.ids(of: Self.separator, isContinuation: true) : codec.ending,
            count: count)
    }

    /// The part of a generated text that is the answer.
    public static func answer(_ text: String) -> String {
        text.firstRange(of: separator).map { String(text[..<$0.lowerBound]) } ?? text
    }
}

/// What a language model that is asked for labels reads beside the texts.
public enum LabelQuestions {
    /// The tokens of the shots, of the line break behind a text and of the longest label.
    public static func reserve(for labels: LabelSet, _ shots: FewShot?, _ codec: TextCodec) -> Int {
        func count(_ text: String) -> Int { codec.ids(of: text, isContinuation: true).count }
        let longest = labels.names.reduce(0) { max($0, count($1)) }
        let shown = shots.map { codec.ids(of: $0.text, isContinuation: false).count } ?? 0
        return shown + count("\n") + longest
    }
}

extension Dataset {
    /// How a language model is asked: by the prompt, or by a text to be labelled with a line break behind it.
    func question(_ given: String) -> String { hasLabels ? given + "\n" : given }
}

/// Lets a language model choose a label for every example: the one that it would most probably write behind the text.
///
/// - Parameters:
///   - ranks: The ranks that share the examples out, each of which gets all answers; no bit depends on them.
///   - known: What an evaluation that was interrupted had of the first examples.
///   - done: How many examples these are; on ranks that don't know their answers too.
///   - onAnswer: Called with each other example's number, in their order, and log p of the labels behind it.
///   - onProgress: Called after some passes with the number of examples done.
/// - Throws: `Problem` with file and line where a record can't be used, and where texts don't fit the model.
public func evaluateLabels(
    byPrompting base: BaseModel, on dataset: Dataset, labels: LabelSet, shots: FewShot?,
    goingOn known: LabelAnswers = LabelAnswers(), behind done: Int = 0, ranks: Communicator? = nil,
    onAnswer: (Int, [Double]) throws -> Void = { _, _ in }, onProgress: (Int) throws -> Void
) throws -> LabelAnswers {
    let codec = try base.codec()
    if labels.isRegression {
        throw Problem("a language model gives no numbers: only a trained head can be evaluated on them")
    }
    let context = shots.map { codec.opening($0.text) } ?? []
    let endings = labels.names.map { codec.ids(of: $0, isContinuation: codec.answerOpening == nil) }
    if let index = endings.firstIndex(where: \.isEmpty) {
        throw Problem(
            "the label '\(labels.names[index])' has no tokens, so that a language model can't be asked for it: only a "
                + "trained head can tell it")
    }
    let longest = endings.reduce(0) { max($0, $1.count) }
    func question(_ index: Int) throws -> (tokens: [Int32], label: Int) {
        let (text, label) = try dataset.texts(of: index)
        func problem(_ message: String) -> Problem {
            let place = dataset.place(of: index)
            return Problem(message, file: place?.file, position: place.map { TextPosition(line: $0.line, column: 1) })
        }
        let own = dataset.question(text)
        var question = shots == nil ? codec.opening(own) : context + codec.ids(of: own, isContinuation: true)
        if codec.answerOpening != nil { question += codec.suffix }
        // As an empty prompt: it begins with the end of another text.
        if question.isEmpty { question = codec.ending }
        if question.isEmpty { throw problem("the text is empty, and the model has no token to begin a text with") }
        if let complaint = codec.complaint(about: question + endings.joined()) { throw problem(complaint) }
        if question.count + longest > base.model.maximumLength {
            let advice = shots == nil ? "" : ": give fewer --shots"
            throw problem(
                "\(question.count + longest) tokens are more than what the model takes "
                    + "(\(base.model.maximumLength))\(advice)")
        }
        guard let number = labels.number(of: label) else {
            _ = try dataset.example(index)
            defect("evaluateLabels: a label that is none")
        }
        return (question, Int(number))
    }
    var answers = known
    let atOnce = LabelPrompting.textsAtOnce
    // Of the first ones, wherever an evaluation goes on.
    let prompting = LabelPrompting(
        base.model, opening: codec.answerOpening,
        texts: try (0..<min(dataset.count, atOnce)).map { try question($0).tokens })
    for start in stride(from: done / atOnce * atOnce, to: dataset.count, by: atOnce) {
        let questions = try (start..<min(dataset.count, start + atOnce)).map(question)
        let texts = questions.map(\.tokens)
        var passes: [Range<Int>] = []
        while let first = passes.isEmpty ? 0 : passes.last?.upperBound, first < texts.count {
            passes.append(first..<prompting.passEnd(texts, from: first))
        }
        passes.removeAll { start + $0.upperBound <= done }
        // Ranks share out whole passes, so that each has the bits that it has in one process.
        let found = try ranks.map(passes.count) { pass in
            let losses = prompting.losses(behind: texts[passes[pass]], endings: endings).flatMap { $0 }
            if !losses.allSatisfy(\.isFinite) { throw nonFiniteResult("the loss", of: base.model) }
            return losses
        }
        for (pass, losses) in zip(passes, found) {
            for (row, place) in pass.enumerated() where start + place >= done {
                let scores = losses[row * endings.count..<(row + 1) * endings.count].map(-)
                answers.add(scores, questions[place].label)
                try onAnswer(start + place, scores)
            }
        }
        try onProgress(start + texts.count)
    }
    return answers
}
