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
    let training = try MergeTraining(settings, adapters)
    var base = try training.base(settings.form == .original ? nil : training.quantization, warn: warn)
    try settings.form.check(base)
    guard let weights = base.weights else { defect("merge: a base without weights") }
    try weights.requireFinite()
    let output = try MergeOutput(
        settings.output, overwrites: settings.overwrites, base: base.folder,
        inputs: [base.folder] + adapters.map(\.folder.path), warn: warn)
    let probe = MergeProbe(base)
    var summary = MergeSummary()
    let trained = settings.form == .original ? try training.trained(on: &base, probe, warn: warn) : nil
    let before = base.quantizedWeights
    let types = settings.form == .dequantized ? try base.typesBeforeQuantization() : nil
    let merged = try MergedWeights(base, adapters, probe: probe)
    try requireFinite(base.model, merged.changed, output: settings.output)
    var expected = merged.expected
    if settings.form == .requantized {
        try base.requantize(before)
        expected = probe.logits(base.model)
        summary.distance = MergeProbe.difference(expected, merged.expected)
        summary.lossBefore = probe.loss(merged.expected, of: base.model)
        summary.lossAfter = probe.loss(expected, of: base.model)
    }
    let plan = try MergedTensors(
        base: base, weights: weights, changed: merged.changed, elementType: settings.elementType,
        dequantizedTypes: types)
    let written = try output.fill {
        try plan.write(to: output.stagingPath)
        try copyCompanions(
            of: base.folder, to: output.stagingPath, leavingOut: [], elementType: settings.elementType,
            changes: base.changedFields + (settings.form == .requantized ? base.quantizationFields : []),
            removing: settings.form == .dequantized ? [quantizationKey] : [])
        try TrainedTemplates.carry(
            from: adapters.isEmpty ? [base.folder] : adapters.map(\.folder.path), to: output.stagingPath, warn: warn)
        let written = try BaseModel.load(output.stagingPath, randomSeed: nil, warn: { _ in })
        try written.nameTurnEnd(of: adapters.map(\.folder.path))
        return written
    }
    let found = probe.logits(written.model)
    summary.changedTensors = merged.changed.count
    summary.writtenTensors = plan.tensorCount
    summary.untiedHead = merged.untiesHead
    summary.notes = merged.notes
    summary.quantizedTensors = before.count
    summary.quantization =
        trained?.quantization ?? before.first.map { QuantizationSettings($0.value.quantization).description }
    if let trained {
        summary.distance = MergeProbe.difference(found, trained.logits)
        summary.baseDistance = trained.baseDistance
    }
    summary.difference = max(merged.difference, MergeProbe.difference(found, expected))
    summary.bound = plan.bound
    if summary.difference > summary.bound {
        // A weight's rounding is as small as a sum's, and there are some of them on the way through a model.
        let noise = probe.noise(of: written.model, changed: merged.changed)
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

private func requireFinite(_ model: any LanguageModel, _ changed: Set<String>, output: String) throws {
    for parameter in model.parameters.sorted(by: { $0.name < $1.name }) where changed.contains(parameter.name) {
        guard let element = parameter.value.firstNonFinite else { continue }
        throw Problem(
            "has \(element) after merging: an adapter holds such numbers, or the weights are too large; nothing was written",
            file: output, key: parameter.name)
    }
}

extension MergeSettings.Form {
    /// Throws a `Problem` where the base's weights can't be merged into in this form.
    func check(_ base: BaseModel) throws {
        switch self {
        case .original:
            guard let stored = base.storedQuantization else { return }
            throw Problem(
                "holds weights in fewer bits (\(stored)), to which nothing can be added as they are: give --dequantize to "
                    + "write floats, --requantize to quantize the sums anew, or with --base the model that it was made "
                    + "from", file: base.folder)
        case .dequantized, .requantized:
            if !base.quantizedWeights.isEmpty { return }
            throw Problem(
                "holds floats, and no adapter was trained on them in fewer bits: merge without "
                    + (self == .dequantized ? "--dequantize" : "--requantize, and then quantize"), file: base.folder)
        }
    }
}
