import ArgumentParser
import Checkpoints
import Configuration
import Datasets
import Diagnostics
import Files
import JSONText
import Layers
import Methods
import Tensors
import Tokenizers
import Training

/// The option that lets an adapter be used on another base than its own.
struct OtherBaseOption: ParsableArguments {
    @Flag(help: "Use an adapter on a base model, or with a tokenizer, that isn't the one that it was trained on.")
    var otherBase = false
}

/// The options that keep a base's linear layers in fewer bits.
struct QuantizationOptions: ParsableArguments {
    @Flag(
        name: .customLong("load-in-4bit"), inversion: .prefixedNo,
        help: ArgumentHelp(
            "Keep the base's linear layers in 4 bits (NF4). By default as in the run that made the adapter."))
    var loadIn4bit: Bool?

    @Flag(
        name: .customLong("load-in-8bit"), inversion: .prefixedNo,
        help: ArgumentHelp("Keep the base's linear layers in 8 bits. By default as in the run that made the adapter."))
    var loadIn8bit: Bool?

    func validate() throws {
        if loadIn4bit == true, loadIn8bit == true {
            throw ValidationError("--load-in-4bit and --load-in-8bit: only one can be")
        }
    }

    /// What the options say, otherwise what a run's settings say.
    func settings(otherwise document: ConfigDocument?) throws -> QuantizationSettings? {
        let run = try document.flatMap { try QuantizationSettings(of: $0) }
        let isFour = run.map { $0.quantization.format != .int8 }
        if loadIn4bit == true { return isFour == true ? run : QuantizationSettings(Quantization(.nf4)) }
        if loadIn8bit == true { return isFour == false ? run : QuantizationSettings(Quantization(.int8)) }
        if isFour == true && loadIn4bit == false || isFour == false && loadIn8bit == false { return nil }
        return run
    }
}

/// The options that say which models to use.
struct ModelOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The base model: a folder, or a name in the local Hub cache. By default the one that the adapter names.",
            valueName: "dir"), transform: expandedPath)
    var base: String?

    @Option(
        help: ArgumentHelp("An adapter's folder; may be given several times, for a result each.", valueName: "dir"),
        transform: expandedPath)
    var adapter: [String] = []

    @Option(
        help: ArgumentHelp(
            "A run's configuration, for the model, the adapter in its output folder, the data and the templates.",
            valueName: "file"), transform: expandedPath)
    var config: String?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Replace a value of the configuration; may be given several times.", valueName: "key=value"))
    var set: [String] = []

    @OptionGroup var quantization: QuantizationOptions
    @OptionGroup var otherBase: OtherBaseOption

    func validate() throws {
        if config == nil, !set.isEmpty { throw ValidationError("--set changes a configuration: give --config too") }
        if config == nil, base == nil, adapter.isEmpty {
            throw ValidationError("no model: give --base, --adapter or --config")
        }
    }
}

/// The models that the options mean, and the configuration that belongs to them.
struct ModelSelection {
    /// A base model with or without an adapter.
    struct Variant {
        var base: String
        var adapter: String?
        /// What the user calls it: the adapter's path, or the model's; nil for the base of adapters or of a run.
        var label: String?
        /// What `--config` says, or the run that made the adapter or model.
        var document: ConfigDocument?
        /// How the base's linear layers are kept in fewer bits; nil keeps them as they are.
        var quantization: QuantizationSettings?
        /// Whether the adapter may be used on a base that isn't its own.
        var acceptsOtherBase = false
    }

    private(set) var variants: [Variant]
    let isBaseNamedByAdapter: Bool
    /// Whether records choose among the adapters, by the variants' labels.
    private(set) var areNamed = false

    init(_ options: ModelOptions) throws {
        try self.init(
            base: options.base, adapters: options.adapter, config: options.config, overrides: options.set,
            quantization: options.quantization, otherBase: options.otherBase)
    }

    /// The same where adapters may have names, which are their labels then.
    init(namedIn options: ModelOptions) throws {
        let adapters = try AdapterNames(options.adapter)
        try self.init(
            base: options.base, adapters: adapters.paths, config: options.config, overrides: options.set,
            quantization: options.quantization, otherBase: options.otherBase)
        if adapters.names.isEmpty { return }
        for (index, name) in adapters.names.enumerated() { variants[index].label = name }
        areNamed = true
    }

