import ArgumentParser
import Checkpoints
import Diagnostics
import Files
import Training

/// Merges adapters into their base model.
struct MergeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Merge adapters into their base model, and prove that the result computes the same.",
        discussion: """
            The output is a model folder as transformers saves it. It appears only when probe prompts have given the \
            same logits through base and adapter and through the written files. Without an adapter a model is written \
            again as it is, in another type.

            Several adapters' changes are summed by their weights; of heads for a task, which the base hasn't got, the
            mean by their weights is taken. All must be for the same task and labels.

            An adapter that was trained on a base in 4 or 8 bits is merged into the floats that the base was made from; how
            far that is from what was trained is told. Where there are none, --dequantize or --requantize takes what the
            codes stand for.

            With --combine several LoRA adapters become one, which peft loads: cat is the exact sum of their changes by the
            weights, svd its best approximation of a rank; the others keep only the largest numbers, elect signs, or drop
            numbers at random. How far the result is from the plain sum is told. With --into-base it is merged at once.

            EXAMPLES:
              peft merge --adapter runs/demo --output runs/demo-merged
              peft merge --adapter runs/a:0.7 --adapter runs/b:0.3 --output runs/mixed --dtype float16
              peft merge --base runs/pretrained --output small --dtype bfloat16
              peft merge --adapter runs/qlora --output runs/qlora-merged --requantize
              peft merge --base gpt2-nf4 --output gpt2-floats --dequantize
              peft merge --combine cat --adapter runs/a:0.7 --adapter runs/b:0.3 --output runs/both
              peft merge --combine ties --density 0.5 --adapter runs/a --adapter runs/b --output runs/ties
            """)

    enum DataType: String, ExpressibleByArgument, CaseIterable {
        case float32, float16, bfloat16

        var elementType: ElementType {
            switch self {
            case .float32: .float32
            case .float16: .float16
            case .bfloat16: .bfloat16
            }
        }
    }

    @Option(
        help: ArgumentHelp(
            "An adapter's folder, and what its change is multiplied by (1 without); may be given several times.",
            valueName: "dir[:weight]"), transform: expandedPath)
    var adapter: [String] = []

    @Option(
        help: ArgumentHelp(
            "The base model: a folder, or a name in the local Hub cache. By default the one that the adapter names.",
            valueName: "dir"), transform: expandedPath)
    var base: String?

    @Option(
        help: ArgumentHelp(
            "The folder that the merged model, or the combined adapter, is written to.", valueName: "dir"),
        transform: expandedPath)
    var output: String

    @Option(help: "The type of all weights. By default each tensor keeps its own.")
    var dtype: DataType?

    @Flag(help: "Write floats: what a base's weights in 4 or 8 bits stand for, and the change.")
    var dequantize = false

    @Flag(help: "Quantize the sums of what a base's weights in 4 or 8 bits stand for and the change as those were.")
    var requantize = false

    @Flag(help: "Replace a model that lies in the output folder.")
    var overwrite = false

    @OptionGroup(title: "Combining adapters") var combining: CombineOptions
    @OptionGroup var otherBase: OtherBaseOption
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if let type = combining.combine {
            if adapter.count < 2 {
                throw ValidationError(
                    adapter.isEmpty
                        ? "--combine: give the adapters, as --adapter DIR:WEIGHT, two at least"
                        : "--combine: one adapter is combined with nothing: give two at least")
            }
            let ofModels = [
                ("--dtype", dtype != nil), ("--dequantize", dequantize), ("--requantize", requantize),
                ("--overwrite", overwrite),
            ]
            if !combining.intoBase, let first = ofModels.first(where: \.1) {
                throw ValidationError(
                    "\(first.0) concerns a model, and --combine \(type.rawValue) writes an adapter: give --into-base too"
                )
            }
        }
        if dequantize, requantize { throw ValidationError("--dequantize and --requantize: only one can be") }
        if requantize, dtype != nil {
            throw ValidationError("--dtype: weights of 4 and 8 bits have no other type; leave out --requantize")
        }
        if adapter.isEmpty, requantize { throw ValidationError("--requantize: nothing changes without --adapter") }
        if adapter.isEmpty, base == nil || dtype == nil && !dequantize {
            throw ValidationError(
                "nothing to merge: give --adapter, or --base with --dtype to change a model's type or with --dequantize"
            )
        }
    }

    func run() throws {
        common.apply()
        let adapters = try adapter.map(Self.weighted)
        let bases = try base.map { [$0] } ?? adapters.map { try ModelSelection.base(of: $0.path) }
        if let other = bases.first(where: { !ModelSelection.isSame($0, bases[0]) }) {
            throw Problem("the adapters name different base models, '\(bases[0])' and '\(other)': give one with --base")
        }
        let settings = MergeSettings(
            base: bases[0], adapters: adapters, output: output, elementType: dtype?.elementType, overwrites: overwrite,
            acceptsOtherBase: otherBase.otherBase,
            form: dequantize ? .dequantized : requantize ? .requantized : .original)
        if let combination = combining.settings(
            base: bases[0], adapters: adapters, output: output, acceptsOtherBase: otherBase.otherBase)
        {
            try BaseModel.hinting(at: bases[0], isNamedByAdapter: base == nil) { try run(combination, settings) }
        } else {
            let summary = try BaseModel.hinting(at: bases[0], isNamedByAdapter: base == nil) {
                try merge(settings, warn: Console.report)
            }
            tell(summary)
        }
        Console.line(output)
    }

    private func run(_ combination: CombinationSettings, _ settings: MergeSettings) throws {
        if !combining.intoBase { return tell(try combine(combination, warn: Console.report)) }
        let (combined, merged) = try merge(settings, combining: combination, warn: Console.report)
        tell(combined)
        tell(merged)
    }

    private func tell(_ summary: CombinationSummary) {
        for note in summary.notes { Console.note(note) }
        let ranks =
            summary.ranks.lowerBound == summary.ranks.upperBound
            ? "\(summary.ranks.lowerBound)" : "\(summary.ranks.lowerBound) to \(summary.ranks.upperBound)"
        Console.note(
            "Combined \(adapter.count) adapters into one of rank \(ranks) in \(summary.modules) modules; the logits of probe "
                + "prompts differ by \(summary.difference.scientific) of the largest at most (accepted: "
                + "\(summary.bound.scientific)).")
        if let distance = summary.distance {
            Console.note(
                "From those of the plain sum of the changes they differ by \(distance.scientific) of the largest.")
        }
    }

    private func tell(_ summary: MergeSummary) {
        for note in summary.notes { Console.note(note) }
        if summary.untiedHead {
            Console.note(
                "The output layer has a weight of its own now: the adapter changed it apart from the embedding.")
        }
        Console.note(
            (adapter.isEmpty
                ? "Wrote \(summary.writtenTensors) tensors"
                : "Merged into \(summary.changedTensors) of \(summary.writtenTensors) tensors")
                + "; the logits of probe prompts differ by \(summary.difference.scientific) of the largest at most (accepted: \(summary.bound.scientific))."
        )
        if let words = Self.words(summary, isRequantized: requantize) { Console.note(words) }
    }

    /// What became of a base in 4 or 8 bits.
    private static func words(_ summary: MergeSummary, isRequantized: Bool) -> String? {
        guard let kind = summary.quantization else { return nil }
        if isRequantized {
            var words =
                "\(summary.quantizedTensors) weights are in \(kind); quantizing the sums moved the logits by "
                + "\((summary.distance ?? 0).scientific) of the largest"
            if let before = summary.lossBefore, let after = summary.lossAfter {
                words +=
                    ", and the loss of the probe's texts from \(before.text(decimals: 4)) to "
                    + after.text(decimals: 4)
            }
            return words + "."
        }
        guard let distance = summary.distance else {
            return "\(summary.quantizedTensors) weights that were in \(kind) are floats now."
        }
        return "The adapter was trained on weights in \(kind): what was trained gives logits that differ from these by "
            + "\(distance.scientific) of the largest at most, and the bases without the adapter by "
            + "\((summary.baseDistance ?? 0).scientific). --dequantize and --requantize keep to what was trained."
    }

    /// `dir` or `dir:weight`; a colon is part of the path where that is a folder, or no number follows it.
    private static func weighted(_ text: String) throws -> MergeSettings.WeightedAdapter {
        guard !FileSystem.exists(text), let colon = text.lastIndex(of: ":"),
            let weight = Float(text[text.index(after: colon)...])
        else { return MergeSettings.WeightedAdapter(path: text, weight: 1) }
        if !weight.isFinite { throw ValidationError("--adapter: the weight in '\(text)' isn't a number") }
        return MergeSettings.WeightedAdapter(path: String(text[..<colon]), weight: weight)
    }
}
