public import Datasets
import Diagnostics

extension Dataset {
    /// How many examples there are and what became of the other records, in one line for people.
    public var summary: String {
        var text = "\(count.grouped) examples of \(counts.records.grouped) records"
        if counts.dropped > 0 { text += ", \(counts.dropped.grouped) dropped" }
        if counts.truncated > 0 { text += ", \(counts.truncated.grouped) truncated" }
        return text + ", \(counts.tokens.grouped) tokens"
    }

    /// What is learned of the examples: their classes with how many each has, numbers, or what ends each text.
    func targetSummary(_ labels: LabelSet?) -> String? {
        guard let labels else { return endSummary }
        if labels.isRegression {
            guard let values = counts.values else { return nil }
            return "labels: numbers from \(values.lowerBound) to \(values.upperBound), learned as such "
                + "(problem_type: regression)"
        }
        let most = 20
        let names = zip(labels.names, counts.ofClass).prefix(most).map { "\($0) (\($1))" }
        let more = labels.names.count > most ? " and \(labels.names.count - most) more" : ""
        return "labels: \(names.joined(separator: ", "))\(more)"
    }
}

extension BatchSequence {
    /// How examples stand together by their prompts, for people; nil where they don't.
    var groupingSummary: String? {
        grouping.map {
            "grouped by prompt: \($0.promptCount.grouped) prompts, each of them whole in a batch of \(batchSize.grouped) where "
                + "it fits; the prompts \($0.isShuffled ? "are shuffled, and the records of each" : "keep their order")"
        }
    }
}

extension DataSettings {
    /// What is doubtful about the data, though it can be used.
    func warnings(on dataset: Dataset, _ labels: LabelSet?) -> [Problem] {
        func warning(_ message: String, key: String?) -> Problem {
            Problem(message, file: train.first, key: key, severity: .warning)
        }
        return (labels?.lookalikes ?? []).map { first, second in
            warning(
                "the labels '\(first)' and '\(second)' differ in case, spaces or the form of their characters alone, and are learned as two",
                key: nil
            )
        } + dataset.warnings
    }
}
