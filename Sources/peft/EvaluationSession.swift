import Checkpoints
import Datasets
import Diagnostics
import Files
import JSONText
import Models
import Ranks
import Training

/// Evaluates the models that a command line asks for, one after the other, on the same data.
struct EvaluationSession {
    private let command: EvalCommand
    private let variants: [ModelSelection.Variant]
    private let isBaseNamedByAdapter: Bool
    /// What the models are evaluated on, and which of it each is: the templates are those of the adapter's own training.
    private let sources: [EvaluationData]
    private let sourceOfVariant: [Int]
    /// Where the predictions go.
    private let output: OutputFile?

    /// A base model with what belongs to it, for all of its adapters that tell the same labels.
    private struct Loaded {
        let path: String
        /// The labels of the adapters.
        let adapterLabels: LabelSet?
        /// The index of the data.
        let source: Int
        let base: BaseModel
        /// The labels of the data.
        let labels: LabelSet?
    }

    /// The records as one model gets them, which depends on its adapter.
    private struct Questions {
        let loaded: Loaded
        let shots: FewShot?
        let dataset: Dataset

        init(_ loaded: Loaded, _ data: EvaluationData) throws {
            self.loaded = loaded
            shots = try data.shots(for: loaded.base, labels: loaded.labels)
            dataset = try data.dataset(for: loaded.base, labels: loaded.labels, shots: shots)
            for warning in dataset.warnings { Console.report(warning) }
        }
    }

    init(_ command: EvalCommand) throws {
        self.command = command
        let selection = try ModelSelection(
            base: command.base, adapters: command.adapter, config: command.config, overrides: command.set,
            quantization: command.quantization, otherBase: command.otherBase)
        let bases = command.compareBase ? selection.bases : []
        variants = bases + selection.variants
        isBaseNamedByAdapter = selection.isBaseNamedByAdapter
        (sources, sourceOfVariant) = try Self.sources(command, bases, selection.variants)
        let inputs = sources.flatMap(\.inputs) + [command.config].compactMap { $0 }
        let models = variants.flatMap { [(try? HubCache.resolve($0.base)) ?? $0.base, $0.adapter] }.compactMap { $0 }
        output = try (Communicator.isFirst ? command.savePredictions : nil).map { path in
            try OutputFile(path, replacing: command.overwrite, inputs: inputs + models)
        }
    }

    /// The data of all variants; that of the bases is what those tuned from them have in common.
    private static func sources(
        _ command: EvalCommand, _ bases: [ModelSelection.Variant], _ tuned: [ModelSelection.Variant]
    ) throws -> (sources: [EvaluationData], ofVariant: [Int]) {
        var sources: [EvaluationData] = []
        var owners: [String] = []
        var places: [Int] = []
        let hasSharedTemplates = command.prompt != nil || command.text != nil || command.config != nil
        func hasPlaces(_ variant: ModelSelection.Variant) throws -> Bool {
            try variant.adapter.map { try AdapterFolder(path: $0, warn: { _ in }).placesVirtualTokens } ?? false
        }
        let anyHasPlaces = try tuned.contains(where: hasPlaces)
        for variant in tuned {
            let owner = variant.label ?? variant.base
            var data = try EvaluationData(
                command, variant.document, owner: tuned.count > 1 ? owner : nil, folder: variant.adapter)
            data.hasPlaces = try hasSharedTemplates ? anyHasPlaces : hasPlaces(variant)
            if let first = sources.first, let conflict = data.conflict(with: first) {
                throw Problem(
                    "'\(owners[0])' and '\(owner)' \(conflict); one table can't hold both", exitStatus: .usage
                )
            }
            if let known = sources.firstIndex(where: data.isSame) {
                places.append(known)
                continue
            }
            places.append(sources.count)
            sources.append(data)
            owners.append(owner)
        }
        if !bases.isEmpty, sources.count > 1 {
            throw Problem(
                "--compare-base: '\(owners[0])' and '\(owners[1])' were trained with different templates or lengths, so "
                    + "that the base has no one result beside them: give --config or the templates, or evaluate each by "
                    + "itself", exitStatus: .usage)
        }
        return (try sources.map { try $0.withGroups() }, bases.map { _ in 0 } + places)
    }

