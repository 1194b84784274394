import Configuration
import Datasets
import Diagnostics
import Files
import Layers
import Models
import Tokenizers
import Training

/// The records that models are evaluated on, and how they are read.
struct EvaluationData {
    let files: [String]
    let templates: ExampleTemplates
    /// The prompts to generate for; nil where nothing is generated.
    private(set) var groups: PromptGroups?
    private let command: EvalCommand
    /// The folder of the adapter or model that the templates belong to; nil where they were given.
    private let owner: String?
    /// The chat template that lies there.
    private let savedTemplate: String?
    private let settings: DataSettings?
    /// What the configuration calls the labels.
    private let labelNames: [String]?

    /// Whether texts have labels.
    var hasLabels: Bool { templates.task == .sequenceClassification }

    /// Whether `[P3]` in the templates is a place for virtual tokens, because one of the adapters has some to place.
    var hasPlaces = false

    /// - Parameters:
    ///   - owner: The adapter or model that the configuration belongs to, for messages; nil where there is one alone.
    ///   - folder: That of the adapter, where one was given.
    init(_ command: EvalCommand, _ document: ConfigDocument?, owner: String?, folder: String?) throws {
        self.command = command
        self.owner = folder
        savedTemplate = folder.flatMap { try? FileSystem.text(of: FileSystem.join($0, BaseModel.chatTemplateName)) }
        let given = try Self.templates(command)
        let wants = given == nil || command.data.isEmpty || command.shots > 0
        settings = wants ? try document.map(Self.settings) : nil
        labelNames = document?.root.section("data").optionalStrings("labels")
        files = command.data.isEmpty ? settings?.validation ?? [] : command.data
        if files.isEmpty {
            throw Problem(
                "no data to evaluate on: give --data, or data.validation in the configuration", file: owner,
                exitStatus: .usage)
        }
        guard let templates = try given ?? settings?.templates ?? Self.lines(files) else {
            throw Problem(
                "no template says how prompts are made of the records: give --prompt and --completion, --text, or --config",
                file: owner, exitStatus: .usage)
        }
        self.templates = try Self.choosing(templates, command)
        if command.shots > 0, settings?.train.isEmpty != false {
            throw Problem(
                "--shots takes records from data.train: give the run's configuration with --config", file: owner,
                exitStatus: .usage)
        }
    }

    /// Whether a model gets the same records in the same form from both.
    func isSame(as other: EvaluationData) -> Bool {
        files == other.files && templates == other.templates && hasPlaces == other.hasPlaces
            && (templates.conversation == nil || command.config != nil || savedTemplate == other.savedTemplate)
            && (settings == nil) == (other.settings == nil)
            && settings?.maximumLength == other.settings?.maximumLength
            && settings?.maximumTargetLength == other.settings?.maximumTargetLength
            && settings?.policy == other.settings?.policy
            && settings?.blockSize == other.settings?.blockSize && settings?.labels == other.settings?.labels
            && settings?.labelsAreNumbers == other.settings?.labelsAreNumbers
            && (command.shots == 0 && !hasLabels || settings?.train == other.settings?.train)
    }

    /// What a table's rows must have in common; nil where this goes into a table with `other`.
    func conflict(with other: EvaluationData) -> String? {
        if files != other.files {
            return "are evaluated on different files, \(files.joined(separator: ", ")) and "
                + "\(other.files.joined(separator: ", ")): give --data"
        }
        func list(_ template: Template) -> String { template.fieldNames.map { "{\($0)}" }.joined(separator: ", ") }
        switch (templates, other.templates) {
        case (.completion(_, let mine), .completion(_, let others)):
            if Set(mine.fieldNames) == Set(others.fieldNames) { return nil }
            return "complete prompts with different fields, \(list(mine)) and \(list(others))"
        case (.labelled(_, let mine), .labelled(_, let others)):
            return mine == others
                ? nil : "take labels from different places, '\(mine.template.source)' and '\(others.template.source)'"
        case (.conversation(let mine), .conversation(let others)):
            return mine.field == others.field
                ? nil : "have conversations in different fields, '\(mine.field)' and '\(others.field)'"
        case (.text(let mine), .text(let others)):
            if Set(mine.fieldNames) == Set(others.fieldNames) { return nil }
            return "learn texts of different fields, \(list(mine)) and \(list(others))"
        default:
            return "have different tasks"
        }
    }

