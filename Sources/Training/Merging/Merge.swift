import Checkpoints
import Datasets
public import Diagnostics
import Layers
import Models
import Tensors

/// Merges adapters into their base model and writes the result as a model folder like the base's, which appears only
/// once it has proved itself: probe prompts must give the same logits through the adapter and through the files.
///
/// - Throws: `Problem` or `Problems` for inputs that can't be used, an output that is one of them or exists, and a result
///   that differs too much.
public func merge(_ settings: MergeSettings, warn: @escaping WarningSink) throws -> MergeSummary {
    let adapters = try settings.adapters.map {
        (folder: try AdapterFolder(path: $0.path, warn: warn), weight: $0.weight)
    }
    let base = try base(settings, adapters.map(\.folder), warn: warn)
    guard let weights = base.weights else { defect("merge: a base without weights") }
    try weights.requireFinite()
    let output = try MergeOutput(
        settings, base: base.folder, inputs: [base.folder] + adapters.map(\.folder.path), warn: warn)
    let probe = MergeProbe(base)
    let merged = try MergedWeights(base, adapters, probe: probe)
    for (name, tensor) in merged.changed.sorted(by: { $0.key < $1.key }) {
        guard let element = tensor.firstNonFinite else { continue }
        throw Problem(
            "has \(element) after merging: an adapter holds such numbers, or the weights are too large; nothing was written",
            file: settings.output, key: name)
    }
    let plan = try MergedTensors(base: base, weights: weights, merged: merged, elementType: settings.elementType)
    let written = try output.fill {
        try plan.write(to: output.stagingPath)
        try copyCompanions(
            of: base.folder, to: output.stagingPath, leavingOut: [], elementType: settings.elementType,
            changes: base.changedFields)
        try TrainedTemplates.carry(
            from: adapters.isEmpty ? [base.folder] : adapters.map(\.folder.path), to: output.stagingPath, warn: warn)
        let written = try BaseModel.load(output.stagingPath, randomSeed: nil, warn: { _ in })
        try written.nameTurnEnd(of: adapters.map(\.folder.path))
        return written
    }
    var summary = MergeSummary()
    summary.changedTensors = merged.changed.count
    summary.writtenTensors = plan.tensorCount
    summary.untiedHead = merged.untiesHead
    summary.difference = max(merged.difference, MergeProbe.difference(probe.logits(written.model), merged.expected))
    summary.bound = plan.bound
    if summary.difference > summary.bound {
        // A weight's rounding is as small as a sum's, and there are some of them on the way through a model.
        let noise = probe.noise(of: written.model, changed: Set(merged.changed.keys))
        summary.bound = max(summary.bound, min(1e-2, 16 * noise))
    }
    if !(summary.difference <= summary.bound) {
        throw Problem(
            summary.difference.isFinite
                ? "the merged model isn't what base and adapter compute: the logits of probe prompts differ by "
                    + "\(summary.difference) of the largest, and \(summary.bound) is the most that rounding explains; "
                    + "nothing was written"
                : "the merged model's logits aren't numbers: the base or an adapter holds NaN or infinite values; "
                    + "nothing was written",
            file: settings.output)
    }
    try output.commit()
    return summary
}

/// The base model with the head that the adapters are for.
private func base(
    _ settings: MergeSettings, _ adapters: [AdapterFolder], warn: @escaping WarningSink
) throws -> BaseModel {
    let labels = try adapters.map { try LabelSet(of: $0) }
    if let index = labels.indices.first(where: { labels[$0] != labels[0] }) {
        throw Problem(
            "the adapters are for different tasks or labels, '\(settings.adapters[0].path)' and "
                + "'\(settings.adapters[index].path)': they can't be merged into one model")
    }
    let wanted = labels.first ?? nil
    var base = try BaseModel.load(
        settings.base, randomSeed: nil, labels: wanted, headSeed: 0, quantization: nil, warn: warn)
    if settings.acceptsOtherBase { base.otherBaseWarning = warn }
    // Weighted heads are a mean of the adapters', without a random beginning.
    if let head = base.model.taskHead, base.weights?.entry(named: head.name) == nil {
        head.tensor = Tensor(zeros: head.shape)
    }
    return base
}
