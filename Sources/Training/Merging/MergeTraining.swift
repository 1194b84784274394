import Checkpoints
import Datasets
import Diagnostics
import Layers
import Tensors

/// What adapters that are to be merged were trained on.
struct MergeTraining {
    private let settings: MergeSettings
    private let adapters: [(folder: AdapterFolder, weight: Float)]
    /// How the base was kept in fewer bits; nil where it was as it is, or where adapters differ and nothing depends on it.
    let quantization: QuantizationSettings?
    private let areAlike: Bool

    /// What the base and the adapters computed while training.
    struct Result {
        /// How the base was kept, `nf4, double`.
        let quantization: String
        let logits: Tensor
        /// The largest difference of the probe's logits between the base as it was kept and its floats.
        let baseDistance: Double
    }

    init(_ settings: MergeSettings, _ adapters: [(folder: AdapterFolder, weight: Float)]) throws {
        self.settings = settings
        self.adapters = adapters
        let all = try adapters.map { try $0.folder.trainedQuantization() }
        let isOne = all.allSatisfy { $0 == all[0] }
        if !isOne, settings.form != .original, let index = all.indices.first(where: { all[$0] != all[0] }) {
            let words = [all[0], all[index]].map { $0?.description ?? "floats" }
            throw Problem(
                "the adapters were trained on the base in different forms, '\(settings.adapters[0].path)' in \(words[0]) and "
                    + "'\(settings.adapters[index].path)' in \(words[1]): only its floats can take both")
        }
        quantization = isOne ? all.first ?? nil : nil
        areAlike = isOne
    }

    /// The base model with the head that the adapters are for.
    func base(_ quantization: QuantizationSettings?, warn: @escaping WarningSink) throws -> BaseModel {
        let labels = try adapters.map { try LabelSet(of: $0.folder) }
        if let index = labels.indices.first(where: { labels[$0] != labels[0] }) {
            throw Problem(
                "the adapters are for different tasks or labels, '\(settings.adapters[0].path)' and "
                    + "'\(settings.adapters[index].path)': they can't be merged into one model")
        }
        return try base(settings.base, labels: labels.first ?? nil, quantization, warn: warn)
    }

    private func base(
        _ path: String, labels: LabelSet?, _ quantization: QuantizationSettings?, warn: @escaping WarningSink
    ) throws -> BaseModel {
        var base = try BaseModel.load(
            path, randomSeed: nil, labels: labels, headSeed: 0, quantization: quantization, warn: warn)
        if settings.acceptsOtherBase { base.otherBaseWarning = warn }
        // Weighted heads are a mean of the adapters', without a random beginning.
        if let head = base.model.taskHead, base.weights?.entry(named: head.name) == nil {
            head.tensor = Tensor(zeros: head.shape)
        }
        return base
    }

    /// What the adapters computed on the base in fewer bits, of which `base` has the floats; nil where they were trained on
    /// those floats, or on another base.
    ///
    /// Where the adapters were trained on a folder in fewer bits that was made from `base`, that takes them too then.
    func trained(on base: inout BaseModel, _ probe: MergeProbe, warn: @escaping WarningSink) throws -> Result? {
        if !areAlike { return nil }
        let original = probe.logits(base.model)
        var kept: BaseModel
        if let quantization {
            kept = try self.base(base.folder, labels: base.labels, quantization, warn: { _ in })
        } else if let folder = try quantizedFolder(of: base) {
            kept = folder
            base.otherBaseWarning = { _ in }
        } else {
            return nil
        }
        if base.otherBaseWarning != nil { kept.otherBaseWarning = { _ in } }
        let before = probe.logits(kept.model)
        let words = kept.quantizedWeights.first.map { QuantizationSettings($0.value.quantization).description }
        let merged = try MergedWeights(kept, adapters, probe: probe)
        return Result(
            quantization: words ?? "", logits: merged.expected,
            baseDistance: MergeProbe.difference(original, before))
    }

    /// The folder in fewer bits that all adapters name, where it is what quantizing `base` gives.
    private func quantizedFolder(of base: BaseModel) throws -> BaseModel? {
        guard let path = adapters.first.flatMap({ (try? $0.folder.baseModel()) ?? nil }),
            let kept = try? self.base(path, labels: base.labels, nil, warn: { _ in }), kept.storedQuantization != nil,
            adapters.allSatisfy({ AdapterFingerprints($0.folder).difference(from: kept) == nil })
        else { return nil }
        do {
            if try base.quantizes(to: kept) { return kept }
        } catch {
            return nil
        }
        if settings.acceptsOtherBase { return nil }
        throw Problem(
            "isn't the model that '\(path)' was made from, on which the adapter was trained: quantized alike it has other "
                + "codes; give the right one with --base, or --other-base to go on all the same", file: base.folder)
    }
}
