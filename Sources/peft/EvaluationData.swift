import Checkpoints
import Configuration
import Datasets
import Diagnostics
import Layers
import Models
import Tokenizers
import Training

/// The records that models are evaluated on, and how they are read.
struct EvaluationData {
    let files: [String]
    let templates: ExampleTemplates
    /// The prompts to generate for; empty without --rouge.
    let groups: [PromptGroup]
    private let command: EvalCommand
    private let settings: DataSettings?

    /// Whether texts have labels.
    var hasLabels: Bool { if case .labelled = templates { true } else { false } }

    /// Whether `[P3]` in the templates is a place for virtual tokens, because one of the adapters has some to place.
    let hasPlaces: Bool

    init(_ command: EvalCommand, _ selection: ModelSelection, _ variants: [ModelSelection.Variant]) throws {
        self.command = command
        hasPlaces = try variants.contains { variant in
            try variant.adapter.map { try AdapterFolder(path: $0, warn: { _ in }).placesVirtualTokens } ?? false
        }
        let given = try Self.templates(command)
        let wants = given == nil || command.data.isEmpty || command.shots > 0
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
        if command.shots > 0, settings?.train.isEmpty != false {
            throw Problem(
                "--shots takes records from data.train: give the run's configuration with --config", exitStatus: .usage)
        }
        groups = try Self.groups(command, templates, files)
    }

    private static func groups(
        _ command: EvalCommand, _ templates: ExampleTemplates, _ files: [String]
    ) throws -> [PromptGroup] {
        switch templates {
        case .completion(let prompt, let completion):
            if command.rouge {
                let all = try PromptGroup.load(paths: files, prompt: prompt, completion: completion)
                return Array(all.prefix(command.limit ?? all.count))
            }
            if command.savePredictions != nil {
                throw Problem("--save-predictions writes generated texts: give --rouge too", exitStatus: .usage)
            }
        case .text:
            if command.rouge {
                throw Problem("--rouge compares completions of prompts: the data has text only", exitStatus: .usage)
            }
            if command.savePredictions != nil || command.shots > 0 {
                let option = command.shots > 0 ? "--shots" : "--save-predictions"
                throw Problem("\(option) needs prompts: the data has text only", exitStatus: .usage)
            }
        case .labelled:
            if command.rouge {
                throw Problem("--rouge compares completions of prompts: the data has labels", exitStatus: .usage)
            }
        }
        return []
    }

    /// What labels are for a model that has none of its own: those of the training data, or of these records.
    func labels() throws -> LabelSet? {
        if let settings, !settings.train.isEmpty, let labels = try settings.labelSet(paths: settings.train) {
            return labels
        }
        if settings?.problemType == .regression { return .regression }
        return try settings?.labels.map { LabelSet(names: $0) } ?? templates.labelSet(paths: files)
    }

    /// The examples for a model; `labels` are those that it tells, or is asked for.
    func dataset(for base: BaseModel, labels: LabelSet?, shots: FewShot?) throws -> Dataset {
        let limit = base.model.maximumLength
        let length = shots == nil ? min(limit, settings?.maximumLength ?? limit) : limit
        var encoder = try encoder(for: base, labels, length: length)
        if length != settings?.maximumLength {
            encoder.limitName = ExampleEncoder.limitName(
                besideVirtualTokens: base.model.prompt?.positionOffset ?? 0)
        }
        if let shots, !hasLabels { encoder.shots = shots.encoded(try base.requiredTokenizer()) }
        if let blockSize = settings?.blockSize, case .text = templates {
            if blockSize > limit {
                throw Problem("\(blockSize) is more than what the model takes (\(limit))", key: "data.block_size")
            }
            return try Dataset(paths: files, blockSize: blockSize, encoder: encoder)
        }
        return try Dataset(paths: files, encoder: encoder)
    }

    /// The records that a model is shown; nil without --shots.
    func shots(for base: BaseModel, labels: LabelSet?) throws -> FewShot? {
        guard command.shots > 0, let settings else { return nil }
        if base.labels != nil {
            throw Problem("--shots shows records to a language model, and this one tells labels", file: base.folder)
        }
        let encoder = try encoder(for: base, labels, length: nil)
        return try FewShot(
            command.shots, of: Dataset(paths: settings.train, encoder: encoder), seed: command.seed)
    }

    private func encoder(for base: BaseModel, _ labels: LabelSet?, length: Int?) throws -> ExampleEncoder {
        var encoder = ExampleEncoder(
            templates: templates, tokenizer: try base.requiredTokenizer(), beginningID: nil, endID: base.endOfTextID,
            maximumLength: length, policy: settings?.policy ?? .error)
        encoder.labels = labels
        encoder.paddingID = base.paddingID
        encoder.virtualTokens = VirtualTokenPlaces(placedCount: base.model.prompt?.placedCount ?? 0)
        if encoder.virtualTokens == .none, hasPlaces { encoder.virtualTokens = .empty }
        try encoder.virtualTokens.check(templates)
        return encoder
    }

    private static func settings(_ document: ConfigDocument) throws -> DataSettings {
        let task = document.root.choice("task", default: LearningTask.causalLM)
        let settings = DataSettings(document.root.section("data"), task: task, needsTrainingFiles: false)
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
        if let text = command.text {
            let text = try template(text, "--text")
            guard let label = command.label else { return .text(text) }
            return .labelled(text: text, label: try LabelTemplate(template(label, "--label"), pattern: nil))
        }
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
