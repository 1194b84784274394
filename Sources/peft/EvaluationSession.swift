import Checkpoints
import Datasets
import Diagnostics
import JSONText
import Models
import Tokenizers
import Training

/// Evaluates the models that a command line asks for, one after the other, on the same data.
struct EvaluationSession {
    private let command: EvalCommand
    private let variants: [ModelSelection.Variant]
    private let isBaseNamedByAdapter: Bool
    private let data: EvaluationData

    /// A base model with what belongs to it, for all of its adapters that tell the same labels.
    private struct Loaded {
        let path: String
        /// The labels of the adapters.
        let adapterLabels: LabelSet?
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
        }
    }

    init(_ command: EvalCommand) throws {
        self.command = command
        let selection = try ModelSelection(
            base: command.base, adapters: command.adapter, config: command.config, overrides: command.set)
        variants = (command.compareBase ? selection.bases : []) + selection.variants
        isBaseNamedByAdapter = selection.isBaseNamedByAdapter
        data = try EvaluationData(command, selection, variants)
    }

    func run() throws -> [EvaluationReport] {
        var reports: [EvaluationReport] = []
        var predictions: [JSONValue] = []
        var loaded: Loaded?
        // A base without a head is asked for the labels that its adapters tell.
        let known = try variants.lazy.compactMap { try $0.adapter.map { try AdapterFolder(path: $0, warn: { _ in }) } }
            .compactMap { try LabelSet(of: $0) }.first
        for variant in variants {
            let adapter = try variant.adapter.map { try AdapterFolder(path: $0, warn: Console.report) }
            let adapterLabels = try adapter.flatMap { try LabelSet(of: $0) }
            if loaded?.path != variant.base || loaded?.adapterLabels != adapterLabels {
                loaded = nil
                loaded = try load(variant, adapterLabels, known)
            }
            guard let loaded else { continue }
            let label = variant.label ?? "base"
            let report = try loaded.base.with(adapter) {
                // How long examples may be, and what places in them mean, depends on the adapter.
                let questions = try Questions(loaded, data)
                if let labels = loaded.labels {
                    let answers = try answers(questions, labels, label)
                    predictions += try lines(variant.label, questions.dataset, labels, answers)
                    return EvaluationReport(adapter: variant.label, answers: answers, labels: labels)
                }
                let loss = try loss(questions, label)
                guard command.rouge else { return EvaluationReport(adapter: variant.label, loss: loss, rouge: nil) }
                let texts = try generate(questions, label)
                predictions += zip(data.groups, texts).map { line(variant.label, $0, $1) }
                let scores = rouge(of: texts, command.scoring)
                return EvaluationReport(adapter: variant.label, loss: loss, rouge: (texts.count, scores))
            }
            reports.append(report.with(shots: command.shots))
        }
        Console.showStatus("")
        if let path = command.savePredictions {
            try AtomicFile.write(predictions.map { $0.text(.compact) + "\n" }.joined(), to: path)
        }
        return reports
    }

    private func load(
        _ variant: ModelSelection.Variant, _ adapterLabels: LabelSet?, _ known: LabelSet?
    ) throws -> Loaded {
        let base = try BaseModel.load(
            variant, labels: adapterLabels,
            isNamedByAdapter: isBaseNamedByAdapter)
        if base.labels != nil, !data.hasLabels {
            throw Problem(
                "the model tells labels: give --text and --label, or a configuration with task: sequence_classification",
                file: variant.label ?? base.folder, exitStatus: .usage)
        }
        let labels = data.hasLabels ? try base.labels ?? known ?? data.labels() : nil
        return Loaded(path: variant.base, adapterLabels: adapterLabels, base: base, labels: labels)
    }

    /// Rows of a pass: enough for the rate of the products, few enough for their results to stay small.
    private static let rowsPerPass = 2048

    private func loss(_ questions: Questions, _ label: String) throws -> LossSummary {
        try evaluateLoss(
            of: questions.loaded.base.model, on: questions.dataset, rowsPerPass: Self.rowsPerPass
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
                of: base.model, on: dataset, rowsPerPass: Self.rowsPerPass, onProgress: show)
        }
        return try evaluateLabels(
            byPrompting: base, on: dataset, labels: labels, shots: questions.shots, onProgress: show)
    }

    private func generate(_ questions: Questions, _ label: String) throws -> [ScoredText] {
        let base = questions.loaded.base
        let tokenizer = try base.requiredTokenizer()
        let generator = Generator(
            model: base.model, endID: base.endOfTextID,
            settings: GenerationSettings(maximumNewTokens: command.maxNewTokens, sampling: nil))
        let context = questions.shots.map { tokenizer.encode($0.text) } ?? []
        var done = 0
        let results = try generator.generate(
            try data.groups.map { context + (try base.promptIDs($0.prompt, hasPlaces: data.hasPlaces)) }, firstIndex: 0,
            onFinish: { _, _ in
                done += 1
                status("\(label): generating, \(done.grouped) of \(data.groups.count.grouped) prompts")
            })
        return zip(data.groups, results).map { group, result in
            let text = tokenizer.decodedString(result.tokens, skippingSpecialTokens: true)
            return ScoredText(
                prediction: questions.shots == nil ? text : FewShot.answer(text), references: group.references)
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
                labels.kind == .regression
                ? .number(answers.predictedValues[index]) : .string(labels.names[answers.predicted[index]])
            let expected: JSONValue =
                labels.kind == .regression
                ? .number(answers.expectedValues[index]) : .string(labels.names[answers.expected[index]])
            return .object(
                name(adapter) + [
                    .init("text", .string(try dataset.texts(of: index).given)), .init("prediction", predicted),
                    .init("label", expected),
                ])
        }
    }
}
