import Checkpoints
import Datasets
import Diagnostics
import Files
import JSONText
import Metrics
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
    private let output: PredictionOutput?

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
            try PredictionOutput(
                path, replacing: command.overwrite, resuming: command.resume, inputs: inputs + models)
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
                    try beginPredictions(variant, questions, data)
                    if let labels = loaded.labels {
                        let answers = try answers(questions, labels, variant.label, label)
                        return EvaluationReport(adapter: variant.label, answers: answers, labels: labels)
                    }
                    if questions.dataset.hasChoices {
                        let scores = try choose(questions, data, variant.label, label, note)
                        let texts = try generate(questions, data, variant.label, label, note)
                        return EvaluationReport(adapter: variant.label, choices: scores, texts: texts)
                    }
                    let loss = command.noLoss ? nil : try loss(questions, label)
                    let texts = try generate(questions, data, variant.label, label, note)
                    return EvaluationReport(adapter: variant.label, loss: loss, texts: texts)
                }
            }
            reports.append(report.with(shots: command.shots))
        }
        Console.showStatus("")
        try output?.finish()
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

    /// Seconds between two notes of how far the loss is measured.
    private static let secondsBetweenNotes = 2.0

    private func loss(_ questions: Questions, _ label: String) throws -> LossSummary {
        let ranks = Communicator.current
        var noted = ContinuousClock.now
        let known = ranks.fromFirst(output?.recordedLoss?.text).flatMap(LossSummary.init(text:)) ?? LossSummary()
        let count = questions.dataset.count
        return try evaluateLoss(
            of: questions.loaded.base.model, on: questions.dataset, rowsPerPass: Self.rowsPerPass, goingOn: known,
            ranks: ranks,
            onSummary: { summary in
                let isDue = noted.duration(to: .now) / .seconds(1) > Self.secondsBetweenNotes
                guard let output, isDue || summary.examples == count else { return }
                try output.record(summary)
                noted = .now
            },
            onProgress: { done in status("\(label): loss, \(done.grouped) of \(count.grouped) examples") })
    }

    /// Tells the labels, and writes a line for each.
    private func answers(
        _ questions: Questions, _ labels: LabelSet, _ adapter: String?, _ label: String
    ) throws -> LabelAnswers {
        let (base, dataset) = (questions.loaded.base, questions.dataset)
        var known = LabelAnswers()
        let done = try recorded { line, index in
            if index == dataset.count { return false }
            guard try isSame(line, dataset.texts(of: index).given, adapter, in: "text") else { return nil }
            let scores = try line.array("scores").map { try $0.asNumber() }
            guard scores.count == (labels.isRegression ? 1 : labels.names.count),
                try LabelLine(scores, of: index, in: dataset, labels).isSame(as: line)
            else { return nil }
            known.add(scores, of: try dataset.example(index))
            return true
        }
        if Communicator.current != nil, done > 0 {
            known = Communicator.current.fromFirst(known.text).flatMap(LabelAnswers.init(text:)) ?? known
        }
        func show(_ done: Int) {
            status("\(label): labels, \(done.grouped) of \(dataset.count.grouped) examples")
        }
        func write(_ index: Int, _ scores: [Double]) throws {
            guard let output else { return }
            try output.write(
                .object(name(adapter) + (try LabelLine(scores, of: index, in: dataset, labels)).members))
        }
        if base.labels != nil {
            return try evaluateLabels(
                of: base.model, on: dataset, rowsPerPass: Self.rowsPerPass, goingOn: known, behind: done,
                ranks: Communicator.current, onAnswer: write, onProgress: show)
        }
        return try evaluateLabels(
            byPrompting: base, on: dataset, labels: labels, shots: questions.shots, goingOn: known, behind: done,
            ranks: Communicator.current, onAnswer: write, onProgress: show)
    }

    /// Tells the file of predictions what those of a model depend on.
    private func beginPredictions(
        _ variant: ModelSelection.Variant, _ questions: Questions, _ data: EvaluationData
    ) throws {
        guard let output else { return }
        var settings = command.decoding.identity + ["generates \(data.groups != nil)"]
        if questions.dataset.hasChoices { settings.append("choice_normalization \(command.normalization.rawValue)") }
        settings += data.templates.sources + (questions.shots.map { [$0.text] } ?? [])
        let identity = try EvaluationIdentity(
            questions.loaded.base, adapter: variant.adapter, data: questions.dataset, settings: settings)
        try output.begin(identity)
    }

    /// How probable the model finds the answers to each question.
    private func choose(
        _ questions: Questions, _ data: EvaluationData, _ adapter: String?, _ label: String, _ note: (String?) -> Void
    ) throws -> ChoiceScores {
        let base = questions.loaded.base
        let asked = try ChoiceQuestions(
            base, questions.dataset, PromptCodec(base, shots: questions.shots, hasPlaces: data.hasPlaces),
            shots: questions.shots, hasPlaces: data.hasPlaces, drops: data.policy == .drop)
        let tooLong = questions.dataset.count - asked.count
        if tooLong > 0 {
            note("\(tooLong.grouped) of \(questions.dataset.count.grouped) questions are too long and were left out")
        }
        var scores = ChoiceScores(command.normalization)
        let ranks = Communicator.current
        var done = try recorded { line, index in
            if index == asked.count { return false }
            let (prompt, choices) = try asked.question(index)
            guard try isSame(line, prompt, adapter), let known = try ChoiceAnswer(line, choices) else { return nil }
            scores.add(known)
            return true
        }
        while done < asked.count {
            // Of a pass that was interrupted all is computed again, so that the rest has the same bits.
            let passes = try asked.passes(with: done).filter { $0.upperBound > done }.prefix(ranks.count)
            let numbers = try ranks.map(passes.count) { try asked.answers(passes[$0]).flatMap(\.numbers) }
            for (pass, numbers) in zip(passes, numbers) {
                var rest = numbers[...]
                for index in pass {
                    let (prompt, choices) = try asked.question(index)
                    let answer = ChoiceAnswer(choices, numbers: Array(rest.prefix(2 * choices.texts.count)))
                    rest = rest.dropFirst(2 * choices.texts.count)
                    if index < done { continue }
                    let members = [JSONValue.Member("prompt", .string(prompt))] + answer.members(command.normalization)
                    try output?.write(.object(name(adapter) + members))
                    scores.add(answer)
                }
            }
            done = passes.last?.upperBound ?? done
            status("\(label): choices, \(done.grouped) of \(asked.count.grouped) questions")
        }
        return scores
    }

    /// A prompt as tokens behind the shots; nil where the model can't take it and such ones are left out.
    private func tokens(
        _ group: PromptGroup, _ questions: Questions, _ data: EvaluationData, _ codec: PromptCodec
    ) throws -> [Int32]? {
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
            if data.policy == .drop { return nil }
            throw problem(complaint)
        }
        return tokens
    }

    /// Prompts that are generated for at a time: so many that those that end last keep the others waiting but little.
    private static let promptsAtOnce = 1024

    /// Generates for all prompts, writes and scores what comes; nil where nothing is to be generated.
    private func generate(
        _ questions: Questions, _ data: EvaluationData, _ adapter: String?, _ label: String, _ note: (String?) -> Void
    ) throws -> TextScoring.Result? {
        guard let groups = data.groups else { return nil }
        let base = questions.loaded.base
        var codec = try PromptCodec(
            base, shots: questions.shots, hasPlaces: data.hasPlaces, chat: data.chat(for: base))
        codec.stopTexts = command.decoding.stopTexts
        // What is wrong with one of them is known before the first is answered.
        let usable = try (0..<groups.count).filter { try tokens(groups[$0], questions, data, codec) != nil }
        if usable.isEmpty { throw Problem("all \(groups.count) prompts are longer than the model takes") }
        if usable.count < groups.count {
            note(
                "\((groups.count - usable.count).grouped) of \(groups.count.grouped) prompts are too long and were left out"
            )
        }
        var scoring = command.scoring
        var done = try recorded { line, index in
            if index == usable.count { return false }
            let group = try groups[usable[index]]
            let references = try line.array("references").map { try $0.asString() }
            guard try isSame(line, group.prompt.source, adapter),
                references.elementsEqual(group.references, by: sameBytes)
            else { return nil }
            scoring.add(ScoredText(prediction: try line.string("prediction"), references: references))
            return true
        }
        let settings = command.decoding.settings(sampling: nil, returnedCount: 1)
        while done < usable.count {
            let batch = usable[done..<min(done + Self.promptsAtOnce, usable.count)].map { $0 }
            let prompts = try batch.compactMap { try tokens(groups[$0], questions, data, codec) }
            // Those that are done before one in front of them.
            var waiting: [Int: Generation] = [:]
            var next = 0
            var failure: (any Error)?
            var finished = done
            _ = try command.decoding.generator(base, codec, settings, prompts: prompts).generate(
                prompts, firstIndex: done, limits: prompts.map { _ in settings.maximumNewTokens },
                ranks: Communicator.current,
                onFinish: { index, generation in
                    waiting[index] = generation
                    finished += 1
                    while failure == nil, let generation = waiting.removeValue(forKey: next) {
                        do {
                            let group = try groups[batch[next]]
                            let text = ScoredText(
                                prediction: codec.answer(generation, to: prompts[next]), references: group.references)
                            try output?.write(line(adapter, group, text))
                            scoring.add(text)
                        } catch {
                            failure = error
                        }
                        next += 1
                    }
                    status("\(label): generating, \(finished.grouped) of \(usable.count.grouped) prompts")
                })
            if let failure { throw failure }
            done += batch.count
        }
        return scoring.finish()
    }

    /// How many lines of the model and kind at hand are there already; all ranks learn it from the first, which has them.
    ///
    /// - Parameter take: Takes the line of that number; false where it belongs to what comes next, nil where it isn't what
    ///   this evaluation has there.
    private func recorded(_ take: (JSONNode, Int) throws -> Bool?) throws -> Int {
        var count = 0
        if let output {
            while let line = try output.nextRecorded() {
                guard let isTaken = try take(line, count) else {
                    throw output.problem("isn't what this evaluation has there")
                }
                if !isTaken {
                    output.giveBack()
                    break
                }
                count += 1
            }
        }
        return Communicator.current.fromFirst("\(count)").flatMap { Int($0) } ?? count
    }

    /// Whether a line that is there already is of this prompt and model.
    private func isSame(
        _ line: JSONNode, _ prompt: String, _ adapter: String?, in key: String = "prompt"
    ) throws -> Bool {
        let names = line.member("adapter") != nil
        return try sameBytes(line.string(key), prompt) && names == (variants.count > 1)
            && line.optionalString("adapter") == (names ? adapter : nil)
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
}

extension Dataset.Counts {
    /// What became of records that are too long; nil where all are whole.
    fileprivate var note: String? {
        let parts = [(dropped, "left out (too long, or without a label)"), (truncated, "cut to the length")]
            .filter { $0.0 > 0 }.map { "\($0.0.grouped) \($0.1)" }
        return parts.isEmpty ? nil : "of \(records.grouped) records \(parts.joined(separator: ", "))"
    }
}
