import ArgumentParser
import Configuration
import Datasets
import Diagnostics
import Training

/// Tells labels of new texts.
struct PredictCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "predict",
        abstract: "Tell the labels of new texts, or their numbers, with a trained classifier.",
        discussion: """
            Each record of --data gets its label with the probability of it, or its number, a line each and in order; \
            without --data records come from stdin: JSON objects, or lines of text. How texts are made of records is what \
            the adapter was trained with (data.text), or --text. With --json a record's own fields come out too. A \
            record that can't be used gets an error in place of an answer, and the exit status at the end is 65.

            EXAMPLES:
              peft predict --adapter runs/which-food --data new.jsonl --json
              peft predict --adapter runs/which-food < texts.txt
              peft predict --base classifier --data reviews.csv --text '{title}: {review}' --json
            """)

    @OptionGroup var models: ModelOptions

    @Option(
        help: ArgumentHelp(
            "The records (.jsonl, .json, .csv, .tsv, .txt); may be given several times; - is stdin.", valueName: "file"),
        transform: expandedPath)
    var data: [String] = []

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("What the text is made of, as '{review}'; by default as in training.", valueName: "template")
    )
    var text: String?

    @Flag(
        help: "Print a JSON object a line: the record's fields, label and probabilities, or prediction for a number.")
    var json = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        common.apply()
        let given = try text.map { try EvaluationData.template($0, "--text") }
        var session = try PredictionSession(ModelSelection(models), template: given)
        var input = try RecordInput(data.isEmpty ? ["-"] : data)
        while let records = try input.next(atMost: 64) { try session.run(records, json: json) }
        if session.cutCount > 0 {
            Console.note("\(session.cutCount.grouped) texts were cut to the length of the training")
        }
        if session.failureCount > 0 { throw ExitCode(ExitStatus.badData.rawValue) }
    }
}
