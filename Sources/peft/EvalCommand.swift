import ArgumentParser
import Diagnostics
import Files
import JSONText
import Ranks
import Training

/// Measures models on data, or scores texts.
struct EvalCommand: RankedCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval",
        abstract: "Measure loss, perplexity, ROUGE and accuracy of models on data.",
        discussion: """
            With --config the model, the adapter in the run's output folder, data.validation and the templates come from \
            there. With --adapter alone they come from training_config.yaml beside the adapter.

            EXAMPLES:
              peft eval --config configs/demo.yaml --rouge --compare-base
              peft eval --adapter runs/demo --data dev.jsonl --json
              peft eval --base gpt2 --data dev.csv --prompt '{mr}\\n' --completion '{ref}'
              peft eval --base embedded/base --config configs/demo.yaml --shots 3 --rouge
              peft eval --base classifier --data dev.jsonl --text '{review}' --label '{opinion}'
              peft eval --predictions predictions.jsonl
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

    @Flag(help: "Generate a completion for every prompt, and compare it with all completions of the data.")
    var rouge = false

    @Flag(help: "Compare words by themselves, not by their stems.")
    var noStemmer = false

    @Flag(help: "Measure the base model too.")
    var compareBase = false

    @Option(help: ArgumentHelp("Tokens to generate at most.", valueName: "n"))
    var maxNewTokens = 128

    @Option(help: ArgumentHelp("Use the first n records only, for every measure.", valueName: "n"))
    var limit: Int?

    @Option(
        help: ArgumentHelp(
            "Write the generated texts with their references, or the labels, to a JSON lines file.", valueName: "file"),
        transform: expandedPath)
    var savePredictions: String?

    @Flag(help: "Replace the file of --save-predictions where it exists.")
    var overwrite = false

    @Option(
        help: ArgumentHelp(
            "Score a JSON lines file of prediction and reference (or references) without any model; - is stdin.",
            valueName: "file"), transform: expandedPath)
    var predictions: String?

    @Option(help: ArgumentHelp("Starts the resampling behind the intervals, and draws the shots.", valueName: "n"))
    var seed: UInt64 = 42

    @Flag(help: "Print one JSON object.")
    var json = false

    @OptionGroup var quantization: QuantizationOptions
    @OptionGroup var otherBase: OtherBaseOption
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if maxNewTokens < 1 { throw ValidationError("--max-new-tokens must be at least 1, got \(maxNewTokens)") }
        if let limit, limit < 1 { throw ValidationError("--limit must be at least 1, got \(limit)") }
        if overwrite, savePredictions == nil {
            throw ValidationError("--overwrite concerns the file of --save-predictions: give that too")
        }
        if predictions != nil {
            let templates = [prompt, completion, text, label].compactMap { $0 }
            if base != nil || !adapter.isEmpty || config != nil || !data.isEmpty || compareBase || shots != 0
                || !templates.isEmpty
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

    var scoring: RougeSettings { RougeSettings(usesStemmer: !noStemmer, seed: seed) }

    func run() throws {
        common.apply()
        let reports: [EvaluationReport]
        let isTable: Bool
        if let predictions {
            let rows = try readPredictions(predictions)
            reports = rows.map { row in
                EvaluationReport(
                    adapter: row.adapter, loss: nil, rouge: (row.texts.count, Training.rouge(of: row.texts, scoring)))
            }
            isTable = rows[0].isNamed
        } else {
            reports = try Communicator.current.agree { try EvaluationSession(self) }.run()
            isTable = adapter.count > 1 || compareBase
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
            return try bytes.withUnsafeBytes { try PredictionFile.parse($0, name: "stdin") }
        }
        return try FileBytes(path: path).withBytes { try PredictionFile.parse($0, name: path) }
    }
}
