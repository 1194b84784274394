import Configuration
import Datasets
import Diagnostics

/// What the `training` section says of the best of a run's models: by which measure it is known, whether it is what the
/// run delivers, and after how many evaluations without a better one the run ends. As `transformers` has them.
public struct BestSettings: Sendable, Hashable {
    /// Whether the best model is delivered rather than the last.
    public var isDelivered: Bool
    /// The measure, without the `eval_` that its name may begin with.
    public var metric: String
    public var greaterIsBetter: Bool
    /// Evaluations in a row without a better model, after which the run ends; nil for no end.
    public var patience: Int?
    /// What a measure must be better by to count against patience.
    public var threshold: Double
    public var evaluatesOnStart: Bool
    /// Whether any of it is asked for.
    public var isTracked: Bool
    /// Whether each model that is better than all before is saved and kept, as `save_strategy: best` has it.
    public var isSaved: Bool

    private static let metricKey = "metric_for_best_model"
    private static let patienceKey = "early_stopping_patience"

    /// - Parameter isSaved: Whether `save_strategy` is `best`.
    init(_ section: ConfigSection, isSaved: Bool) {
        self.isSaved = isSaved
        isDelivered = section.bool("load_best_model_at_end", default: false)
        let given = section.optionalString(Self.metricKey)
        let name = given.map { $0.hasPrefix("eval_") ? String($0.dropFirst("eval_".count)) : $0 } ?? "loss"
        metric = name == "matthews" ? "matthews_correlation" : name
        greaterIsBetter =
            section.optionalBool("greater_is_better") ?? !(metric.hasSuffix("loss") || metric == "mse")
        patience = section.optionalInt(Self.patienceKey, in: 1...Int(Int32.max))
        threshold = section.optionalDouble("early_stopping_threshold", in: 0...) ?? 0
        evaluatesOnStart = section.bool("eval_on_start", default: false)
        isTracked = isDelivered || isSaved || patience != nil || given != nil
        if section.has("early_stopping_threshold"), patience == nil {
            section.record("goes with \(Self.patienceKey), which isn't set", at: "early_stopping_threshold")
        }
        if section.has("greater_is_better"), !isTracked {
            section.record(
                "goes with load_best_model_at_end, \(Self.patienceKey) or \(Self.metricKey), of which none is set",
                at: "greater_is_better")
        }
    }

    /// Those of its keys that need evaluations, as far as they are set.
    func evaluatingKeys(_ section: ConfigSection) -> [String] {
        let keys: [(key: String, isSet: Bool)] = [
            ("load_best_model_at_end", isDelivered), (Self.patienceKey, patience != nil),
            (Self.metricKey, section.has(Self.metricKey)), ("eval_on_start", evaluatesOnStart),
            ("save_strategy", isSaved),
        ]
        return keys.filter(\.isSet).map { $0.key }
    }

    /// Throws `Problems` where there is nothing to evaluate on, or the measure is none of `names`.
    func check(_ section: ConfigSection, hasValidation: Bool, measures names: [String]) throws {
        if !hasValidation {
            let problems = evaluatingKeys(section).map {
                section.problem("needs data to evaluate on: give data.validation or data.validation_fraction", at: $0)
            }
            if !problems.isEmpty { throw Problems(problems) }
        }
        if isTracked, !names.contains(metric) {
            throw Problems([
                section.problem(
                    "nothing here is measured by '\(metric)'; there are \(names.joined(separator: ", "))",
                    at: Self.metricKey)
            ])
        }
    }

    /// The measures that an evaluation has, by their names without `eval_`.
    static func measures(_ labels: LabelSet?) -> [String] {
        guard let labels else { return ["loss"] }
        if labels.isRegression { return ["loss", "mse", "pearson", "spearman"] }
        return ["loss", "accuracy"] + (labels.names.count == 2 ? ["f1"] : []) + [
            "f1_macro", "f1_micro", "f1_weighted", "matthews_correlation",
        ]
    }
}
