import Datasets
import Layers
import Models
import Tensors

/// Whether what the records of a micro-batch begin with in common is computed once, by `training.share_prompts`.
public enum PromptSharing: String, CaseIterable, Sendable {
    /// Unless something is random in training, which then each record draws for itself.
    case auto
    case on, off
}

/// What became of that in a run.
struct SharingState {
    private(set) var isShared = false
    private(set) var notes: [String] = []
    private var tokens = 0
    private var computed = 0

    init() {}

    init(isShared: Bool, note: String?) {
        self.isShared = isShared
        notes = [note].compactMap { $0 }
    }

    mutating func add(_ step: StepResult) {
        tokens += step.tokenCount
        computed += step.computedCount
    }

    /// The share of the tokens that needn't be computed; nil where all had to.
    var savedShare: Double? { computed < tokens ? 1 - Double(computed) / Double(tokens) : nil }
}

extension TrainingSettings {
    /// Whether evaluations on the way share prompts, in which nothing is random.
    var sharesInEvaluation: Bool { promptSharing != .off }
}

extension Trainer {
    /// Finds out whether prompts are shared.
    ///
    /// - Throws: A `Problem` with file and line where a record can't be used any more.
    func decideSharing() throws { sharing = try sharing(batchSize: batches.batchSize, hiddenStatePlan) }

    /// Whether they are in a run with batches of so many examples.
    func sharing(batchSize: Int, _ plan: HiddenStatePlan?) throws -> SharingState {
        // What is kept of a record is kept for all of its rows.
        if batchSize == 1 || plan?.keepsTraining == true { return SharingState() }
        let shared = "shared prompts: what records of a batch begin with in common is computed once"
        let random = settings.noiseAlpha > 0 ? "noise" : "dropout"
        let apart =
            "shared prompts: none, because \(random) is drawn for each record by itself (training.share_prompts: on draws it "
            + "once for what they have in common)"
        switch settings.promptSharing {
        case .off: return SharingState()
        case .on: return SharingState(isShared: true, note: shared)
        case .auto:
            return try isRandom()
                ? SharingState(isShared: false, note: batches.dataset.hasPrompts ? apart : nil)
                : SharingState(isShared: true, note: shared)
        }
    }

    /// Whether a training pass draws something random, as one of them shows.
    private func isRandom() throws -> Bool {
        if let drawsAtRandom { return drawsAtRandom }
        let context = ForwardContext.training(
            seed: settings.seed, pass: 0, noiseAlpha: settings.noiseAlpha)
        let batch = base.model.batch([try batches.dataset.example(0)])
        _ = withoutGradients { base.model.loss(batch, scale: 1, context) }
        drawsAtRandom = context.hasDrawn
        return context.hasDrawn
    }
}