    /// Whether two paths or names mean the same model.
    static func isSame(_ first: String, _ second: String) -> Bool {
        first == second || FileSystem.isSame(first, second)
    }

    init(
        base: String?, adapters: [String], config: String?, overrides: [String], quantization: QuantizationOptions,
        otherBase: OtherBaseOption
    ) throws {
        let document = try config.map { try ConfigDocument.load(yamlFile: $0, overrides: overrides) }
        var variants = try adapters.map { adapter in
            Variant(base: try base ?? Self.base(of: adapter), adapter: adapter, label: adapter)
        }
        if variants.isEmpty {
            if let base {
                variants = [Variant(base: base, adapter: nil, label: base)]
            } else if let document {
                variants = [try Self.tuned(document)]
            }
        }
        isBaseNamedByAdapter = base == nil && !adapters.isEmpty
        self.variants = try variants.map { variant in
            var variant = variant
            variant.acceptsOtherBase = otherBase.otherBase
            variant.document = try document ?? Self.run(beside: variant.adapter ?? variant.base)
            // A whole model that a run has made is as it is.
            let run = variant.adapter == nil && config == nil ? nil : variant.document
            variant.quantization = try quantization.settings(otherwise: run)
            return variant
        }
    }

    /// The models without what was tuned.
    var bases: [Variant] {
        var paths: [String] = []
        for variant in variants {
            let tuned = variant.document?.root.section("model").optionalPath("path")
            guard let base = variant.adapter == nil ? tuned : variant.base else { continue }
            if !paths.contains(base), !variants.contains(where: { $0.adapter == nil && $0.base == base }) {
                paths.append(base)
            }
        }
        let accepts = variants.contains { $0.acceptsOtherBase }
        return paths.map { path in
            Variant(
                base: path, adapter: nil, label: nil, document: nil,
                quantization: variants.first { $0.base == path }?.quantization, acceptsOtherBase: accepts)
        }
    }

    /// The model that a run's configuration has brought forth.
    private static func tuned(_ document: ConfigDocument) throws -> Variant {
        let base = document.root.section("model").requiredPath("path")
        let output = document.root.section("training").requiredPath("output_dir")
        try document.root.throwProblems()
        if FileSystem.isFile(FileSystem.join(output, AdapterFolder.configurationName)) {
            return Variant(base: base, adapter: output, label: output)
        }
        if FileSystem.isFile(FileSystem.join(output, "config.json")) {
            return Variant(base: output, adapter: nil, label: output)
        }
        throw Problem(
            "holds neither an adapter nor a model yet: run 'peft train' first, or give --adapter or --base",
            file: output,
            exitStatus: .missingInput)
    }

    static func base(of adapter: String) throws -> String {
        let folder = try AdapterFolder(path: adapter, warn: { _ in })
        guard let base = try folder.baseModel() else {
            throw Problem("doesn't name its base model: give it with --base", file: adapter)
        }
        return base
    }

    /// The configuration that tells how a folder's content was trained; nil where it has none.
    private static func run(beside folder: String) throws -> ConfigDocument? {
        try TrainedTemplates.document(in: folder)
    }
}

extension BaseModel {
    /// Loads the base of a variant.
    static func load(
        _ variant: ModelSelection.Variant, labels: LabelSet?, isNamedByAdapter: Bool
    ) throws -> BaseModel {
        var base = try hinting(at: variant.base, isNamedByAdapter: isNamedByAdapter) {
            try load(
                variant.base, randomSeed: nil, labels: labels, headSeed: 0, quantization: variant.quantization,
                warn: Console.report)
        }
        if variant.acceptsOtherBase { base.otherBaseWarning = Console.report }
        return base
    }

    /// Calls `body`, and says where the base model's name comes from if the model isn't there.
    static func hinting<Result>(
        at base: String, isNamedByAdapter: Bool, _ body: () throws -> Result
    ) throws -> Result {
        do {
            return try body()
        } catch var problem as Problem
            where isNamedByAdapter && problem.exitStatus == .missingInput && problem.file == base
        {
            problem.message += "\nThe adapter names this base model; give another with --base"
            throw problem
        }
    }

    /// Calls `body` while the adapter is in the model.
    func with<Result>(_ adapter: AdapterFolder?, _ body: () throws -> Result) throws -> Result {
        guard let adapter else { return try body() }
        let installation = try install(
            adapter, InstallationContext(seed: 0, basePath: folder, isTraining: false))
        defer { installation.remove() }
        return try body()
    }
}