    /// The same with the prompts to generate for.
    func withGroups() throws -> EvaluationData {
        var copy = self
        copy.groups = try loadGroups()
        return copy
    }

    private func loadGroups() throws -> PromptGroups? {
        let generates = !command.textMetrics.isEmpty
        switch templates {
        case .completion(let prompt, let completion):
            if generates {
                return try PromptGroups(
                    paths: files, prompt: prompt, completion: completion, limit: command.limit)
            }
            if command.savePredictions != nil, templates.choices == nil {
                throw Problem("--save-predictions writes generated texts: give --metrics too", exitStatus: .usage)
            }
        case .conversation(let source):
            if command.shots > 0 {
                throw Problem("--shots needs prompts and completions: the data has conversations", exitStatus: .usage)
            }
            if generates {
                return try PromptGroups(paths: files, conversationsIn: source.field, limit: command.limit)
            }
            if command.savePredictions != nil {
                throw Problem("--save-predictions writes generated texts: give --metrics too", exitStatus: .usage)
            }
        case .text:
            if generates {
                throw Problem(
                    "\(command.metricsOption) compares completions of prompts: the data has text only",
                    exitStatus: .usage)
            }
            if command.savePredictions != nil || command.shots > 0 {
                let option = command.shots > 0 ? "--shots" : "--save-predictions"
                throw Problem("\(option) needs prompts: the data has text only", exitStatus: .usage)
            }
        case .labelled:
            if generates {
                throw Problem(
                    "\(command.metricsOption) compares completions of prompts: the data has labels", exitStatus: .usage)
            }
        }
        return nil
    }

    /// All files that records come from.
    var inputs: [String] { files + (settings.map { $0.train + $0.validation } ?? []) }

    /// What labels are for a model that has none of its own: those of the training data, or of these records.
    func labels() throws -> LabelSet? {
        if let settings, !settings.train.isEmpty, let labels = try settings.labelSet(paths: settings.train) {
            return labels
        }
        if settings?.labelsAreNumbers == true { return .regression }
        return try settings?.labels.map { LabelSet(names: $0) } ?? templates.labelSet(paths: files)
    }

    /// The labels of a model under the names that the configuration has for them, where it has none of its own.
    func named(_ labels: LabelSet, folder: String) throws -> LabelSet { try labels.named(labelNames, folder: folder) }

    /// The examples for a model; `labels` are those that it tells, or is asked for.
    func dataset(for base: BaseModel, labels: LabelSet?, shots: FewShot?) throws -> Dataset {
        let limit = base.model.maximumLength
        var length = shots == nil ? min(limit, settings?.maximumLength ?? limit) : limit
        if policy == .drop, let labels, base.labels == nil {
            length = try max(1, min(length, limit - LabelQuestions.reserve(for: labels, shots, base.codec())))
        }
        var encoder = try encoder(for: base, labels, length: length)
        if length != settings?.maximumLength {
            encoder.limitName = ExampleEncoder.limitName(
                besideVirtualTokens: base.model.prompt?.positionOffset ?? 0)
        }
        if let shots, !hasLabels { encoder.shots = shots.encoded(encoder.codec) }
        if let blockSize = settings?.blockSize, case .text = templates {
            if blockSize > limit {
                throw Problem("\(blockSize) is more than what the model takes (\(limit))", key: "data.block_size")
            }
            return try Dataset(paths: files, limit: command.limit, blockSize: blockSize, encoder: encoder)
        }
        return try Dataset(paths: files, limit: command.limit, encoder: encoder)
    }

    /// The records that a model is shown; nil without --shots.
    func shots(for base: BaseModel, labels: LabelSet?) throws -> FewShot? {
        guard command.shots > 0, let settings else { return nil }
        if base.labels != nil {
            throw Problem("--shots shows records to a language model, and this one tells labels", file: base.folder)
        }
        return try FewShot(
            command.shots, for: base, settings, encoder: try encoder(for: base, labels, length: nil), seed: command.seed
        )
    }

