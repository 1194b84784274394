import Diagnostics
import Configuration
import Datasets
import Files
import JSONText
import Methods

/// `README.md` of an output folder: what it holds, how to use it, and how it was made, with the front matter that the Hub
/// reads.
struct ModelCard {
    static let fileName = "README.md"

    /// What a run knows at its end beside its configuration.
    struct Facts {
        var isAdapter: Bool
        /// Why the adapter can't be merged; nil where it can, and for a model.
        var mergeObstacle: String?
        /// Why peft doesn't load it as it was trained; nil where it does, as far as the model matters.
        var formObstacle: String?
        var hasEncoder: Bool
        var trainableCount: Int
        var totalCount: Int
        var steps: Int
        var tokens: Int
        var elapsedSeconds: Double
        var peakMemoryBytes: Int
        /// The model of the best evaluation, where it is looked for.
        var best: BestModel?
        var data: [(use: String, files: [String], examples: Int, counts: Dataset.Counts)]
    }

    private let configuration: RunConfiguration
    private let facts: Facts
    private let losses: LossCourse

    /// The file beside the card that has the curves of the losses.
    private let picture: String?

    init(_ configuration: RunConfiguration, _ facts: Facts, _ losses: LossCourse, picture: String?) {
        (self.configuration, self.facts, self.losses, self.picture) = (configuration, facts, losses, picture)
    }

    var text: String {
        (front + [""] + use + method + data + training + results + licence).joined(separator: "\n") + "\n"
    }

    private var base: String { configuration.modelPath }
    private var isNew: Bool { configuration.start == .random }

    private var front: [String] {
        let isClassifier = configuration.task == .sequenceClassification
        let named = Markdown.yaml("base_model:adapter:\(base)")
        return ["---"] + (isNew ? [] : ["base_model: \(Markdown.yaml(base))"])
            + (facts.isAdapter
                ? ["library_name: \(type(of: configuration.method).library)"] : ["library_name: transformers"])
            + ["pipeline_tag: \(isClassifier ? "text-classification" : "text-generation")", "tags:"]
            + (facts.isAdapter ? [isNew ? nil : "- \(named)", "- \(configuration.methodName)"].compactMap { $0 } : [])
            + ["- transformers", "---"]
    }

    private var use: [String] {
        let share = 100 * Double(facts.trainableCount) / Double(max(1, facts.totalCount))
        let hundredths = Int((share * 100).rounded())
        let percent = "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100) %"
        let made =
            facts.isAdapter
            ? "An adapter for \(Markdown.code(base)), trained with the method \(Markdown.code(configuration.methodName)): "
                + "\(facts.trainableCount) of \(facts.totalCount) parameters (\(percent))."
            : isNew
                ? "A model with the configuration and the tokenizer of \(Markdown.code(base)), trained from the beginning: "
                    + "\(facts.trainableCount) parameters."
                : "A model tuned from \(Markdown.code(base)) with all its \(facts.trainableCount) parameters."
        let commands = ResultUse(
            configuration, isAdapter: facts.isAdapter, mergeObstacle: facts.mergeObstacle,
            formObstacle: facts.formObstacle, hasEncoder: facts.hasEncoder)
        return ["# \(FileSystem.split(configuration.training.outputFolder).name)", "", made, "", "## Use", ""]
            + Markdown.block(commands.commands, "sh")
            + (facts.mergeObstacle.map { ["It can't be merged into its base: \($0).", ""] } ?? [])
            + commands.python
    }

    private var method: [String] {
        ["## Method", ""] + Markdown.table(["setting", "value"], rows("peft")) + [""]
    }

