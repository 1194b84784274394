import Datasets
import Methods

/// `README.md` of an output folder: what it holds and how to use it, with the front matter that the Hub reads.
struct ModelCard {
    private let configuration: RunConfiguration
    private let delivery: Delivery

    init(_ configuration: RunConfiguration, _ delivery: Delivery) {
        self.configuration = configuration
        self.delivery = delivery
    }

    var text: String {
        let base = configuration.modelPath
        let name = configuration.methodName
        let training = configuration.training
        let isAdapter = if case .adapter = delivery { true } else { false }
        var front = ["base_model: \(base)", "pipeline_tag: text-generation"]
        front +=
            isAdapter
            ? ["library_name: peft", "tags:", "- base_model:adapter:\(base)", "- \(name)", "- transformers"]
            : ["library_name: transformers"]
        var lines = ["---"] + front + ["---", ""]
        lines += [
            isAdapter
                ? "An adapter for `\(base)`, trained with the method `\(name)`."
                : "A model trained from `\(base)` with all its parameters.",
            "",
            "| setting | value |", "|---|---|",
            "| data | \(configuration.data.train.joined(separator: ", ")) |",
            "| learning rate | \(training.learningRate), \(training.schedule.rawValue) |",
            "| batch | \(training.batchSize) × \(training.accumulation) |",
            "| seed | \(training.seed) |",
            "",
            "`training_config.yaml` holds the whole configuration, `metrics.jsonl` the course of the training.",
            "",
            "```",
            isAdapter
                ? "peft generate --base \(base) --adapter \(training.outputFolder)"
                : "peft generate --base \(training.outputFolder)",
            "```",
        ]
        return lines.joined(separator: "\n") + "\n"
    }
}
