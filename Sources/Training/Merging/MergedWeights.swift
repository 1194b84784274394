import Checkpoints
import Diagnostics
import Layers
import Methods
import Models
import Tensors

/// A model's parameters after adapters were merged into it, and how far that is from the adapters themselves.
struct MergedWeights {
    /// The names of the model's parameters that changed.
    let changed: Set<String>
    /// Whether the output layer has a weight of its own now, which it hadn't before.
    let untiesHead: Bool
    /// The logits of the probe that the whole must give.
    let expected: Tensor
    /// The largest difference of a probe's logits between an adapter in its place and merged, see `MergeProbe`; 0 where
    /// `expected` is that comparison.
    let difference: Double
    /// What the adapters' methods say of their weights.
    let notes: [String]

    /// Merges adapters into `base`, whose model has the merged weights afterwards.
    ///
    /// One adapter of weight 1 is merged as its method does it. Otherwise each changes the base W for itself, into Wᵢ,
    /// and the weighted changes are summed: W + Σ wᵢ (Wᵢ − W). A task's head that the base hasn't got is no change of
    /// anything, so the mean of the adapters' by their weights is taken: Σ wᵢ Wᵢ / Σ wᵢ.
    ///
    /// - Throws: `Problem` or `Problems` for adapters that don't fit or can't be merged.
    init(_ base: BaseModel, _ adapters: [(folder: AdapterFolder, weight: Float)], probe: MergeProbe) throws {
        let model = base.model
        let before = Originals(model)
        var sums: [String: [Double]] = [:]
        var unties = false
        var difference = 0.0
        var notes: [String] = []
        for adapter in adapters {
            var context = InstallationContext(seed: 0, basePath: base.folder, isTraining: false)
            context.note = { if !notes.contains($0) { notes.append($0) } }
            let installation = try base.install(adapter.folder, context)
            if let obstacle = installation.mergeObstacle {
                let type = try BaseModel.method(of: adapter.folder).name
                throw Problem(
                    "an adapter of the method \(type) can't be merged: \(obstacle)", file: adapter.folder.path)
            }
            let live = probe.logits(model)
            installation.merge(weight: 1)
            unties = unties || before.isTied && !model.isHeadTied
            let changes = before.changes(model)
            if adapters.count == 1, adapter.weight == 1 {
                self.changed = Set(changes.keys)
                self.untiesHead = unties
                self.expected = live
                self.difference = 0
                self.notes = notes
                return
            }
            difference = max(difference, MergeProbe.difference(probe.logits(model), live))
            for (name, tensor) in changes {
                let original = before.value(name).floats
                var sum = sums[name] ?? original.values.map(Double.init)
                for i in sum.indices {
                    sum[i] += Double(adapter.weight) * (Double(tensor.data[i]) - Double(original.data[i]))
                }
                sums[name] = sum
            }
            before.restore(model)
        }
        if let head = model.taskHead, base.weights?.entry(named: head.name) == nil, let sum = sums[head.name] {
            let total = adapters.reduce(0) { $0 + Double($1.weight) }
            if total == 0 {
                throw Problem(
                    "the adapters' weights sum to 0, and the base model has no \(head.name), so that nothing says what to "
                        + "take of theirs: give weights with another sum", file: adapters.first?.folder.path)
            }
            sums[head.name] = sum.map { $0 / total }
        }
        if unties { model.untieHead() }
        var changed: Set<String> = []
        for parameter in model.parameters {
            guard let sum = sums[parameter.name] else { continue }
            let tensor = Tensor(sum.map { Float($0) }, shape: parameter.shape)
            parameter.tensor = tensor
            changed.insert(parameter.name)
        }
        self.changed = changed
        self.untiesHead = unties
        self.expected = probe.logits(model)
        self.difference = difference
        self.notes = notes
    }
}

/// A model's parameters before anything was merged.
private struct Originals {
    private let values: [String: any StoredTensor]
    private let embeddingName: String
    let isTied: Bool

    init(_ model: any LanguageModel) {
        values = Dictionary(model.parameters.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        embeddingName = model.tokenEmbedding.name
        isTied = model.isHeadTied
    }

    /// The weight of that name; for an output layer that had none of its own, the token embedding.
    func value(_ name: String) -> any StoredTensor {
        guard let value = values[name] ?? values[embeddingName] else {
            defect("MergedWeights: no parameter \(name)")
        }
        return value
    }

    func changes(_ model: any LanguageModel) -> [String: Tensor] {
        var changes: [String: Tensor] = [:]
        for parameter in model.parameters where parameter.value !== value(parameter.name) {
            changes[parameter.name] = parameter.tensor
        }
        return changes
    }

    func restore(_ model: any LanguageModel) {
        if isTied { model.retieHead() }
        for parameter in model.parameters { parameter.restore(value(parameter.name)) }
    }
}
