import Batches
import Datasets
import JSONText
import Training

/// A line of predictions for a text that has a label.
struct LabelLine {
    let members: [JSONValue.Member]

    /// - Parameter scores: The outputs of the head, or log p of each label.
    init(_ scores: [Double], of index: Int, in dataset: Dataset, _ labels: LabelSet) throws {
        let predicted: JSONValue
        let expected: JSONValue
        switch try dataset.example(index).label {
        case .category(let label):
            let largest = scores.max() ?? 0
            predicted = .string(labels.names[scores.firstIndex(of: largest) ?? 0])
            expected = .string(labels.names[Int(label)])
        case .value(let value): (predicted, expected) = (.number(scores[0]), .number(Double(value)))
        case nil: (predicted, expected) = (nil, nil)
        }
        members = [
            .init("text", .string(try dataset.texts(of: index).given)), .init("prediction", predicted),
            .init("label", expected), .init("scores", .array(scores.map(JSONValue.number))),
        ]
    }

    /// Whether a line that is there already says the same.
    func isSame(as line: JSONNode) -> Bool {
        members.allSatisfy { line.member($0.key)?.plain.text(.compact) == $0.value.text(.compact) }
    }
}

extension LossSummary {
    /// All of it, for other processes.
    var text: String { "\(sum) \(tokens) \(examples)" }

    init?(text: String) {
        let parts = text.split(separator: " ")
        guard parts.count == 3, let sum = Double(parts[0]), let tokens = Int(parts[1]), let examples = Int(parts[2])
        else { return nil }
        self.init()
        (self.sum, self.tokens, self.examples) = (sum, tokens, examples)
    }
}

extension LabelAnswers {
    /// All of it, for other processes.
    var text: String {
        JSONValue.array([
            .number(lossSum), .array(predicted.map(JSONValue.integer)), .array(expected.map(JSONValue.integer)),
            .array(predictedValues.map(JSONValue.number)), .array(expectedValues.map(JSONValue.number)),
        ]).text(.compact)
    }

    init?(text: String) {
        self.init()
        guard let parts = try? JSONNode.parse(text).asArray(), parts.count == 5 else { return nil }
        lossSum = (try? parts[0].asNumber()) ?? 0
        predicted = (try? parts[1].asArray().map { try $0.asInteger() }) ?? []
        expected = (try? parts[2].asArray().map { try $0.asInteger() }) ?? []
        predictedValues = (try? parts[3].asArray().map { try $0.asNumber() }) ?? []
        expectedValues = (try? parts[4].asArray().map { try $0.asNumber() }) ?? []
    }
}
