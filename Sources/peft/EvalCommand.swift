import ArgumentParser
import Diagnostics
import Files
import JSONText
import Metrics
import Ranks
import Training

/// Measures models on data, or scores texts.
struct EvalCommand: RankedCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval",
        abstract: "Measure loss, perplexity, ROUGE, BLEU, chrF, F1 and accuracy of models on data.",
        discussion: """
            With --config the model, the adapter in the run's output folder, data.validation and the templates come from \
            there. With --adapter alone they come from training_config.yaml beside the adapter.

            EXAMPLES:
              peft eval --config configs/demo.yaml --rouge --compare-base
              peft eval --config configs/demo.yaml --metrics rouge,bleu,chrf --save-predictions texts.jsonl
              peft eval --adapter runs/demo --data dev.jsonl --json
              peft eval --base gpt2 --data dev.csv --prompt '{mr}\\n' --completion '{ref}'
              peft eval --base embedded/base --config configs/demo.yaml --shots 3 --rouge
              peft eval --base gpt2 --data quiz.jsonl --prompt '{question}\\n' --completion '{answer}' --choices options
              peft eval --base classifier --data dev.jsonl --text '{review}' --label '{opinion}'
              peft eval --predictions predictions.jsonl --metrics exact_match,f1
              mpirun -n 4 peft eval --config configs/demo.yaml --rouge
            """)

    @Option(
        help: ArgumentHelp("The base model. By default the one that the adapter names.", valueName: "dir"),
        transform: expandedPath)
    var base: String?

    @Option(
        help: ArgumentHelp("An adapter's folder; may be given several times, for a row each.", valueName: "dir"),
        transform: expandedPath)
    var adapter: [String] = []

    @Option(
        help: ArgumentHelp("A run's configuration, for all that isn't given here.", valueName: "file"),
        transform: expandedPath)
    var config: String?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Replace a value of the configuration; may be given several times.", valueName: "key=value"))
    var set: [String] = []

    @Option(
        help: ArgumentHelp("The records to evaluate on; may be given several times.", valueName: "file"),
        transform: expandedPath)
    var data: [String] = []

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "What a prompt is made of, as '{mr}\\n': fields in braces, \\n a line break.", valueName: "template"))
    var prompt: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("What the completion is made of, as '{ref}'.", valueName: "template"))
    var completion: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("What a text without prompt, or one that has a label, is made of.", valueName: "template"))
    var text: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("What the label of a text is made of, as '{label}'.", valueName: "template"))
    var label: String?

    @Option(
        help: ArgumentHelp(
            "Show a language model k records of the training data before each prompt or text; the same ones always, "
                + "drawn by --seed.", valueName: "k"))
    var shots = 0

    @Option(
        help: ArgumentHelp(
            "Generate a completion for every prompt, and compare it with all completions of the data, by any of "
                + Metrics.textMetrics.map { $0.name }.joined(separator: ", ") + ", with commas between them.",
            valueName: "names"))
    var metrics: String?

    @Flag(help: "Short for --metrics rouge.")
    var rouge = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Score the answers of each question by likelihood: the field with the record's own, or all of them with commas "
                + "between them. The completion's field tells the right one.", valueName: "field"))
    var choices: String?

    @Option(
        help: ArgumentHelp(
            "What a choice's log probability is divided by: none, tokens or bytes. (default: none)", valueName: "unit"))
    var choiceNormalization: String?

    @Flag(help: "Let ROUGE compare words by themselves, not by their stems.")
    var noStemmer = false

    @Flag(help: "Generate and score texts without measuring the loss.")
    var noLoss = false

    @Flag(help: "Measure the base model too.")
    var compareBase = false

    @Option(help: ArgumentHelp("Use the first n records only, for every measure.", valueName: "n"))
    var limit: Int?

    @Option(
        help: ArgumentHelp(
            "Write the generated texts with their references, the choices or the labels to a JSON lines file.",
            valueName: "file"),
        transform: expandedPath)
    var savePredictions: String?

    @Flag(help: "Replace the file of --save-predictions where it exists.")
    var overwrite = false

    @Flag(help: "Go on with the file of --save-predictions where an evaluation was interrupted.")
    var resume = false

    @Option(
        help: ArgumentHelp(
            "Score a JSON lines file of prediction and reference (or references) without any model; - is stdin.",
            valueName: "file"), transform: expandedPath)
    var predictions: String?

    @Option(help: ArgumentHelp("Starts the resampling behind the intervals, and draws the shots.", valueName: "n"))
    var seed: UInt64 = 42

    @Flag(help: "Print one JSON object.")
    var json = false

    @OptionGroup(title: "Decoding") var decoding: DecodingOptions
    @OptionGroup var quantization: QuantizationOptions
    @OptionGroup var otherBase: OtherBaseOption
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if rouge, metrics != nil {
            throw ValidationError("--rouge is short for --metrics rouge: name rouge among the --metrics")
        }
        if noLoss, !rouge, metrics == nil {
            throw ValidationError("--no-loss leaves nothing to measure: give --metrics too")
        }
        if let metrics {
            do {
                _ = try Training.textMetrics(named: metrics)
            } catch let problem as Problem {
                throw ValidationError("--metrics: \(problem.message)")
            }
        }
        if decoding.newTokenLimit < 1 {
            throw ValidationError("--max-new-tokens must be at least 1, got \(decoding.newTokenLimit)")
        }
        if let limit, limit < 1 { throw ValidationError("--limit must be at least 1, got \(limit)") }
        if overwrite, savePredictions == nil {
            throw ValidationError("--overwrite concerns the file of --save-predictions: give that too")
        }
        if resume, savePredictions == nil {
            throw ValidationError("--resume goes on with the file of --save-predictions: give that too")
        }
        if resume, overwrite {
            throw ValidationError("--resume goes on with what --overwrite would replace: give one of them")
        }
        if let unit = choiceNormalization, ChoiceNormalization(rawValue: unit) == nil {
            throw ValidationError("--choice-normalization must be none, tokens or bytes, got '\(unit)'")
        }
        if predictions != nil {
            let templates = [prompt, completion, text, label].compactMap { $0 }
            if base != nil || !adapter.isEmpty || config != nil || !data.isEmpty || compareBase || shots != 0
                || !templates.isEmpty || choices != nil
            {
                throw ValidationError("--predictions scores texts without any model: leave out the models and the data")
            }
            if limit != nil {
                throw ValidationError("--limit counts records of --data: --predictions scores all lines")
            }
            return
        }
        if base == nil, adapter.isEmpty, config == nil {
            throw ValidationError("no model: give --base, --adapter or --config, or --predictions for texts alone")
        }
        if config == nil, !set.isEmpty { throw ValidationError("--set changes a configuration: give --config too") }
        if (prompt == nil) != (completion == nil) {
            throw ValidationError("--prompt and --completion belong together")
        }
        if label != nil, text == nil { throw ValidationError("--label belongs to a text: give --text too") }
        if shots < 0 { throw ValidationError("--shots must not be negative, got \(shots)") }
        if text != nil, prompt != nil { throw ValidationError("--text can't be used together with --prompt") }
    }

    /// The measures of generated texts; empty where nothing is to be generated.
    var textMetrics: [any TextMetric.Type] {
        rouge ? [ROUGE.self] : (try? metrics.map(Training.textMetrics)) ?? []
    }

    var normalization: ChoiceNormalization { choiceNormalization.flatMap(ChoiceNormalization.init) ?? .none }

    /// The option by which texts are generated.
    var metricsOption: String { rouge ? "--rouge" : "--metrics" }

    /// What scores texts; ROUGE where nothing is said.
    var scoring: TextScoring {
        TextScoring(
            textMetrics.isEmpty ? [ROUGE.self] : textMetrics,
            TextMetricSettings(usesStemmer: !noStemmer, seed: seed))
    }

    func run() throws {
        common.apply()
        let reports: [EvaluationReport]
        let isTable: Bool
        if let predictions {
            var rows = try readPredictions(predictions)
            reports = rows.indices.map { index in
                EvaluationReport(adapter: rows[index].adapter, loss: nil, texts: rows[index].scoring.finish())
            }
            isTable = rows[0].isNamed
        } else {
            reports = try Communicator.current.agree { try EvaluationSession(self) }.run()
            isTable = adapter.count > 1 || compareBase
        }
        for warning in Set(reports.flatMap { $0.texts?.warnings ?? [] }).sorted() {
            Console.report(Problem(warning, severity: .warning))
        }
        if json {
            Console.line((isTable ? EvaluationReport.json(reports) : reports[0].json).text(.indented))
        } else {
            Console.write(EvaluationTable(reports, isNamed: predictions == nil || isTable).text)
        }
    }

    private func readPredictions(_ path: String) throws -> [PredictionFile.Row] {
        if path == "-" {
            var input = LineInput(name: "stdin")
            let bytes = try input.rest()
            return try bytes.withUnsafeBytes { try PredictionFile.score($0, name: "stdin", by: scoring) }
        }
        return try FileBytes(path: path).withBytes { try PredictionFile.score($0, name: path, by: scoring) }
    }
}