    private var data: [String] {
        let rows = facts.data.map { use, files, examples, counts -> [String] in
            [
                use, files.map(Markdown.code).joined(separator: ", "), "\(counts.records)", "\(examples)",
                "\(counts.dropped)", "\(counts.truncated)", "\(counts.tokens)",
            ]
        }
        let settings = self.settings("data").filter { !["train", "validation", "labels"].contains($0.key) }
        return ["## Data", ""]
            + Markdown.table(["for", "files", "records", "examples", "dropped", "truncated", "tokens"], rows) + [""]
            + Markdown.block(settings.map { "\($0.key): \($0.value.flow())" }, "yaml")
            + (configuration.data.labels.map { labels in
                Markdown.table(
                    ["number", "label"], labels.enumerated().map { ["\($0.offset)", Markdown.code($0.element)] }) + [""]
            } ?? [])
    }

    private var training: [String] {
        let note = configuration.training.hasDefaultRate ? ", the default of \(configuration.methodName)" : ""
        let rows = self.rows("training").filter { $0[0] != Markdown.code("output_dir") }.map { row in
            row[0] == Markdown.code("learning_rate") ? [row[0], row[1] + note] : row
        }
        return ["## Training", ""] + Markdown.table(["setting", "value"], rows) + [""]
    }

    private var results: [String] {
        func row(_ name: String, _ point: LossCourse.Point?) -> [String]? {
            point.map { ["\(name), step \($0.step)", $0.loss.fourDigits] }
        }
        let rows =
            [
                row("training loss, first", losses.first), row("training loss, last", losses.last),
                row("evaluation loss, first", losses.firstEvaluation),
                row("evaluation loss, lowest", losses.bestEvaluation),
                row("evaluation loss, last", losses.lastEvaluation),
            ].compactMap { $0 } + delivered + losses.scores.map { ["\($0.name), last", $0.value?.fourDigits ?? "–"] }
        let course = [
            ["steps", "\(facts.steps)"], ["tokens", "\(facts.tokens)"],
            ["seconds", "\(Int(clamping: facts.elapsedSeconds.rounded()))"],
            ["peak memory, MB", "\(Int(clamping: (Double(facts.peakMemoryBytes) / 1e6).rounded()))"],
        ]
        return [
            "## Results", "", "Losses are means per target, in nats; `metrics.jsonl` holds their whole course.", "",
        ]
            + Markdown.table(["measure", "value"], rows + course) + [""]
            + (picture.map { ["![The course of the losses](\($0))", ""] } ?? [])
    }

    private var delivered: [[String]] {
        guard let best = facts.best else { return [] }
        let use = best.isDelivered ? "; this is the model here" : "; the model here is that of the last step"
        return [["\(best.metric), best, step \(best.step)\(use)", best.value.fourDigits]]
    }

    private var licence: [String] {
        [
            "## Licence", "",
            (isNew ? "The licences" : "The licence of \(Markdown.code(base)), and those")
                + " of the data named above, go "
                + "with what was made of them. Name the one of this \(facts.isAdapter ? "adapter" : "model") by `license:` "
                + "in the first lines before you publish it.",
        ]
    }

    /// A section of the resolved configuration, value by value.
    private func settings(_ section: String) -> [(key: String, value: ConfigValue)] {
        guard let document = try? ConfigDocument.parse(yaml: configuration.resolvedYAML),
            case .mapping(let sections) = document.node.content,
            case .mapping(let entries)? = sections.first(where: { $0.key == section })?.value.content
        else { return [] }
        return entries.map { ($0.key, ConfigValue($0.value)) }
    }

    private func rows(_ section: String) -> [[String]] {
        settings(section).map { [Markdown.code($0.key), Markdown.code($0.value.flow())] }
    }
}

extension Double {
    /// As losses are told elsewhere: `1.3280`.
    fileprivate var fourDigits: String {
        guard isFinite, magnitude < 1e12 else { return "\(self)" }
        let parts = Int((magnitude * 10_000).rounded()).quotientAndRemainder(dividingBy: 10_000)
        let fraction = "\(parts.remainder)"
        return (self < 0 ? "-" : "") + "\(parts.quotient)." + String(repeating: "0", count: 4 - fraction.count)
            + fraction
    }
}