    func run() throws -> [EvaluationReport] {
        var reports: [EvaluationReport] = []
        var predictions: [JSONValue] = []
        var loaded: Loaded?
        var notes: Set<String> = []
        // A base without a head is asked for the labels that its adapters tell.
        let known = try variants.lazy.compactMap { try $0.adapter.map { try AdapterFolder(path: $0, warn: { _ in }) } }
            .compactMap { try LabelSet(of: $0) }.first
        for (variant, source) in zip(variants, sourceOfVariant) {
            let adapter = try variant.adapter.map { try AdapterFolder(path: $0, warn: Console.report) }
            let adapterLabels = try adapter.flatMap { try LabelSet(of: $0) }
            if loaded?.path != variant.base || loaded?.adapterLabels != adapterLabels || loaded?.source != source {
                loaded = nil
                loaded = try load(variant, source, adapterLabels, known)
            }
            guard let loaded else { continue }
            let data = sources[source]
            let label = variant.label ?? "base"
            let report = try loaded.base.with(adapter) {
                // How long examples may be, and what places in them mean, depends on the adapter.
                let questions = try namingTemplates(of: variant) { try Questions(loaded, data) }
                func note(_ text: String?) { if let text, notes.insert(text).inserted { Console.note(text) } }
                note(questions.dataset.counts.note)
                note(questions.shots?.note)
                return try namingTemplates(of: variant) {
                    if let labels = loaded.labels {
                        let answers = try answers(questions, labels, label)
                        predictions += try lines(variant.label, questions.dataset, labels, answers)
                        return EvaluationReport(adapter: variant.label, answers: answers, labels: labels)
                    }
                    let loss = try loss(questions, label)
                    guard command.rouge else { return EvaluationReport(adapter: variant.label, loss: loss, rouge: nil) }
                    let codec = try PromptCodec(
                        loaded.base, shots: questions.shots, hasPlaces: data.hasPlaces,
                        chat: data.chat(for: loaded.base))
                    let (groups, tooLong) = try prompts(questions, data, codec)
                    if tooLong > 0 {
                        note(
                            "\(tooLong.grouped) of \(data.groups.count.grouped) prompts are too long and were left out")
                    }
                    let texts = try generate(questions, groups, codec, label)
                    predictions += zip(groups, texts).map { line(variant.label, $0.group, $1) }
                    let scores = rouge(of: texts, command.scoring)
                    return EvaluationReport(adapter: variant.label, loss: loss, rouge: (texts.count, scores))
                }
            }
            reports.append(report.with(shots: command.shots))
        }
        Console.showStatus("")
        try output?.write(predictions.map { $0.text(.compact) + "\n" }.joined())
        return reports
    }

    /// Calls `body`, and says whose template a problem with a record speaks of, where each adapter has its own.
    private func namingTemplates<Result>(
        of variant: ModelSelection.Variant, _ body: () throws -> Result
    ) throws -> Result {
        do {
            return try body()
        } catch var problem as Problem where sources.count > 1 && problem.position != nil {
            problem.message += "\nThe template is that of '\(variant.label ?? variant.base)'"
            throw problem
        } catch var problems as Problems where sources.count > 1 {
            problems.list[problems.list.count - 1].message +=
                "\nThe template is that of '\(variant.label ?? variant.base)'"
            throw problems
        }
    }

    private func load(
        _ variant: ModelSelection.Variant, _ source: Int, _ adapterLabels: LabelSet?, _ known: LabelSet?
    ) throws -> Loaded {
        let data = sources[source]
        let base = try BaseModel.load(
            variant, labels: adapterLabels,
            isNamedByAdapter: isBaseNamedByAdapter)
        if base.labels != nil, !data.hasLabels {
            throw Problem(
                "the model tells labels: give --text and --label, or a configuration with task: sequence_classification",
                file: variant.label ?? base.folder, exitStatus: .usage)
        }
        base.checkEnd(of: data.templates, warn: Console.report)
        let told = try base.labels.map { try data.named($0, folder: variant.label ?? base.folder) }
        let labels = data.hasLabels ? try told ?? known ?? data.labels() : nil
        return Loaded(
            path: variant.base, adapterLabels: adapterLabels, source: source, base: base, labels: labels)
    }

    /// Rows of a pass: enough for the rate of the products, few enough for their results to stay small.
    private static let rowsPerPass = 2048

    private func loss(_ questions: Questions, _ label: String) throws -> LossSummary {
        try evaluateLoss(
            of: questions.loaded.base.model, on: questions.dataset, rowsPerPass: Self.rowsPerPass,
            ranks: Communicator.current
        ) { done in
            status("\(label): loss, \(done.grouped) of \(questions.dataset.count.grouped) examples")
        }
    }

