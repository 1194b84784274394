import Files
import JSONText

/// Which checkpoints a run keeps.
struct CheckpointKeeping {
    /// How many; nil for all.
    let limit: Int?
    /// Whether the best model's is one of them, whatever the limit.
    let keepsBest: Bool
    /// Whether the one that is written now is there only because its model is the best.
    let isOnlyBest: Bool

    /// The steps of the checkpoints to be removed: as transformers does it, the oldest that are more than the limit, but
    /// neither the newest nor the best; and those that were written for a model that is the best no more.
    func removable(of steps: [Int], in outputFolder: String, written: Int, best: Int?) -> [Int] {
        let kept = Set([written] + (keepsBest ? [best].compactMap { $0 } : []))
        let outdated =
            keepsBest ? steps.filter { !kept.contains($0) && $0 < written && isOnlyBest($0, outputFolder) } : []
        guard let limit else { return outdated }
        let rest = steps.filter { !outdated.contains($0) }
        let surplus = rest.count - max(limit, kept.count)
        return outdated + rest.filter { !kept.contains($0) }.prefix(max(0, surplus))
    }

    private static let key = "only_best"

    /// What a checkpoint's state says of it.
    var members: [JSONValue.Member] { isOnlyBest ? [.init(Self.key, true)] : [] }

    private func isOnlyBest(_ step: Int, _ outputFolder: String) -> Bool {
        let folder = TrainingCheckpoint.path(outputFolder, step: step)
        let state = try? JSONNode.load(path: FileSystem.join(folder, TrainingCheckpoint.stateName))
        return (try? state?.optionalBoolean(Self.key)) == true
    }

    /// What a checkpoint is beyond of, for messages.
    var name: String { limit == nil ? "the best model's" : "save_total_limit" }
}