    /// The policy for what is longer than `data.max_length`, or than the model takes.
    var policy: LengthPolicy { settings?.policy ?? .error }

    private func encoder(for base: BaseModel, _ labels: LabelSet?, length: Int?) throws -> ExampleEncoder {
        var encoder = ExampleEncoder(
            templates: templates, codec: try base.codec(hasPlaces: hasPlaces), maximumLength: length, policy: policy)
        encoder.labels = labels
        encoder.paddingID = base.paddingID
        encoder.chat = try chat(for: base)
        encoder.beginsEmptyTexts = base.labels == nil
        try encoder.codec.virtualTokens.check(templates)
        try encoder.codec.check(
            templates, blockSize: settings?.blockSize, maximumTargetLength: settings?.maximumTargetLength)
        if length != nil, let settings { encoder.limitTargets(settings) }
        return encoder
    }

    /// How a model's conversations are written; nil where the data has none.
    func chat(for base: BaseModel) throws -> ChatFormat? {
        // A configuration that is given says it for all adapters.
        try templates.conversation.map {
            try base.chatFormat($0.template, savedIn: command.config == nil ? owner : nil)
        }
    }

    /// What a configuration says of the data.
    static func settings(_ document: ConfigDocument) throws -> DataSettings {
        let task = document.root.choice("task", default: LearningTask.causalLM)
        let given = document.root.optionalString("task")
        let settings = DataSettings(
            document.root.section("data"), task: given == nil || given == task.rawValue ? task : nil,
            needsTrainingFiles: false)
        try document.finish(allowingUnknownKeys: true)
        for warning in document.warnings { Console.report(warning) }
        return settings
    }

    /// The template that an option gives.
    static func template(_ source: String, _ option: String) throws -> Template {
        do {
            return try Template(source)
        } catch let problem as Problem {
            throw Problem(problem.message, key: option, exitStatus: .usage)
        }
    }

    private static func templates(_ command: EvalCommand) throws -> ExampleTemplates? {
        if let text = command.text {
            let text = try template(text, "--text")
            guard let label = command.label else { return .text(text) }
            return .labelled(text: text, label: try LabelTemplate(template(label, "--label"), pattern: nil))
        }
        guard let prompt = command.prompt, let completion = command.completion else { return nil }
        return .completion(
            prompt: try template(prompt, "--prompt"), completion: try template(completion, "--completion"))
    }

    /// With the choices that the command line gives.
    private static func choosing(_ templates: ExampleTemplates, _ command: EvalCommand) throws -> ExampleTemplates {
        guard let choices = command.choices else {
            if command.choiceNormalization != nil, templates.choices == nil {
                throw Problem(
                    "--choice-normalization goes with --choices, or data.choices in the configuration",
                    exitStatus: .usage)
            }
            return templates
        }
        if choices.isEmpty {
            throw Problem(
                "--choices is empty: name the field that holds a record's answers, or give the answers of all with commas "
                    + "between them", exitStatus: .usage)
        }
        do {
            let values = choices.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            return try templates.choosing(among: ChoiceSource(values))
        } catch let problem as Problem {
            throw Problem("--choices \(problem.message)", exitStatus: .usage)
        }
    }

    /// Text files need no template.
    private static func lines(_ files: [String]) throws -> ExampleTemplates? {
        guard files.allSatisfy({ $0.lowercased().hasSuffix(".txt") }) else { return nil }
        return .text(try Template("{text}"))
    }
}

extension LabelSet {
    /// The labels of the model in `folder` under the names that a configuration has for them, where the model has none.
    func named(_ names: [String]?, folder: String) throws -> LabelSet {
        guard !isRegression, isUnnamed, let names else { return self }
        if names.count != self.names.count {
            throw Problem(
                "names \(names.count) labels, but the model has \(self.names.count) without names", file: folder,
                key: "data.labels")
        }
        return LabelSet(names: names)
    }
}
