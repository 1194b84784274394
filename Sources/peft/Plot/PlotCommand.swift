import ArgumentParser
import Charts
import Checkpoints
import Diagnostics
import JSONText
import Training

/// Draws the curves of runs.
struct PlotCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plot",
        abstract: "Draw the curves of one or more runs in one picture.",
        discussion: """
            A run is its output folder, finished or not. On a terminal the curves are drawn in it; elsewhere, or with \
            --output, they are an SVG picture. Without --metric it shows the training loss, and dashed the validation \
            loss. Noisy curves are shown as means of neighbouring values.

            EXAMPLES:
              peft plot runs/demo
              peft plot runs/r4 runs/r16 --output ranks.svg
              peft plot runs/a runs/b --metric eval_accuracy --x epoch --json
            """)

    @Argument(
        help: ArgumentHelp("Output folders of runs.", valueName: "run"), transform: expandedPath)
    var runs: [String]

    @Option(
        name: .shortAndLong, help: ArgumentHelp("Write an SVG picture; - is stdout.", valueName: "file"),
        transform: expandedPath)
    var output: String?

    @Option(
        help: ArgumentHelp(
            "A key of metrics.jsonl: loss, eval_loss, learning_rate, grad_norm, …", valueName: "key"))
    var metric: String?

    @Option(
        help: ArgumentHelp(
            "Draw means of n neighbouring values, 1 for the values; by default as a curve's noise needs it.",
            valueName: "n"))
    var smooth: Int?

    @Option(
        help: ArgumentHelp("What the curves run over: step, epoch, tokens or time.", valueName: "axis"),
        transform: Self.axis)
    var x = RunMetrics.Axis.step

    @Flag(help: "Replace the file of --output.")
    var overwrite = false

    @Flag(help: "Print one JSON object with the values.")
    var json = false

    private static func axis(_ word: String) throws -> RunMetrics.Axis {
        guard let axis = RunMetrics.Axis(rawValue: word) else {
            throw ValidationError("expected one of \(RunMetrics.Axis.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return axis
    }

    func validate() throws {
        if let smooth, smooth < 1 { throw ValidationError("--smooth must be at least 1, got \(smooth)") }
        if json, output != nil { throw ValidationError("--json and --output exclude each other") }
    }

    func run() throws {
        var file: OutputFile?
        if let output, output != "-" {
            guard output.lowercased().hasSuffix(".svg") else {
                throw Problem(
                    "pictures are written as SVG: let the file's name end in .svg", file: output, exitStatus: .usage)
            }
            file = try OutputFile(output, replacing: overwrite, inputs: runs)
        }
        let plot = try Plot(runs, metric: metric, window: smooth, over: x)
        if json {
            Console.line(plot.json.text(.indented))
            return
        }
        try plot.requireDrawable()
        if output == nil, Console.outputIsTerminal {
            plot.show()
        } else {
            let picture = ChartPicture(plot.chart, for: .file).svg + "\n"
            if let file { try file.write(picture) } else { Console.write(picture) }
        }
    }
}
