import ArgumentParser
import Checkpoints
import Configuration
import Datasets
import Diagnostics
import JSONText
import Tokenizers
import Training

/// Continues prompts.
struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Continue prompts with a model, with or without adapters.",
        discussion: """
            Without --prompt every line of stdin is a prompt; completions come out in the same order. Prompts are taken \
            as they are, without the template of the training unless --as-trained is given.

            EXAMPLES:
              peft generate --base embedded/base --prompt 'The old man'
              peft generate --adapter runs/demo --as-trained --prompt 'name[The Eagle], food[Chinese]'
              peft generate --adapter runs/demo --temperature 0.8 --top-p 0.95 --seed 7 --json < prompts.txt
            """)

    @OptionGroup var models: ModelOptions

    @Option(parsing: .unconditional, help: ArgumentHelp("The text to continue.", valueName: "text"))
    var prompt: String?

    @Option(help: ArgumentHelp("Tokens to append at most.", valueName: "n"))
    var maxNewTokens = 128

    @Option(
        help: ArgumentHelp(
            "Draw tokens at random from the probabilities with this temperature; without it, and with 0, always the most "
                + "likely token is taken.", valueName: "t"))
    var temperature: Double?

    @Option(help: ArgumentHelp("Draw among the k most likely tokens only.", valueName: "k"))
    var topK: Int?

    @Option(
        help: ArgumentHelp("Draw among the most likely tokens that together have this probability.", valueName: "p"))
    var topP: Double?

    @Option(help: ArgumentHelp("Starts the random draws.", valueName: "n"))
    var seed: UInt64 = 42

    @Flag(help: "Put each prompt into the prompt template of the training, as the value of its field.")
    var asTrained = false

    @Flag(help: "Print a JSON object a line: prompt and completion, and adapter where several are given.")
    var json = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if maxNewTokens < 0 { throw ValidationError("--max-new-tokens must not be negative, got \(maxNewTokens)") }
        if let temperature, !(temperature >= 0 && temperature.isFinite) {
            throw ValidationError("--temperature must not be negative, got \(temperature)")
        }
        if let topK, topK < 1 { throw ValidationError("--top-k must be at least 1, got \(topK)") }
        if let topP, !(topP > 0 && topP <= 1) {
            throw ValidationError("--top-p must be above 0 and at most 1, got \(topP)")
        }
        if temperature ?? 0 == 0, topK != nil || topP != nil {
            throw ValidationError("--top-k and --top-p limit random draws: give --temperature too")
        }
    }

    private var settings: GenerationSettings {
        let sampling =
            (temperature ?? 0) == 0
            ? nil
            : temperature.map {
                SamplingSettings(temperature: $0, topK: topK, topP: topP, seed: seed)
            }
        return GenerationSettings(maximumNewTokens: maxNewTokens, sampling: sampling)
    }

    func run() throws {
        common.apply()
        let selection = try ModelSelection(models)
        let template = asTrained ? try Self.template(selection) : nil
        var session = try GenerationSession(selection, settings: settings)
        func rendered(_ text: String) -> PlacedText { template?.renderPlaces([text]) ?? PlacedText(text) }
        if let prompt {
            if Console.outputIsTerminal, !json, session.variantCount == 1 {
                try session.stream(rendered(prompt))
            } else {
                try session.run([rendered(prompt)], lines: nil, json: json)
            }
            return
        }
        var input = LineInput(name: "stdin")
        while let lines = try input.next(atMost: 64) {
            try session.run(lines.map { rendered($0.text) }, lines: lines.map(\.number), json: json)
        }
    }

    private static func template(_ selection: ModelSelection) throws -> Template {
        guard let document = selection.variants[0].document else {
            throw Problem(
                "--as-trained needs the template of the training: there is no training_config.yaml beside the adapter; "
                    + "give the run's configuration with --config", exitStatus: .missingInput)
        }
        let section = document.root.section("data")
        let source = section.requiredString("prompt")
        try document.root.throwProblems()
        let template = try Template(source)
        if template.fieldNames.count != 1 {
            throw Problems([
                section.problem(
                    "has the fields \(template.fieldNames.joined(separator: ", ")), and --as-trained can fill only one",
                    at: "prompt")
            ])
        }
        return template
    }
}
