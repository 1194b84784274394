import Checkpoints
public import Configuration
public import Datasets
public import Diagnostics
import JSONText
public import Layers
public import Methods

/// A run's whole configuration: what to train, on what, how, and where to.
public struct RunConfiguration {
    /// Where a model's tensors come from.
    public enum Start: String, CaseIterable, Sendable {
        case pretrained
        /// From the seed, by the rules of the architecture.
        case random
    }

    public let modelPath: String
    public let start: Start
    /// How the base's linear layers are kept in fewer bits; nil keeps them as they are.
    public let quantization: QuantizationSettings?
    public let data: DataSettings
    public let method: any PEFTMethod
    public let methodName: String
    /// The adapter that training starts from.
    public let initialAdapter: String?
    public private(set) var training: TrainingSettings
    /// Where the settings of `training` were written, for what shows only once data and model are there.
    private(set) var trainingSection: ConfigSection
    private(set) var dataSection: ConfigSection
    /// Every value with the defaults, as `training_config.yaml` keeps it.
    public let resolvedYAML: String

    public var task: LearningTask { data.templates.task }

    /// Whether the configuration asks for a model with an encoder.
    let asksForEncoder: Bool

    /// Whether a whole model comes out, rather than an adapter.
    var deliversModel: Bool { type(of: method).adapterType == nil }

    /// Reads all sections.
    ///
    /// - Throws: `Problems` that list everything that is wrong, unknown keys included.
    public init(_ document: ConfigDocument, warn: WarningSink) throws {
        document.root.translate(ForeignKeys.all)
        let model = document.root.section("model")
        modelPath = model.requiredPath("path")
        start = model.choice("init", default: Start.pretrained)
        quantization = QuantizationSettings(model)
        let task = document.root.choice("task", default: LearningTask.causalLM)
        let given = document.root.optionalString("task")
        asksForEncoder = task == .sequenceToSequenceLM
        data = DataSettings(
            document.root.section("data"), task: given == nil || given == task.rawValue ? task : nil,
            needsTrainingFiles: true)
        let peft = document.root.section("peft")
        let name = peft.requiredChoice("method", of: methods.map { $0.name })
        methodName = name
        initialAdapter = peft.optionalPath("init_from")
        let type = methods.first { $0.name == name } ?? LoRA.self
        // Which keys belong to a method that isn't known can't be told.
        if peft.optionalString("method") != name { peft.ignoreUnread() }
        let adapter = initialAdapter
        let method = Result { try Self.read(type, peft, startingFrom: adapter, warn: warn) }
        trainingSection = document.root.section("training")
        dataSection = document.root.section("data")
        training = TrainingSettings(trainingSection, defaultRate: type.learningRate)
        let hasValidation = !data.validation.isEmpty || data.validationFraction != nil
        if training.schedule.plateau != nil, !hasValidation || !training.isEvaluating {
            trainingSection.record(
                !hasValidation
                    ? "waits for the validation loss, and data.validation names no file to measure it on"
                    : "waits for the validation loss, which eval_strategy: no leaves unmeasured",
                at: "lr_scheduler_type")
        }
        if initialAdapter != nil, type.adapterType == nil, peft.has("method") {
            peft.record("\(methodName) makes no adapter; start from a model by model.path", at: "init_from")
        }
        if case .failure(let error) = method {
            for problem in (error as? Problems)?.list ?? [error as? Problem].compactMap({ $0 }) {
                document.record(problem)
            }
        }
        try document.finish()
        for warning in document.warnings { warn(warning) }
        self.method = try method.get()
        try Self.check(data, self.method, dataSection, warn: warn)
        resolvedYAML = document.resolvedYAML()
    }

    /// Throws `Problems` where the templates don't go with the method's virtual tokens, and warns of places that are none.
    private static func check(
        _ data: DataSettings, _ method: any PEFTMethod, _ section: ConfigSection, warn: WarningSink
    ) throws {
        func problem(_ message: String, at key: String?) -> Problem {
            section.problem(message, at: (key ?? "").replacing("data.", with: ""))
        }
        do {
            try data.check(VirtualTokenPlaces(placedCount: method.placedTokens))
        } catch let found as Problem {
            throw Problems([problem(found.message, at: found.key)])
        }
        if method.leadingPositions > 0, let given = data.templates.given, given.template.virtualTokenCount > 0 {
            var warning = problem(
                "[P3] and the like are text here: the virtual tokens stand in front, unless p_tuning is told to place "
                    + "them (virtual_token_placement: template)", at: given.key)
            warning.severity = .warning
            warn(warning)
        }
    }

