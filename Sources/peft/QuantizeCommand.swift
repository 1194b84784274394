import ArgumentParser
import Diagnostics
import Tensors
import Training

/// Keeps a model's linear layers in fewer bits.
struct QuantizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quantize",
        abstract: "Keep a model's linear layers in 4 or 8 bits, as transformers and bitsandbytes do.",
        discussion: """
            The output is a model folder that transformers loads with bitsandbytes, and that every command here takes as a \
            base. It appears only when its files have given the logits of the quantized model. Embeddings, norms, biases \
            and the output layer stay as they are.

            bitsandbytes itself takes fp4 where nothing is said; here that is nf4, which costs less.

            EXAMPLES:
              peft quantize --base gpt2 --output gpt2-nf4 --double-quant
              peft quantize --base gpt2 --output gpt2-int8 --quant-type int8
            """)

    @Option(
        help: ArgumentHelp("The model: a folder, or a name in the local Hub cache.", valueName: "dir"),
        transform: expandedPath)
    var base: String

    @Option(
        help: ArgumentHelp("The folder that the quantized model is written to.", valueName: "dir"),
        transform: expandedPath)
    var output: String

    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case nf4, fp4, int8

        var format: Quantization.Format {
            switch self {
            case .nf4: .nf4
            case .fp4: .fp4
            case .int8: .int8
            }
        }
    }

    @Option(help: "How weights are kept: 4-bit NormalFloat, 4-bit floats or 8-bit integers.")
    var quantType = Kind.nf4

    @Flag(help: "Quantize the scales of 4-bit blocks too (double quantization).")
    var doubleQuant = false

    @Option(help: ArgumentHelp("Elements of 4 bits that share a scale; 64 by default.", valueName: "n"))
    var blocksize: Int?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Leave the modules out whose paths begin with this pattern or end in this text, in place of the output layer: "
                + "llm_int8_skip_modules of transformers.", valueName: "pattern"))
    var skipModules: [String] = []

    @Flag(help: "Replace a model that lies in the output folder.")
    var overwrite = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let blocksize, !Quantization.blockSizes.contains(blocksize) {
            let sizes = Quantization.blockSizes.map(String.init).joined(separator: ", ")
            throw ValidationError("--blocksize must be one of \(sizes), got \(blocksize)")
        }
        if quantType == .int8, blocksize != nil || doubleQuant {
            throw ValidationError(
                "\(doubleQuant ? "--double-quant" : "--blocksize"): 8-bit weights have a scale for each row, and no blocks"
            )
        }
    }

    func run() throws {
        common.apply()
        let settings = QuantizeSettings(
            base: base, output: output,
            quantization: QuantizationSettings(
                Quantization(quantType.format, blockSize: blocksize ?? 64, isDouble: doubleQuant),
                skippedModules: skipModules.isEmpty ? nil : skipModules), overwrites: overwrite)
        let summary = try quantize(settings, warn: Console.report)
        Console.note(
            "\(summary.layerCount) layers are in \(settings.quantization.description) now, "
                + "\(summary.bitsPerParameter.text(decimals: 3)) bits for each of \(summary.parameterCount.grouped) parameters; "
                + "the weights take \(summary.byteCount.asBytes) instead of \(summary.byteCountBefore.asBytes).")
        Console.note(
            "The weights' relative error is \(summary.weightError.scientific); the logits of probe prompts differ by "
                + "\(summary.cost.scientific) of the largest at most, and by \(summary.difference.scientific) from what "
                + "was quantized.")
        Console.line(output)
    }
}
