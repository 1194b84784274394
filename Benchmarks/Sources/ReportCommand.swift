import ArgumentParser
import Checkpoints
import Diagnostics
import Files
import FoundationEssentials
import JSONText

/// Writes the report of a run that was measured before once more.
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Show the last complete run again, and put it into a text.")

    @OptionGroup var options: ReportOptions

    func run() throws {
        let results = try Results(path: options.path("results.json"))
        try options.show(results, before: options.earlier("results-before.json"), name: "results.md")
    }
}

/// Where results go.
struct ReportOptions: ParsableArguments {
    @Option(help: "The folder for results.json and results.md; a run of some parts only writes partial.json there.")
    var output = "benchmarks-out"

    @Option(help: "A Markdown file that gets the report between its lines <!-- MARKER --> and <!-- /MARKER -->.")
    var into: String?

    @Option(help: "What these lines say.")
    var marker = "bench"

    func path(_ name: String) -> String { FileSystem.join(output, name) }

    func earlier(_ name: String) -> Results? { try? Results(path: path(name)) }

    /// Writes what was measured so far.
    func keep(_ results: Results) throws {
        try FileSystem.createFolder(output)
        try AtomicFile.write(results.json.text(.indented) + "\n", to: path("partial.json"))
    }

    /// Writes a run that was just measured, and says how it differs from the last one.
    func write(_ results: Results, isComplete: Bool) throws {
        try FileSystem.createFolder(output)
        let name = isComplete ? "results" : "partial"
        let before = earlier("results.json")
        if isComplete, let before {
            try AtomicFile.write(before.json.text(.indented) + "\n", to: path("results-before.json"))
        }
        try AtomicFile.write(results.json.text(.indented) + "\n", to: path(name + ".json"))
        try show(results, before: before, name: name + ".md")
    }

    func show(_ results: Results, before: Results?, name: String) throws {
        let text = Report(results: results, before: before).markdown
        try AtomicFile.write(text, to: path(name))
        print(text, terminator: "")
        if let into { try insert(text, into: into) }
    }

    private func insert(_ text: String, into path: String) throws {
        let (first, last) = ("<!-- \(marker) -->\n", "<!-- /\(marker) -->\n")
        let whole = try String(contentsOfFile: path, encoding: .utf8)
        guard let start = whole.firstRange(of: first), let end = whole.firstRange(of: last),
            start.upperBound <= end.lowerBound
        else { throw Problem("has no lines \(first) and \(last)", file: path) }
        try AtomicFile.write(whole[..<start.upperBound] + text + whole[end.lowerBound...], to: path)
    }
}
