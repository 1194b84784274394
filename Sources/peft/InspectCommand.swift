import ArgumentParser
import Diagnostics
import JSONText

/// Says what a file or folder holds.
struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Say what a model, an adapter, a run's output or a safetensors file holds.",
        discussion: """
            Headers and configurations say it; the numbers themselves are looked through for NaN and infinite ones.

            EXAMPLES:
              peft inspect embedded/base
              peft inspect runs/demo --json
              peft inspect model.safetensors --tensors
              peft inspect embedded/base --text "Hello world"
            """)

    @Argument(
        help: ArgumentHelp(
            "A model's folder or its name in the local Hub cache, an adapter's folder, the output folder of a run, or a "
                + "safetensors file."), transform: expandedPath)
    var path: String

    @Flag(help: "List every tensor: its name, type and shape.")
    var tensors = false

    @Option(help: "Show the tokens of this text, as the folder's tokenizer makes them, instead.")
    var text: String?

    @Flag(help: "Print one JSON object, tensors included.")
    var json = false

    func run() throws {
        if let text {
            let listing = try TokenListing(text, path: path)
            return Console.line(json ? listing.json.text(.indented) : listing.lines.harmless)
        }
        let inspection = try Inspection(path: path, warn: Console.report)
        Console.line(json ? inspection.json.text(.indented) : inspection.text(listingTensors: tensors).harmless)
    }
}
