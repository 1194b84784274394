import ArgumentParser
import JSONText
import Training

/// Turns adapters of other methods, and tuned models, into LoRA adapters.
struct ConvertCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Turn an adapter of another method, or a tuned model, into a LoRA adapter.",
        discussion: """
            The change of each weight is brought down to the rank by a truncated singular value decomposition: no other \
            LoRA of that rank is nearer. The relative error of each module and of all together is reported, and the \
            largest difference of probe prompts' logits. Norms and biases that changed are stored as they are.

            EXAMPLES:
              peft convert --adapter runs/adalora --rank 16 --output runs/adalora-as-lora
              peft convert --model runs/full --base gpt2 --rank 32 --output runs/full-as-lora --json
            """)

    @Option(help: ArgumentHelp("The adapter's folder.", valueName: "dir"), transform: expandedPath)
    var adapter: String?

    @Option(
        help: ArgumentHelp("The folder of a model that was tuned as a whole, in place of --adapter.", valueName: "dir"),
        transform: expandedPath)
    var model: String?

    @Option(
        help: ArgumentHelp(
            "The base model: a folder, or a name in the local Hub cache. By default the one that the adapter names.",
            valueName: "dir"), transform: expandedPath)
    var base: String?

    @Option(help: ArgumentHelp("The rank of the result.", valueName: "r"))
    var rank: Int

    @Option(help: ArgumentHelp("The folder that the adapter is written to.", valueName: "dir"), transform: expandedPath)
    var output: String

    @Flag(help: "Print the errors as a JSON object.")
    var json = false

    @OptionGroup var otherBase: OtherBaseOption
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if (adapter == nil) == (model == nil) { throw ValidationError("give either --adapter or --model") }
        if model != nil, base == nil { throw ValidationError("--model: give its base model with --base") }
        if rank < 1 { throw ValidationError("--rank must be at least 1, got \(rank)") }
    }

    func run() throws {
        common.apply()
        let source: ConversionSettings.Source
        let named: String
        if let model {
            source = .model(model)
            named = base ?? ""
        } else {
            let path = adapter ?? ""
            source = .adapter(path)
            named = try base ?? ModelSelection.base(of: path)
        }
        let summary = try BaseModel.hinting(at: named, isNamedByAdapter: base == nil) {
            try convert(
                ConversionSettings(
                    base: named, source: source, rank: rank, output: output, acceptsOtherBase: otherBase.otherBase),
                warn: Console.report)
        }
        if json {
            Console.line(Self.value(summary).text(.compact))
            return
        }
        for module in summary.modules {
            Console.note("\(module.path): rank \(module.rank), relative error \(module.error.scientific)")
        }
        if !summary.wholes.isEmpty { Console.note("stored as they are: \(summary.wholes.joined(separator: ", "))") }
        Console.note(
            "The relative error of all changes together is \(summary.error.scientific); the logits of probe prompts differ "
                + "by \(summary.difference.scientific) of the largest at most.")
        Console.line(output)
    }

    private static func value(_ summary: ConversionSummary) -> JSONValue {
        .object([
            .init("relative_error", .number(summary.error)), .init("logit_difference", .number(summary.difference)),
            .init(
                "modules",
                .array(
                    summary.modules.map {
                        .object([
                            .init("path", .string($0.path)), .init("rank", .integer($0.rank)),
                            .init("relative_error", .number($0.error)),
                        ])
                    })), .init("stored_whole", .array(summary.wholes.map(JSONValue.string))),
        ])
    }
}
