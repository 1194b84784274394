public import Batches
public import Datasets
import Diagnostics
import Glibc
import Layers
public import Metrics
public import Models
public import Ranks
import Tensors

/// What a model with a task's head answered over a data set, in the order of its examples.
public struct LabelAnswers: Sendable, Hashable {
    /// The class of each text, by number, and the true one; empty for regression.
    public var predicted: [Int] = []
    public var expected: [Int] = []
    /// The number that each text got, and the true one; empty for classification.
    public var predictedValues: [Double] = []
    public var expectedValues: [Double] = []
    /// Σ −log p of the true class in nats, or Σ (y − t)².
    public var lossSum = 0.0
    /// The share of each label that goes to all of them alike in the loss.
    public var labelSmoothing = 0.0

    public init() {}

    public var count: Int { max(expected.count, expectedValues.count) }
    /// The mean over the examples.
    public var loss: Double { lossSum / Double(count) }

    /// Adds the outputs of the head for one example, which has a label.
    public mutating func add(_ outputs: [Double], of example: Example) {
        switch example.label {
        case .category(let label): add(outputs, Int(label))
        case .value(let target):
            let value = outputs[0]
            predictedValues.append(value)
            expectedValues.append(Double(target))
            lossSum += (value - Double(target)) * (value - Double(target))
        case nil: defect("LabelAnswers: an example without a label")
        }
    }

    /// Adds one text by the scores of the classes: logits, or logarithms of probabilities.
    public mutating func add(_ scores: [Double], _ label: Int) {
        let largest = scores.max() ?? 0
        var target = scores[label]
        if labelSmoothing > 0 {
            target = (1 - labelSmoothing) * target + labelSmoothing * scores.reduce(0, +) / Double(scores.count)
        }
        lossSum += largest - target + log(scores.reduce(0) { $0 + exp($1 - largest) })
        predicted.append(scores.firstIndex(of: largest) ?? 0)
        expected.append(label)
    }

    /// How well the classes were told; nil for regression.
    public func classification(_ labels: LabelSet) -> ClassificationScores? {
        if labels.isRegression { return nil }
        return ClassificationScores(predicted: predicted, expected: expected, classCount: labels.names.count)
    }

    /// The measures of these answers for `labels`, by the names that they have in JSON.
    public func scores(_ labels: LabelSet) -> [NamedScore] {
        if labels.isRegression {
            return [
                NamedScore("mse", loss), NamedScore("pearson", pearsonCorrelation(predictedValues, expectedValues)),
                NamedScore("spearman", spearmanCorrelation(predictedValues, expectedValues)),
            ]
        }
        guard let scores = classification(labels) else { return [] }
        return [NamedScore("accuracy", scores.accuracy)]
            + (scores.binaryF1.map { [NamedScore("f1", $0)] } ?? []) + [
                NamedScore("f1_macro", scores.macroF1), NamedScore("f1_micro", scores.microF1),
                NamedScore("f1_weighted", scores.weightedF1),
                NamedScore("matthews_correlation", scores.matthewsCorrelation),
            ]
    }
}

/// A measure and its name.
public struct NamedScore: Sendable, Hashable {
    public let name: String
    /// nil where it isn't defined, as a correlation with a constant.
    public let value: Double?

    public init(_ name: String, _ value: Double?) {
        self.name = name
        self.value = value
    }
}

/// Asks a model with a task's head about every example of a data set, in passes of about `rowsPerPass` tokens and at
/// most `examplesPerPass` examples; what those of a pass begin with in common is computed once.
///
/// - Parameters:
///   - ranks: The ranks that share the passes out, each of which gets all answers; no bit depends on them.
///   - known: What an evaluation that was interrupted had of the first examples.
///   - done: How many examples these are; on ranks that don't know their answers too.
///   - onAnswer: Called with each other example's number, in their order, and the outputs of the head for it.
///   - onProgress: Called now and then with the number of examples done.
/// - Throws: `Problem` with file and line where a record can't be used, and where an answer is no number.
public func evaluateLabels(
    of model: any LanguageModel, on dataset: Dataset, rowsPerPass: Int, examplesPerPass: Int = .max,
    goingOn known: LabelAnswers = LabelAnswers(), behind done: Int = 0, ranks: Communicator? = nil,
    onAnswer: (Int, [Double]) throws -> Void = { _, _ in }, onProgress: (Int) throws -> Void
) throws -> LabelAnswers {
    let answers = try measureLabels(
        of: model, on: dataset, rowsPerPass: rowsPerPass, examplesPerPass: examplesPerPass, sharingPrompts: true,
        goingOn: known, behind: done, ranks: ranks, onAnswer: onAnswer, onProgress: onProgress)
    if !answers.lossSum.isFinite { throw nonFiniteResult("the loss", of: model) }
    return answers
}

/// The same, whatever the answers are.
///
/// - Parameter kept: The states that each pass goes on from, in their order.
func measureLabels(
    of model: any LanguageModel, on dataset: Dataset, rowsPerPass: Int, examplesPerPass: Int, sharingPrompts: Bool,
    goingOn known: LabelAnswers = LabelAnswers(), behind done: Int = 0, ranks: Communicator?,
    startingFrom kept: ((TokenBatch) throws -> KeptStates)? = nil, labelSmoothing: Double = 0,
    onAnswer: (Int, [Double]) throws -> Void = { _, _ in }, onProgress: (Int) throws -> Void
) throws -> LabelAnswers {
    var answers = known
    var reached = done
    answers.labelSmoothing = labelSmoothing
    try forEachPass(
        over: dataset, rowsPerPass: rowsPerPass, examplesPerPass: examplesPerPass, behind: done, ranks: ranks,
        rows: \.passCount
    ) { examples in
        let batch = model.batch(examples, sharingPrompts: sharingPrompts)
        let context = ForwardContext.inference(startingFrom: try kept?(batch))
        return model.logits(batch, rows: batch.labelledRows, context).values.map(Double.init)
    } consume: { first, examples, outputs in
        let width = outputs.count / examples.count
        for (row, example) in examples.enumerated() where first + row >= done {
            let own = Array(outputs[row * width..<(row + 1) * width])
            answers.add(own, of: example)
            try onAnswer(first + row, own)
        }
        reached = first + examples.count
    } onProgress: {
        try onProgress(reached)
    }
    return answers
}
