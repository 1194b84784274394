import Configuration
import Datasets
import Methods

/// `README.md` of an output folder: what it holds and how to use it, with the front matter that the Hub reads.
struct ModelCard {
    static let fileName = "README.md"

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
        let library = type(of: configuration.method).library
        let isAdapter = if case .adapter = delivery { true } else { false }
        let isClassifier = configuration.task == .sequenceClassification
        let pipeline = isClassifier ? "text-classification" : "text-generation"
        var front = ["base_model: \(Self.yaml(base))", "pipeline_tag: \(pipeline)"]
        front +=
            isAdapter
            ? [
                "library_name: \(library)", "tags:", "- \(Self.yaml("base_model:adapter:\(base)"))",
                "- \(name)",
                "- transformers",
            ]
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
        ]
        if let labels = configuration.data.labels {
            lines.append(
                "| labels | \(labels.enumerated().map { "\($0.offset): \($0.element)" }.joined(separator: ", ")) |")
        }
        let evaluation = "peft eval --data FILE"
        lines += [
            "",
            "`training_config.yaml` holds the whole configuration, `metrics.jsonl` the course of the training.",
            "",
            "```",
            (isClassifier ? evaluation : "peft generate")
                + (isAdapter
                    ? " --base \(Self.word(base)) --adapter \(Self.word(training.outputFolder))"
                    : " --base \(Self.word(training.outputFolder))"),
            "```",
        ]
        return lines.joined(separator: "\n") + "\n"
    }

    private static func yaml(_ text: String) -> String { ConfigValue.string(text).flow() }

    /// Text as one word of a shell's command.
    private static func word(_ text: String) -> String {
        let plain = text.utf8.allSatisfy { byte in
            byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z")
                || byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
                || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") || "/._-+,:@%=".utf8.contains(byte)
        }
        return plain && !text.isEmpty
            ? text
            : "'"
                + text.split(separator: "'", omittingEmptySubsequences: false)
                .joined(separator: "'\\''") + "'"
    }
}
