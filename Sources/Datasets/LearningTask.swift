/// What is learned from the records, as a configuration says it; `Objective` has what follows from the labels too.
public enum LearningTask: String, CaseIterable, Sendable {
    /// To go on with a text.
    case causalLM = "causal_lm"
    /// To tell a text's label, or a number that it has.
    case sequenceClassification = "sequence_classification"
}
