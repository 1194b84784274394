import Checkpoints
import Configuration
import Datasets
import Diagnostics
import JSONText
import Layers
import Models
import Tokenizers
import Training

/// Evaluates the models that a command line asks for, one after the other, on the same data.
struct EvaluationSession {
    private let command: EvalCommand
    private let variants: [ModelSelection.Variant]
    private let settings: DataSettings?
    private let files: [String]
    private let templates: ExampleTemplates
    /// The prompts to generate for; empty without --rouge.
    private let groups: [PromptGroup]
    /// Whether `[P3]` in the templates is a place for virtual tokens, because one of the adapters has some to place.
    private let hasPlaces: Bool

    init(_ command: EvalCommand) throws {
        self.command = command
        let selection = try ModelSelection(
            base: command.base, adapters: command.adapter, config: command.config, overrides: command.set)
        variants = (command.compareBase ? selection.bases : []) + selection.variants
        let given = try Self.templates(command)
        let wants = given == nil || command.data.isEmpty
        settings = wants ? try selection.document.map(Self.settings) : nil
        files = command.data.isEmpty ? settings?.validation ?? [] : command.data
        if files.isEmpty {
            throw Problem(
                "no data to evaluate on: give --data, or data.validation in the configuration", exitStatus: .usage)
        }
        guard let templates = try given ?? settings?.templates ?? Self.lines(files) else {
            throw Problem(
                "no template says how prompts are made of the records: give --prompt and --completion, --text, or --config",
                exitStatus: .usage)
        }
        self.templates = templates
        hasPlaces = try variants.contains { variant in
            try variant.adapter.map { try AdapterFolder(path: $0, warn: { _ in }).placesVirtualTokens } ?? false
        }
        guard command.rouge else {
            groups = []
            return
        }
        guard case .completion(let prompt, let completion) = templates else {
            throw Problem("--rouge compares completions of prompts: the data has text only", exitStatus: .usage)
        }
        let all = try PromptGroup.load(paths: files, prompt: prompt, completion: completion)
        groups = Array(all.prefix(command.limit ?? all.count))
    }

    func run() throws -> [EvaluationReport] {
        var reports: [EvaluationReport] = []
        var predictions: [JSONValue] = []
        var loaded: (path: String, model: BaseModel)?
        for variant in variants {
            if loaded?.path != variant.base {
                loaded = nil
                let model = try BaseModel.load(
                    variant, isNamedByAdapter: variant.adapter != nil && command.base == nil && command.config == nil)
                loaded = (variant.base, model)
            }
            guard let loaded else { continue }
            let adapter = try variant.adapter.map { try AdapterFolder(path: $0, warn: Console.report) }
            let label = variant.label ?? "base"
            reports.append(
                try loaded.model.with(adapter) {
                    // How long examples may be, and what places in them mean, depends on the adapter.
                    let loss = try loss(loaded.model, dataset(for: loaded.model), label)
                    guard command.rouge else {
                        return EvaluationReport(adapter: variant.label, loss: loss, rouge: nil)
                    }
                    let texts = try generate(loaded.model, label)
                    predictions += zip(groups, texts).map { prediction(variant.label, $0, $1) }
                    let scores = rouge(of: texts, command.scoring)
                    return EvaluationReport(adapter: variant.label, loss: loss, rouge: (texts.count, scores))
                })
        }
        Console.showStatus("")
        if let path = command.savePredictions {
            try AtomicFile.write(predictions.map { $0.text(.compact) + "\n" }.joined(), to: path)
        }
        return reports
    }

    /// Rows of a pass: enough for the rate of the products, few enough for their results to stay small.
    private static let rowsPerPass = 2048

    private func loss(_ base: BaseModel, _ dataset: Dataset, _ label: String) throws -> LossSummary {
        try evaluateLoss(of: base.model, on: dataset, rowsPerPass: Self.rowsPerPass) { done in
            status("\(label): loss, \(done.grouped) of \(dataset.count.grouped) examples")
        }
    }

