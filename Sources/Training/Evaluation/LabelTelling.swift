import Batches
import Datasets
import Diagnostics
import Glibc
import Layers
import Models
import Tensors

/// What a model with a task's head says of one text.
public enum ToldLabel: Sendable, Hashable {
    /// The probability of each class, by its number.
    case classes([Double])
    case number(Double)

    /// Logits as probabilities, or the number that they are.
    init(_ outputs: [Float], _ labels: LabelSet) {
        if labels.isRegression {
            self = .number(Self.rounded(Double(outputs[0])))
            return
        }
        let largest = Double(outputs.max() ?? 0)
        let weights = outputs.map { exp(Double($0) - largest) }
        let total = weights.reduce(0, +)
        self = .classes(weights.map { Self.rounded($0 / total) })
    }

    /// The value in as many digits as a float has: the others would be noise.
    private static func rounded(_ value: Double) -> Double { Double("\(Float(value))") ?? value }
}

/// Tells the labels of texts, several in a pass.
///
/// What a text gets doesn't depend on the texts beside it.
///
/// - Parameters:
///   - texts: At least one token each, at most as many as the model takes.
///   - onAnswer: Called with a text's index, in their order.
/// - Throws: `Problem` where the outputs aren't finite.
public func tellLabels(
    of texts: [[Int32]], by base: BaseModel, onAnswer: (Int, ToldLabel) throws -> Void
) throws {
    guard let labels = base.labels else { defect("tellLabels: a model without a task's head") }
    let limit = SharedPass(base.model)
    let leading = base.model.prompt?.leadingCount ?? 0
    var next = 0
    while next < texts.count {
        var end = next
        var rows = 0
        while end < texts.count, end - next < limit.outputs,
            end == next || rows + texts[end].count + leading <= limit.rows
        {
            rows += texts[end].count + leading
            end += 1
        }
        let batch = base.model.batch(texts[next..<end].map { Example(tokens: $0, label: .category(0)) })
        let ends = batch.offsets.dropFirst().map { $0 - 1 }
        let outputs = base.model.logits(batch, rows: ends, .inference())
        for row in ends.indices {
            let values = withExtendedLifetime(outputs) { Array(outputs.row(row)) }
            if !values.allSatisfy(\.isFinite) { throw nonFiniteResult("an output", of: base.model) }
            try onAnswer(next + row, ToldLabel(values, labels))
        }
        next = end
    }
}
