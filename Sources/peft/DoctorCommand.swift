import ArgumentParser
import Diagnostics
import JSONText
import Training

/// Says what is wrong with an adapter.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Say what is wrong with an adapter, and what to do.",
        discussion: """
            Finds what loaders let pass: names that match nothing, transposed or missing tensors, adapters that were never \
            trained or hold NaN, another base model or vocabulary, traps of tied embeddings, overlapping patterns and \
            scales at odds with the ranks. The status is 0 for a healthy adapter and 65 where something was found.

            EXAMPLES:
              peft doctor runs/demo
              peft doctor downloaded/adapter --base gpt2 --json
            """)

    @Argument(help: ArgumentHelp("An adapter's folder.", valueName: "adapter"), transform: expandedPath)
    var adapter: String

    @Option(
        help: ArgumentHelp(
            "The base model: a folder, or a name in the local Hub cache. By default the one that the adapter names.",
            valueName: "dir"), transform: expandedPath)
    var base: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let diagnosis = try AdapterDiagnosis(path: adapter, base: base, warn: Console.report)
        Console.line(json ? diagnosis.json.text(.indented) : diagnosis.text)
        if !diagnosis.isHealthy {
            Console.finish()
            throw ExitCode(ExitStatus.badData.rawValue)
        }
    }
}