    private func answers(_ questions: Questions, _ labels: LabelSet, _ label: String) throws -> LabelAnswers {
        let (base, dataset) = (questions.loaded.base, questions.dataset)
        func show(_ done: Int) {
            status("\(label): labels, \(done.grouped) of \(dataset.count.grouped) examples")
        }
        if base.labels != nil {
            return try evaluateLabels(
                of: base.model, on: dataset, rowsPerPass: Self.rowsPerPass, ranks: Communicator.current,
                onProgress: show)
        }
        return try evaluateLabels(
            byPrompting: base, on: dataset, labels: labels, shots: questions.shots, ranks: Communicator.current,
            onProgress: show)
    }

    /// The prompts as tokens behind the shots; those that the model can't take are left out where the length policy is to
    /// drop, and an error otherwise.
    private func prompts(
        _ questions: Questions, _ data: EvaluationData, _ codec: PromptCodec
    ) throws -> (prompts: [(group: PromptGroup, tokens: [Int32])], tooLong: Int) {
        var prompts: [(group: PromptGroup, tokens: [Int32])] = []
        for group in data.groups {
            func problem(_ message: String) -> Problem {
                let place = questions.dataset.place(ofRecord: group.record)
                return Problem(message, file: place.file, position: TextPosition(line: place.line, column: 1))
            }
            let tokens: [Int32]
            do {
                tokens = try group.conversation.map { try codec.ids(of: $0).ids } ?? codec.ids(of: group.prompt)
            } catch let found as Problem where found.file == nil {
                throw problem(found.message)
            }
            if let complaint = codec.complaint(aboutLengthOf: tokens) {
                if data.policy == .drop { continue }
                throw problem(complaint)
            }
            prompts.append((group, tokens))
        }
        if prompts.isEmpty { throw Problem("all \(data.groups.count) prompts are longer than the model takes") }
        return (prompts, data.groups.count - prompts.count)
    }

    private func generate(
        _ questions: Questions, _ prompts: [(group: PromptGroup, tokens: [Int32])], _ codec: PromptCodec,
        _ label: String
    ) throws -> [ScoredText] {
        let generator = Generator(
            model: questions.loaded.base.model, endIDs: codec.stops,
            settings: GenerationSettings(maximumNewTokens: command.maxNewTokens, sampling: nil))
        var done = 0
        let results = try generator.generate(
            prompts.map(\.tokens), firstIndex: 0, limits: prompts.map { _ in command.maxNewTokens },
            ranks: Communicator.current,
            onFinish: { _, _ in
                done += 1
                status("\(label): generating, \(done.grouped) of \(prompts.count.grouped) prompts")
            })
        return zip(prompts, results).map { prompt, result in
            ScoredText(prediction: codec.answer(result, to: prompt.tokens), references: prompt.group.references)
        }
    }

    private func status(_ text: String) {
        if Console.errorCanRedraw, !Console.isQuiet { Console.showStatus(text) }
    }

    private func name(_ adapter: String?) -> [JSONValue.Member] {
        variants.count > 1 ? [.init("adapter", adapter.map(JSONValue.string) ?? nil)] : []
    }

    private func line(_ adapter: String?, _ group: PromptGroup, _ text: ScoredText) -> JSONValue {
        .object(
            name(adapter) + [
                .init("prompt", .string(group.prompt.source)), .init("prediction", .string(text.prediction)),
                .init("references", .array(text.references.map(JSONValue.string))),
            ])
    }

    /// A line for each text that was labelled, where they are asked for.
    private func lines(
        _ adapter: String?, _ dataset: Dataset, _ labels: LabelSet, _ answers: LabelAnswers
    ) throws -> [JSONValue] {
        if command.savePredictions == nil { return [] }
        return try (0..<answers.count).map { index in
            let predicted: JSONValue =
                labels.isRegression
                ? .number(answers.predictedValues[index]) : .string(labels.names[answers.predicted[index]])
            let expected: JSONValue =
                labels.isRegression
                ? .number(answers.expectedValues[index]) : .string(labels.names[answers.expected[index]])
            return .object(
                name(adapter) + [
                    .init("text", .string(try dataset.texts(of: index).given)), .init("prediction", predicted),
                    .init("label", expected),
                ])
        }
    }
}

extension Dataset.Counts {
    /// What became of records that are too long; nil where all are whole.
    fileprivate var note: String? {
        let parts = [(dropped, "left out (too long, or without a label)"), (truncated, "cut to the length")]
            .filter { $0.0 > 0 }.map { "\($0.0.grouped) \($0.1)" }
        return parts.isEmpty ? nil : "of \(records.grouped) records \(parts.joined(separator: ", "))"
    }
}
