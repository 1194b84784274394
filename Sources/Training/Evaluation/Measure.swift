import Diagnostics
public import Metrics

/// A value that an evaluation gives, by the name that it has in JSON.
public struct Measure: Sendable {
    public let name: String
    /// Whether of two models the better one has the greater value.
    public let isGreaterBetter: Bool
    /// Whether it is given where records have labels.
    public let isOfLabels: Bool
    /// What gives it of generated texts; nil where none does.
    public let textMetric: (any TextMetric.Type)?

    /// The loss, then those of labels, then those of texts; each name once.
    public static let all: [Measure] = {
        var measures = [
            Measure(name: "loss", isGreaterBetter: false, isOfLabels: true, textMetric: nil),
            Measure(name: "perplexity", isGreaterBetter: false, isOfLabels: false, textMetric: nil),
            Measure(name: "mse", isGreaterBetter: false, isOfLabels: true, textMetric: nil),
        ]
        let ofLabels = [
            "accuracy", "f1", "f1_macro", "f1_micro", "f1_weighted", "matthews_correlation", "pearson", "spearman",
        ]
        let ofTexts = textMetrics.flatMap { metric in metric.valueNames.map { (name: $0, metric: metric) } }
        for name in ofLabels + ofTexts.map(\.name).filter({ !ofLabels.contains($0) }) {
            measures.append(
                Measure(
                    name: name, isGreaterBetter: true, isOfLabels: ofLabels.contains(name),
                    textMetric: ofTexts.first { $0.name == name }?.metric))
        }
        return measures
    }()

    /// The measure of that name, before which `eval_` may stand.
    ///
    /// - Throws: A `Problem` without a place where there is none.
    public static func named(_ name: String) throws -> Measure {
        let plain = name.hasPrefix("eval_") ? String(name.dropFirst(5)) : name
        if let found = all.first(where: { $0.name == plain }) { return found }
        throw Problem("there is no measure '\(name)'; the measures are \(all.map(\.name).joined(separator: ", "))")
    }
}
