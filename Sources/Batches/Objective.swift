/// What is learned of a sequence, and thereby what a model's head is and what the labels of data are.
public enum Objective: Sendable, Hashable {
    /// The next token at every position, by the head over the vocabulary.
    case languageModel
    /// One of so many classes, by a linear layer without bias over the last position (`…ForSequenceClassification`).
    case classification(labels: Int)
    /// A number, by the same layer with one output.
    case regression

    /// The outputs of a head of its own; nil where the head is the language model's.
    public var outputCount: Int? {
        switch self {
        case .languageModel: nil
        case .classification(let labels): labels
        case .regression: 1
        }
    }
}
