import ArgumentParser
import Checkpoints
import Diagnostics
import Files
import JSONText

/// Trains several methods on the same data, and says what each takes and gives.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Train several methods on the same data, and print what each takes and gives.",
        discussion: """
            Each method trains in a process of its own, one after the other, on the model, data and seed that all the \
            configurations must have in common. The first rows are the base model as it is, and with records shown in \
            its prompt. A method that fails gets its row with the reason. Ctrl-C stops the method at hand, which saves, \
            and prints the rows so far; --resume goes on.

            EXAMPLES:
              peft compare --config configs/demo.yaml --config configs/full.yaml --output runs/compare
              peft compare --config configs/demo.yaml --methods lora,full --output runs/methods --html methods.html
              peft compare --config a.yaml --config b.yaml --output runs/rates --learning-rates x0.3,x1,x3 --json
            """)

    @Option(
        help: ArgumentHelp("A method's configuration; given several times, or once with --methods.", valueName: "file"),
        transform: expandedPath)
    var config: [String]

    @Option(
        help: ArgumentHelp(
            "Methods to compare with their default settings, separated by commas; all else comes from --config and --set.",
            valueName: "names"), transform: Self.words)
    var methods: [String] = []

    @Option(
        help: ArgumentHelp(
            "A YAML file of names and, under each, what stands in place of the configuration's values; with --methods "
                + "those of the names only.", valueName: "file"), transform: expandedPath)
    var variants: String?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Put a value in place of every configuration's; may be repeated.", valueName: "key=value"))
    var set: [String] = []

    @Option(
        help: ArgumentHelp("The folder for all that comes out, a folder in it for each method.", valueName: "dir"),
        transform: expandedPath)
    var output: String

    @Option(
        help: ArgumentHelp(
            "Learning rates to try, separated by commas: 1e-3, or x3 for 3 times a configuration's own. The one with the "
                + "lowest validation loss counts.", valueName: "rates"), transform: Self.words)
    var learningRates: [String] = []

    @Option(
        help: ArgumentHelp(
            "The records to measure the results on, beside the validation loss; by default data.validation.",
            valueName: "file"), transform: expandedPath)
    var data: [String] = []

    @Option(
        help: ArgumentHelp("Records in the prompt of the base model's second row; 0 for no such row.", valueName: "k"))
    var shots = 3

    @Option(help: ArgumentHelp("Generate for the first n records only.", valueName: "n"))
    var limit: Int?

    @Option(help: ArgumentHelp("Tokens to generate at most.", valueName: "n"))
    var maxNewTokens = 128

    @Flag(help: "Go on with a comparison that was interrupted.")
    var resume = false

    @Flag(help: "Delete what the output folder holds of the methods, and begin anew; replace the file of --html.")
    var overwrite = false

    @Flag(help: "Print one JSON object.")
    var json = false

    @Flag(help: "Print the table as Markdown.")
    var markdown = false

    @Option(
        help: ArgumentHelp("Write a page with the table and the curves of the losses.", valueName: "file"),
        transform: expandedPath)
    var html: String?

    @OptionGroup var common: CommonOptions

    private static func words(_ text: String) -> [String] {
        text.split(separator: ",").map { word in String(word.filter { $0 != " " }) }
    }

    func validate() throws {
        if resume, overwrite { throw ValidationError("--resume and --overwrite exclude each other") }
        if json, markdown { throw ValidationError("--json and --markdown exclude each other") }
        if !methods.isEmpty || variants != nil, config.count != 1 {
            throw ValidationError("--methods and --variants take one --config, whose values are replaced")
        }
        if let twice = methods.first(where: { name in methods.count { $0 == name } > 1 }) {
            throw ValidationError("--methods names '\(twice)' twice")
        }
        if shots < 0 { throw ValidationError("--shots must not be negative, got \(shots)") }
        if maxNewTokens < 1 { throw ValidationError("--max-new-tokens must be at least 1, got \(maxNewTokens)") }
        if let limit, limit < 1 { throw ValidationError("--limit must be at least 1, got \(limit)") }
    }

    /// Where the page goes; one of an earlier part of this comparison is replaced.
    private func page(_ plan: ComparisonPlan) throws -> OutputFile? {
        try html.map { path in
            try OutputFile(
                path, replacing: overwrite || resume && ComparisonPage.isPage(path),
                inputs: config + data + plan.train + plan.validation + [variants].compactMap { $0 }
                    + [(try? HubCache.resolve(plan.modelPath)) ?? plan.modelPath])
        }
    }

    /// What would otherwise be seen when the runs are done.
    private func checkOutputs() throws {
        if FileSystem.exists(output), !FileSystem.isFolder(output) {
            throw Problem("is a file where a folder is to be made", file: output, exitStatus: .cannotCreate)
        }
        for path in data where !FileSystem.exists(path) {
            throw Problem("no such file", file: path, exitStatus: .missingInput)
        }
    }

    func run() throws {
        common.apply()
        let plan = try ComparisonPlan(self)
        if !resume, !overwrite {
            for entry in plan.entries where FileSystem.exists(entry.outputFolder) {
                throw Problem(
                    "the folder already holds a run: give --resume to go on, or --overwrite to begin anew",
                    file: entry.outputFolder, exitStatus: .cannotCreate)
            }
        }
        try checkOutputs()
        let page = try page(plan)
        Interruption.catchSignals()
        var comparison = Comparison(self, plan)
        try comparison.run()
        Console.showStatus("")
        let table = ComparisonTable(comparison.rows)
        try page?.write(ComparisonPage(plan, comparison.rows).text)
        if json {
            Console.line(comparison.json.text(.indented))
        } else {
            Console.write(markdown ? table.markdown : table.text)
        }
        if !comparison.wasInterrupted, comparison.rows.allSatisfy({ $0.error != nil }) {
            throw Problem("nothing could be measured: every row of the table failed")
        }
        if comparison.wasInterrupted { throw ExitCode(ExitStatus.interrupted.rawValue) }
        let failed = comparison.rows.count { $0.error != nil }
        if failed > 0 { throw Problem("\(failed) of \(comparison.rows.count) rows of the table failed") }
    }
}
