/// What is learned from the records, as a configuration says it; `Objective` has what follows from the labels too.
public enum LearningTask: String, CaseIterable, Sendable {
    /// To go on with a text.
    case causalLM = "causal_lm"
    /// To write what is wanted of a text that an encoder has read; any model with an encoder does, whether it is said or not.
    case sequenceToSequenceLM = "seq_2_seq_lm"
    /// To tell a text's label, or a number that it has.
    case sequenceClassification = "sequence_classification"
}