    /// Throws `Problems` with a place where records can't be made by the templates for a model with that codec.
    func check(_ codec: TextCodec) throws {
        do {
            try codec.check(
                data.templates, blockSize: data.blockSize, maximumTargetLength: data.maximumTargetLength)
        } catch let found as Problem {
            let key = (found.key ?? "").replacing("data.", with: "")
            // Lines of a text file need no template, so that none may stand there.
            throw Problems([dataSection.problem(found.message, at: dataSection.has(key) ? key : "prompt")])
        }
    }

    /// Which of the training data's examples are in which batch of which epoch.
    ///
    /// - Parameter rankCount: The processes that share a batch.
    func batchPlan(for dataset: Dataset, rankCount: Int) throws -> any BatchPlan {
        try training.batches.plan(
            for: dataset, data, batchSize: training.batchSize, accumulation: training.accumulation,
            rankCount: rankCount, seed: training.seed, trainingSection)
    }

    /// The configured optimizer of what trains in a model, still without memory for its state.
    ///
    /// - Throws: `Problems` where its settings don't fit the model or what trains.
    public func optimizer(
        of parameters: [TrainableParameter], in model: any AdaptableModel
    ) throws -> any Optimizer {
        var (parameters, settings) = (parameters, training.optimizer)
        if let loRAPlus = settings.loRAPlus {
            parameters = try loRAPlus.grouped(
                parameters, learningRate: training.learningRate, method: methodName, trainingSection)
            settings.adam.weightDecay = loRAPlus.weightDecay
        }
        return try settings.type.init(
            OptimizerContext(
                parameters: parameters, settings: settings, model: model, method: methodName,
                section: trainingSection))
    }

    /// The same with the labels that were found in the data, so that they are known wherever the result is used.
    func with(_ labels: LabelSet) throws -> RunConfiguration {
        var overrides = ["data.problem_type=\(labels.problemType)"]
        if !labels.isRegression {
            overrides.append("data.labels=\(ConfigValue.list(labels.names.map(ConfigValue.string)).flow())")
        }
        var configuration = try RunConfiguration(.parse(yaml: resolvedYAML, overrides: overrides), warn: { _ in })
        // Which values were given, and where, the resolved ones don't tell.
        (configuration.training, configuration.trainingSection) = (training, trainingSection)
        configuration.dataSection = dataSection
        return configuration
    }

    /// The same with a size of batches, where that was left open.
    func with(batchSize: Int) throws -> RunConfiguration {
        let override = "training.per_device_train_batch_size=\(batchSize)"
        var configuration = try RunConfiguration(.parse(yaml: resolvedYAML, overrides: [override]), warn: { _ in })
        (configuration.training, configuration.trainingSection) = (training, trainingSection)
        configuration.dataSection = dataSection
        configuration.setBatchSize(batchSize)
        return configuration
    }

    mutating func setBatchSize(_ size: Int) { (training.batchSize, training.isBatchAutomatic) = (size, false) }

    private static func read<Method: PEFTMethod>(
        _ type: Method.Type, _ section: ConfigSection, startingFrom adapter: String?, warn: WarningSink
    ) throws -> any PEFTMethod {
        guard let adapter, type.adapterType != nil else { return try type.init(section, startingFrom: nil) }
        let start: Method
        do {
            let folder = try AdapterFolder(path: adapter, warn: warn)
            guard try folder.configuration.string("peft_type") == type.adapterType else {
                throw Problems([section.problem("is no adapter of the method \(type.name)", at: "init_from")])
            }
            start = try type.init(ConfigDocument(adapter: folder).root, startingFrom: nil)
        } catch {
            // The settings weren't looked at, so none of them is known to be wrong.
            section.ignoreUnread()
            throw error
        }
        return try type.init(section, startingFrom: start)
    }
}
