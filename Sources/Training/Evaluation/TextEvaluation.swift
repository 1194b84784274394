import Datasets
import Diagnostics
import Metrics
import Models
import Ranks

/// Prompts of a run's validation data, for which texts are generated in each evaluation and scored: the same ones always.
struct TextEvaluation {
    private let base: BaseModel
    private let codec: PromptCodec
    private let settings: TextEvaluationSettings
    private let scoring: TextScoring
    private let prompts: [[Int32]]
    private let references: [[String]]
    private let limits: [Int]
    /// Whether any prompt leaves room for a text.
    let hasRoom: Bool
    /// What is said of it before the run.
    let note: String

    /// Draws prompts by a seed, in the order of the files; those that the model can't take are passed over.
    ///
    /// - Parameter base: The model with what trains installed in it.
    /// - Throws: `Problem` with file and line where a prompt can't be used, and where there is none.
    init(
        _ settings: TextEvaluationSettings, _ base: BaseModel, _ validation: Dataset, chat: ChatFormat?, seed: UInt64
    ) throws {
        self.base = base
        self.settings = settings
        let codec = try PromptCodec(base, shots: nil, hasPlaces: false, chat: chat)
        self.codec = codec
        scoring = TextScoring(
            textMetrics.filter { settings.metrics.contains($0.name) }, TextMetricSettings(usesStemmer: true, seed: seed)
        )
        guard let groups = try PromptGroups(of: validation) else { defect("TextEvaluation: data without prompts") }
        var chosen: [(index: Int, ids: [Int32])] = []
        var tooLong = 0
        for index in permutation(of: groups.count, seed: seed, epoch: 0).lazy.map({ Int($0) }) {
            if chosen.count == settings.sampleCount { break }
            let group = try groups[index]
            let ids: [Int32]
            do {
                ids = try group.conversation.map { try codec.ids(of: $0).ids } ?? codec.ids(of: group.prompt)
            } catch let found as Problem where found.file == nil {
                let place = validation.place(ofRecord: group.record)
                throw Problem(found.message, file: place.file, position: TextPosition(line: place.line, column: 1))
            }
            if codec.complaint(aboutLengthOf: ids) == nil { chosen.append((index, ids)) } else { tooLong += 1 }
        }
        if chosen.isEmpty {
            throw Problem(
                "all \(groups.count) prompts of the validation data are longer than the model takes",
                file: validation.place(ofRecord: 0).file)
        }
        chosen.sort { $0.index < $1.index }
        let prompts = chosen.map(\.ids)
        self.prompts = prompts
        references = try chosen.map { try groups[$0.index].references }
        let opening = base.model.hasEncoder ? base.model.opening([]).count : nil
        limits = prompts.map { prompt in
            let room = settings.maximumLength.map { max(0, $0 - (opening ?? prompt.count)) }
            return min(settings.maximumNewTokens, room ?? .max)
        }
        let full = limits.count { $0 == 0 }
        hasRoom = full < limits.count
        let share = chosen.count < groups.count ? "\(chosen.count.grouped) of \(groups.count.grouped)" : "all"
        let passed = tooLong == 0 ? "" : "; \(tooLong.grouped) too long for the model were passed over"
        let silent = full == 0 ? "" : "; \(full.grouped) leave no room for any by generation_max_length"
        note =
            "evaluations generate for \(share) \(groups.count == 1 ? "prompt" : "prompts") and score the texts by "
            + settings.metrics.joined(separator: ", ") + passed + silent
    }

    /// Generates for all prompts with the model as it is now.
    ///
    /// - Parameter shouldStop: Asked while texts come, but not among ranks, where all must be told at the same time.
    /// - Returns: nil where it was to be stopped.
    func scores(_ ranks: Communicator?, _ shouldStop: () -> Bool) throws -> [NamedScore]? {
        var isStopping = false
        var scoring = scoring
        try withoutActuallyEscaping(shouldStop) { shouldStop in
            let generator = Generator(model: base.model, endIDs: codec.stops, settings: settings.generation)
            if ranks == nil {
                generator.isStopped = { _, _ in
                    isStopping = isStopping || shouldStop()
                    return isStopping
                }
            }
            let found = try generator.generate(prompts, firstIndex: 0, limits: limits, ranks: ranks)
            if isStopping { return }
            for (index, generation) in found.enumerated() {
                scoring.add(
                    ScoredText(
                        prediction: codec.answer(generation, to: prompts[index]), references: references[index]))
            }
        }
        if isStopping || ranks.any(shouldStop()) { return nil }
        return scoring.finish()?.scores.map { NamedScore($0.name, $0.value) } ?? []
    }
}