    private func generate(_ base: BaseModel, _ label: String) throws -> [ScoredText] {
        let tokenizer = try base.requiredTokenizer()
        let generator = Generator(
            model: base.model, endID: base.endOfTextID,
            settings: GenerationSettings(maximumNewTokens: command.maxNewTokens, sampling: nil))
        var done = 0
        let results = try generator.generate(
            try groups.map { try base.promptIDs($0.prompt, hasPlaces: hasPlaces) }, firstIndex: 0,
            onFinish: { _, _ in
                done += 1
                status("\(label): generating, \(done.grouped) of \(groups.count.grouped) prompts")
            })
        return zip(groups, results).map { group, result in
            ScoredText(
                prediction: tokenizer.decodedString(result.tokens, skippingSpecialTokens: true),
                references: group.references)
        }
    }

    private func status(_ text: String) {
        if Console.errorCanRedraw, !Console.isQuiet { Console.showStatus(text) }
    }

    private func prediction(_ adapter: String?, _ group: PromptGroup, _ text: ScoredText) -> JSONValue {
        var members: [JSONValue.Member] = []
        if variants.count > 1 { members.append(.init("adapter", adapter.map(JSONValue.string) ?? nil)) }
        members += [
            .init("prompt", .string(group.prompt)), .init("prediction", .string(text.prediction)),
            .init("references", .array(text.references.map(JSONValue.string))),
        ]
        return .object(members)
    }

    private func dataset(for base: BaseModel) throws -> Dataset {
        let limit = base.model.maximumLength
        let length = min(limit, settings?.maximumLength ?? limit)
        var encoder = ExampleEncoder(
            templates: templates, tokenizer: try base.requiredTokenizer(), beginningID: nil, endID: base.endOfTextID,
            maximumLength: length, policy: settings?.policy ?? .error)
        if length != settings?.maximumLength { encoder.limitName = "what the model takes" }
        encoder.virtualTokens = VirtualTokenPlaces(placedCount: base.model.prompt?.placedCount ?? 0)
        if encoder.virtualTokens == .none, hasPlaces { encoder.virtualTokens = .empty }
        try encoder.virtualTokens.check(templates)
        if let blockSize = settings?.blockSize, case .text = templates {
            if blockSize > limit {
                throw Problem("\(blockSize) is more than what the model takes (\(limit))", key: "data.block_size")
            }
            return try Dataset(paths: files, blockSize: blockSize, encoder: encoder)
        }
        return try Dataset(paths: files, encoder: encoder)
    }

    private static func settings(_ document: ConfigDocument) throws -> DataSettings {
        let settings = DataSettings(document.root.section("data"), needsTrainingFiles: false)
        try document.finish(allowingUnknownKeys: true)
        return settings
    }

    private static func templates(_ command: EvalCommand) throws -> ExampleTemplates? {
        func template(_ source: String, _ option: String) throws -> Template {
            do {
                return try Template(unescaped(source))
            } catch let problem as Problem {
                throw Problem(problem.message, key: option, exitStatus: .usage)
            }
        }
        if let text = command.text { return .text(try template(text, "--text")) }
        guard let prompt = command.prompt, let completion = command.completion else { return nil }
        return .completion(
            prompt: try template(prompt, "--prompt"), completion: try template(completion, "--completion"))
    }

    /// `\n`, `\t` and `\\` as a shell's user writes them.
    private static func unescaped(_ text: String) -> String {
        var result = ""
        var isEscaped = false
        for character in text.unicodeScalars {
            if isEscaped {
                switch character {
                case "n": result += "\n"
                case "t": result += "\t"
                case "\\": result += "\\"
                default: result += "\\\(character)"
                }
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else {
                result.unicodeScalars.append(character)
            }
        }
        return isEscaped ? result + "\\" : result
    }

    /// Text files need no template.
    private static func lines(_ files: [String]) throws -> ExampleTemplates? {
        guard files.allSatisfy({ $0.lowercased().hasSuffix(".txt") }) else { return nil }
        return .text(try Template("{text}"))
    }
}
