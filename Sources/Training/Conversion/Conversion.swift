import Checkpoints
import Configuration
public import Diagnostics
import Files
import JSONText
import Layers
import Methods
import Models
import Tensors

/// What is turned into a low-rank adapter.
public struct ConversionSettings: Sendable, Hashable {
    public enum Source: Sendable, Hashable {
        /// An adapter's folder.
        case adapter(String)
        /// The folder of a model that was tuned as a whole.
        case model(String)

        var path: String {
            switch self {
            case .adapter(let path), .model(let path): path
            }
        }
    }

    /// The base model's folder or name.
    public var base: String
    public var source: Source
    /// The rank that each change is brought down to.
    public var rank: Int
    public var output: String
    /// Whether an adapter is taken that was trained on another base, with a warning.
    public var acceptsOtherBase: Bool

    public init(base: String, source: Source, rank: Int, output: String, acceptsOtherBase: Bool = false) {
        (self.base, self.source, self.rank, self.output) = (base, source, rank, output)
        self.acceptsOtherBase = acceptsOtherBase
    }
}

/// What a conversion came to.
public struct ConversionSummary: Sendable, Hashable {
    public struct Module: Sendable, Hashable {
        public var path: String
        public var rank: Int
        /// ‖Δ − B A‖ / ‖Δ‖ in Frobenius norms, for the change Δ of the weight.
        public var error: Double
    }

    public var modules: [Module] = []
    /// The same over all modules together.
    public var error = 0.0
    /// Modules that are stored as they are, because they aren't matrices or what changed isn't their weight.
    public var wholes: [String] = []
    /// The largest difference of a probe's logits between source and result, relative to the largest logit.
    public var difference = 0.0
}

/// Turns an adapter of any method that merges, or the difference of a tuned model from its base, into a LoRA adapter by
/// truncated singular value decompositions of the weights' changes, and writes it.
///
/// - Throws: `Problem` or `Problems` for inputs that can't be used or don't belong together, a source that changes nothing
///   or can't be merged, and an output that exists.
public func convert(_ settings: ConversionSettings, warn: @escaping WarningSink) throws -> ConversionSummary {
    let base = try BaseModel.load(settings.base, randomSeed: nil, warn: warn)
    try base.weights?.requireFinite()
    if FileSystem.exists(settings.output) || FileSystem.isLink(settings.output) {
        throw Problem(
            "there is something already: choose another folder", file: settings.output, exitStatus: .cannotCreate)
    }
    let tuned = try tunedModel(settings, base: base, warn: warn)
    let probe = MergeProbe(base)
    let (expected, change) = (probe.logits(tuned), try WeightChange(from: base.model, to: tuned, settings))
    var summary = ConversionSummary()
    let factors = change.factors(rank: settings.rank, &summary)
    let adapter = try change.install(factors, into: base, settings, &summary)
    summary.difference = MergeProbe.difference(probe.logits(base.model), expected)
    if !summary.difference.isFinite {
        throw Problem(
            "the logits of probe prompts are no finite numbers, although all weights are: they are too large; nothing was "
                + "written", file: settings.source.path)
    }
    let staged = try StagedFolder(path: settings.output)
    try staged.fill {
        try DeliveryWriter(base: base).write(adapter.deliver(), to: staged.stagingPath)
        try TrainedTemplates.carry(from: [settings.source.path], to: staged.stagingPath, warn: warn)
    }
    try staged.commit()
    return summary
}

/// The model as the source has it, its changes in its own weights.
private func tunedModel(
    _ settings: ConversionSettings, base: BaseModel, warn: @escaping WarningSink
) throws -> any LanguageModel {
    switch settings.source {
    case .model(let path):
        let source = try BaseModel.load(path, randomSeed: nil, warn: warn)
        try source.weights?.requireFinite()
        let tuned = source.model
        let (ours, theirs) = (base.model.parameters, tuned.parameters.map { ($0.name, $0.shape) })
        let shapes = Dictionary(theirs, uniquingKeysWith: { first, _ in first })
        for parameter in ours where shapes[parameter.name] != parameter.shape {
            throw Problem(
                "is no tuned version of '\(settings.base)': its \(parameter.name) "
                    + (shapes[parameter.name].map { "has shape \($0) instead of \(parameter.shape)" } ?? "is missing"),
                file: path)
        }
        return tuned
    case .adapter(let path):
        // A copy of the base of its own, as merging changes it.
        var copy = try BaseModel.load(settings.base, randomSeed: nil, warn: warn)
        if settings.acceptsOtherBase { copy.otherBaseWarning = warn }
        let folder = try AdapterFolder(path: path, warn: warn)
        let installation = try copy.install(
            folder, InstallationContext(seed: 0, basePath: settings.base, isTraining: false))
        if let obstacle = installation.mergeObstacle {
            let type = try BaseModel.method(of: folder).name
            throw Problem(
                "an adapter of the method \(type) can't be merged, and so not converted: \(obstacle)", file: path)
        }
        installation.merge(weight: 1)
        return copy.model
    }
}
