import Batches
public import Datasets
import Diagnostics
import Layers
import Models
import Tensors
public import Tokenizers

/// Records that a language model is shown before each question: what prompting can do without training (Brown et al.
/// 2020). They stand one behind the other with a blank line after each.
public struct FewShot: Sendable {
    /// What ends a shown record, and what the model is to end its own with.
    public static let separator = "\n\n"

    /// Empty for no shots.
    public let text: String
    public let count: Int

    /// Chooses `count` examples of a data set by a seed; the same for every question.
    ///
    /// - Throws: `Problem` where there are fewer.
    public init(_ count: Int, of dataset: Dataset, seed: UInt64) throws {
        self.count = count
        if count > dataset.count {
            throw Problem("--shots \(count) is more than the training data has records (\(dataset.count))")
        }
        var text = ""
        for index in permutation(of: dataset.count, seed: seed, epoch: 0).prefix(count) {
            let record = try dataset.texts(of: Int(index))
            text += dataset.question(record.given) + record.wanted + Self.separator
        }
        self.text = text
    }

    /// The records as tokens, and what an example behind them ends with.
    public func encoded(_ tokenizer: any Tokenizer) -> ExampleEncoder.Shots {
        ExampleEncoder.Shots(
            tokens: tokenizer.encode(text), ending: tokenizer.encode(Self.separator), count: count)
    }

    /// The part of a generated text that is the answer.
    public static func answer(_ text: String) -> String {
        text.firstRange(of: separator).map { String(text[..<$0.lowerBound]) } ?? text
    }
}

extension Dataset {
    /// How a language model is asked: by the prompt, or by a text to be labelled with a line break behind it.
    func question(_ given: String) -> String { hasLabels ? given + "\n" : given }
}

/// Lets a language model choose a label for every example: the one that it would most probably write behind the text.
///
/// - Parameter onProgress: Called after each example with the number of examples done.
/// - Throws: `Problem` with file and line where a record can't be used, and where texts don't fit the model.
public func evaluateLabels(
    byPrompting base: BaseModel, on dataset: Dataset, labels: LabelSet, shots: FewShot?,
    onProgress: (Int) throws -> Void
) throws -> LabelAnswers {
    guard let tokenizer = base.tokenizer else { preconditionFailure("evaluateLabels: no tokenizer") }
    if labels.kind == .regression {
        throw Problem("a language model gives no numbers: only a trained head can be evaluated on them")
    }
    var answers = LabelAnswers()
    let context = shots.map { tokenizer.encode($0.text) } ?? []
    let endings = labels.names.map { tokenizer.encode($0) }
    let longest = endings.reduce(0) { max($0, $1.count) }
    for index in 0..<dataset.count {
        let (text, label) = try dataset.texts(of: index)
        let question = context + tokenizer.encode(dataset.question(text))
        if question.count + longest > base.model.maximumLength {
            let place = dataset.place(of: index)
            let advice = shots == nil ? "" : ": give fewer --shots"
            throw Problem(
                "\(question.count + longest) tokens are more than what the model takes "
                    + "(\(base.model.maximumLength))\(advice)", file: place?.file,
                position: place.map { TextPosition(line: $0.line, column: 1) })
        }
        guard let number = labels.number(of: label) else {
            _ = try dataset.example(index)
            preconditionFailure("evaluateLabels: a label that is none")
        }
        let scores = endings.map { ending in
            let example = Example(tokens: question + ending, firstTarget: question.count)
            return -base.model.loss(TokenBatch([example]), scale: 1, .inference()).sum
        }
        answers.add(scores, Int(number))
        try onProgress(index + 1)
    }
    return answers
}
