import Checkpoints
import Configuration
public import Diagnostics
import Files
import JSONText
import Layers
import Methods
import Models
import Tensors

/// Makes one LoRA adapter of several, as peft's `add_weighted_adapter` does, and writes it once it has proved itself: read
/// again it must give the logits of what was computed, and where that is the sum of the adapters' changes, those of the
/// merged sum.
///
/// - Throws: `Problem` or `Problems` for adapters that can't be used or combined so, an output that exists, and a result
///   that differs too much.
public func combine(_ settings: CombinationSettings, warn: @escaping WarningSink) throws -> CombinationSummary {
    try combine(settings, keeps: { SeededChoice(settings, $0, $1).next }, warn: warn)
}

/// What is dropped at random, by the seed, the adapter's number and the tensor.
private final class SeededChoice {
    private var generator: RandomGenerator
    private let density: Double

    init(_ settings: CombinationSettings, _ adapter: Int, _ tensor: String) {
        generator = RandomGenerator(seed: settings.seed, stream: "combine.\(adapter).\(tensor)")
        density = settings.density
    }

    func next() -> Bool { generator.nextUniform() < density }
}

/// The same with another choice of what is dropped at random.
///
/// - Parameter keeps: Whether a number stays, for the adapter's number and the tensor's name; called for each number in order.
package func combine(
    _ settings: CombinationSettings, keeps: @escaping @Sendable (Int, String) -> () -> Bool, warn: @escaping WarningSink
) throws -> CombinationSummary {
    if FileSystem.exists(settings.output) || FileSystem.isLink(settings.output) {
        throw Problem(
            "there is something already: choose another folder", file: settings.output, exitStatus: .cannotCreate)
    }
    let adapters = try settings.adapters.map {
        (folder: try AdapterFolder(path: $0.path, warn: warn), weight: $0.weight)
    }
    let training = try MergeTraining(
        MergeSettings(
            base: settings.base, adapters: settings.adapters, output: settings.output, elementType: nil,
            overwrites: false, acceptsOtherBase: settings.acceptsOtherBase), adapters)
    let base = try training.base(nil, warn: warn)
    try base.weights?.requireFinite()
    if base.labels != nil {
        throw Problem(
            "is for labels and has a head of its own, which peft doesn't combine with another: merge without --combine takes "
                + "the mean of the heads by their weights", file: settings.adapters[0].path)
    }
    let gathered = try GatheredAdapters(base, adapters)
    let combined = try CombinedAdapter(gathered, settings, keeps: keeps)
    let probe = MergeProbe(base)
    var summary = CombinationSummary()
    summary.modules = combined.modules.count
    let ranks = combined.modules.map { $0.result.a.rowCount }
    summary.ranks = (ranks.min() ?? 0)...(ranks.max() ?? 0)
    summary.notes = combined.notes
    if let quantization = training.quantization {
        summary.notes.append(
            "The adapters were trained on the base in \(quantization), which the result doesn't say: load the base so.")
    }

    let staged = try StagedFolder(path: settings.output)
    let installation = try combined.install(into: base, settings)
    try staged.fill {
        try DeliveryWriter(base: base).write(installation.deliver(), to: staged.stagingPath)
        try TrainedTemplates.carry(from: adapters.map(\.folder.path), to: staged.stagingPath, warn: warn)
    }
    let merges = installation.mergeObstacle == nil
    let isSum = settings.type == .cat && gathered.saved.isEmpty && merges
    // Merged it takes another way through the model than the files do.
    if merges { installation.merge(weight: 1) }
    let merged = probe.logits(base.model)
    let reread = try training.base(nil, warn: { _ in })
    _ = try reread.install(
        AdapterFolder(path: staged.stagingPath, warn: { _ in }),
        InstallationContext(seed: 0, basePath: reread.folder, isTraining: false))
    let found = probe.logits(reread.model)
    var expected = merged
    var changed = Set(base.model.parameters.map(\.name))
    if gathered.saved.isEmpty, merges {
        let fresh = try training.base(nil, warn: { _ in })
        let sum = try MergedWeights(fresh, adapters, probe: probe)
        changed = sum.changed
        if isSum { expected = sum.expected } else { summary.distance = MergeProbe.difference(found, sum.expected) }
    }
    summary.difference = max(MergeProbe.difference(found, expected), MergeProbe.difference(found, merged))
    summary.bound = 1e-4
    if summary.difference > summary.bound {
        let noise = probe.noise(of: base.model, changed: changed)
        summary.bound = max(summary.bound, min(1e-2, 16 * noise))
    }
    if !(summary.difference <= summary.bound) {
        throw Problem(
            summary.difference.isFinite
                ? "the combined adapter isn't what was computed: the logits of probe prompts differ by "
                    + "\(summary.difference) of the largest, and \(summary.bound) is the most that rounding explains; "
                    + "nothing was written"
                : "the combined adapter's logits aren't numbers: the weights are too large; nothing was written",
            file: settings.output)
    }
    try staged.commit()
    return summary
}

/// Combines adapters, and merges what they become into their base: both as alone, without the adapter's folder.
///
/// - Throws: What `combine` and `merge` throw.
public func merge(
    _ settings: MergeSettings, combining combination: CombinationSettings, warn: @escaping WarningSink
) throws -> (CombinationSummary, MergeSummary) {
    let inputs = settings.adapters.map(\.path)
    // What lies at the output is looked at first, before a long computation.
    _ = try MergeOutput(
        settings.output, overwrites: settings.overwrites, base: settings.base, inputs: [settings.base] + inputs,
        warn: warn)
    // Never committed, so that it goes with this object.
    let scratch = try StagedFolder(path: settings.output + "-combined")
    var combination = combination
    combination.output = scratch.path(of: "adapter")
    let combined = try combine(combination, warn: warn)
    var settings = settings
    settings.adapters = [.init(path: combination.output, weight: 1)]
    let merged = try merge(settings, warn: warn)
    return (combined, merged)
}
