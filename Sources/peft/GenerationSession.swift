import Checkpoints
import Datasets
import Diagnostics
import JSONText
import Layers
import Models
import Tokenizers
import Training

/// Generates with one base model and its adapters, and prints what comes out.
struct GenerationSession {
    private let base: BaseModel
    /// The adapters with their paths as given; one nil for the base alone.
    private let variants: [(label: String?, adapter: AdapterFolder?)]
    private let generator: Generator
    /// Whether one of the adapters has virtual tokens for the places in prompts.
    private let hasPlaces: Bool
    /// The number of prompts so far.
    private var promptCount = 0

    var variantCount: Int { variants.count }

    init(_ selection: ModelSelection, settings: GenerationSettings) throws {
        let first = selection.variants[0]
        if let other = selection.variants.first(where: { $0.base != first.base }) {
            throw Problem(
                "the adapters name different base models, '\(first.base)' and '\(other.base)': give one with --base")
        }
        let base = try BaseModel.load(first, labels: nil, isNamedByAdapter: selection.isBaseNamedByAdapter)
        if base.labels != nil { throw Self.classifierProblem(base.folder) }
        _ = try base.requiredTokenizer()
        self.base = base
        variants = try selection.variants.map { variant in
            let adapter = try variant.adapter.map { try AdapterFolder(path: $0, warn: Console.report) }
            if let adapter, try LabelSet(of: adapter) != nil { throw Self.classifierProblem(adapter.path) }
            return (variant.adapter, adapter)
        }
        hasPlaces = try variants.contains { try $0.adapter?.placesVirtualTokens ?? false }
        generator = Generator(model: base.model, endID: base.endOfTextID, settings: settings)
    }

    private static func classifierProblem(_ path: String) -> Problem {
        Problem(
            "tells labels and writes no text; 'peft eval --save-predictions FILE' writes the label of each record",
            file: path)
    }

    /// Prints a completion while it is generated.
    func stream(_ prompt: PlacedText) throws {
        let tokenizer = try base.requiredTokenizer()
        var text = StreamingText()
        let results = try base.with(variants[0].adapter) {
            try generator.generate(
                encoded([prompt], lines: nil), firstIndex: 0,
                onToken: { _, token in
                    Console.write(text.append(tokenizer.decode([token], skippingSpecialTokens: true)))
                })
        }
        Console.line(text.finish())
        report(results, lines: nil)
    }

    /// Prints the completions of prompts in order, each by all adapters.
    ///
    /// - Parameter lines: The lines that the prompts come from, where they are from a file.
    mutating func run(_ prompts: [PlacedText], lines: [Int]?, json: Bool) throws {
        let tokenizer = try base.requiredTokenizer()
        let results = try variants.map { variant in
            try base.with(variant.adapter) {
                try generator.generate(encoded(prompts, lines: lines), firstIndex: promptCount)
            }
        }
        promptCount += prompts.count
        for (index, prompt) in prompts.enumerated() {
            for (variant, generations) in zip(variants, results) {
                let completion = tokenizer.decodedString(generations[index].tokens, skippingSpecialTokens: true)
                if json {
                    var members: [JSONValue.Member] = []
                    if variants.count > 1 { members.append(.init("adapter", .string(variant.label ?? ""))) }
                    members += [.init("prompt", .string(prompt.source)), .init("completion", .string(completion))]
                    Console.line(JSONValue.object(members).text(.compact))
                } else {
                    Console.line((variants.count > 1 ? "\(variant.label ?? ""): " : "") + completion)
                }
            }
        }
        for generations in results { report(generations, lines: lines) }
    }

    private func encoded(_ prompts: [PlacedText], lines: [Int]?) throws -> [[Int32]] {
        let limit = base.model.maximumLength
        return try prompts.enumerated().map { index, prompt in
            func place(_ message: String) -> Problem {
                Problem(
                    message, file: lines == nil ? nil : "stdin",
                    position: lines.map { TextPosition(line: $0[index], column: 1) })
            }
            let ids: [Int32]
            do {
                ids = try base.promptIDs(prompt, hasPlaces: hasPlaces)
            } catch let problem as Problem where problem.file == nil {
                throw place(problem.message)
            }
            if ids.isEmpty { throw place("the prompt is empty, and the model has no token to begin a text with") }
            if ids.count > limit {
                throw place("the prompt has \(ids.count) tokens, but the model takes at most \(limit) (n_positions)")
            }
            return ids
        }
    }

    private func report(_ generations: [Generation], lines: [Int]?) {
        for (index, generation) in generations.enumerated() where generation.stop == .lengthLimit {
            Console.report(
                Problem(
                    "generation stopped: prompt and completion are as long as the model takes "
                        + "(n_positions, \(base.model.maximumLength) tokens)", file: lines == nil ? nil : "stdin",
                    position: lines.map { TextPosition(line: $0[index], column: 1) }, severity: .warning))
        }
    }
}
