import Configuration
import Datasets
import Diagnostics
import Files
import Methods
import Training

/// The folder as a value of YAML, in which ': ' or ' #' would be something else than text.
private func outputOverride(_ folder: String) -> String {
    "training.output_dir=\(ConfigValue.string(folder).flow())"
}

/// What a comparison is to run: the same data and seed with one method after the other.
struct ComparisonPlan {
    /// One method with its settings.
    struct Entry {
        let name: String
        let config: String
        /// As for `--set`, without the output folder and the rate.
        let overrides: [String]
        let method: String
        /// The rates to try, of which the one with the lowest validation loss counts.
        let learningRates: [Double]
        let outputFolder: String

        /// The folder of the run with a rate.
        func folder(_ rate: Double) -> String {
            learningRates.count == 1 ? outputFolder : FileSystem.join(outputFolder, "rate-\(rate)")
        }

        /// The options that make up the run with a rate.
        func options(_ rate: Double) -> [String] {
            let settings = overrides + ["training.learning_rate=\(rate)", outputOverride(folder(rate))]
            return ["--config", config] + settings.flatMap { ["--set", $0] }
        }
    }

    let entries: [Entry]
    let modelPath: String
    let task: LearningTask
    let hasCompletions: Bool
    let isRegression: Bool
    let seed: UInt64
    let train: [String]
    let validation: [String]
    /// Seconds that all runs share; nil where each goes to its end.
    let budget: Double?

    /// Reads every configuration.
    ///
    /// - Throws: `Problem` or `Problems` for what is wrong with one, and where they don't have model, data and seed in
    ///   common.
    init(_ command: CompareCommand) throws {
        var entries: [Entry] = []
        var first: RunConfiguration?
        for (name, config, changes) in try Self.sources(command) {
            // What is given for a method by its name alone adds to its default settings.
            let isNamed = command.variants == nil && !changes.isEmpty
            let overrides = isNamed ? changes + command.set : command.set + changes
            try ComparisonName.check(name, among: entries.map(\.name), isFileName: command.variants == nil)
            let folder = FileSystem.join(command.output, name)
            let run = try Self.explaining(isNamed ? changes[0] : nil, name) {
                try RunConfiguration(
                    ConfigDocument.load(yamlFile: config, overrides: overrides + [outputOverride(folder)]),
                    warn: Console.report)
            }
            if let first { try Self.refuseDifferences(first, run, command.config[0], name) }
            first = first ?? run
            entries.append(
                Entry(
                    name: name, config: config, overrides: overrides, method: run.methodName,
                    learningRates: try Self.rates(command.learningRates, own: run.training.learningRate),
                    outputFolder: folder))
        }
        guard let first else { defect("ComparisonPlan: nothing to compare") }
        if first.data.validation.isEmpty {
            throw Problem(
                "must be given: the methods are compared by it", file: command.config[0], key: "data.validation")
        }
        if !first.training.isEvaluating {
            throw Problem(
                "is no, and the methods are compared by the validation loss", file: command.config[0],
                key: "training.eval_strategy")
        }
        self.entries = entries
        modelPath = first.modelPath
        task = first.task
        if case .completion = first.data.templates { hasCompletions = true } else { hasCompletions = false }
        isRegression =
            try first.task == .sequenceClassification
            && first.data.labelSet(paths: first.data.train)?.isRegression == true
        seed = first.training.seed
        train = first.data.train
        validation = first.data.validation
        budget = first.training.budgetSeconds
    }

    /// Calls `body`, and names `--methods` instead of `change`, which stands for it, in what is wrong.
    private static func explaining<Result>(
        _ change: String?, _ name: String, _ body: () throws -> Result
    ) throws -> Result {
        do {
            return try body()
        } catch let problems as Problems {
            throw Problems(
                problems.list.map { problem in
                    guard let change, problem.file == "--set \(change)" else { return problem }
                    var problem = problem
                    problem.file = "--methods \(name)"
                    problem.message += "; give what a method needs with --set, or with --variants for each its own"
                    return problem
                })
        }
    }

    /// Names, files and what is replaced in them: a file for each, or one file with one method after the other.
    private static func sources(
        _ command: CompareCommand
    ) throws -> [(name: String, config: String, changes: [String])] {
        if let path = command.variants {
            let variants = try RunVariants.load(path).filter {
                command.methods.isEmpty || command.methods.contains($0.name)
            }
            if let other = command.methods.first(where: { name in !variants.contains { $0.name == name } }) {
                throw Problem("has no variant '\(other)'", file: path, exitStatus: .usage)
            }
            return variants.map { ($0.name, command.config[0], $0.overrides) }
        }
        if command.methods.isEmpty {
            return command.config.map { path in
                let name = FileSystem.split(path).name
                return (name.hasSuffix(".yaml") ? String(name.dropLast(5)) : name, path, [])
            }
        }
        let known = Methods.methods.map { $0.name }
        if let other = command.methods.first(where: { !known.contains($0) }) {
            throw Problem(
                "--methods: expected names out of \(known.joined(separator: ", ")), got '\(other)'", exitStatus: .usage)
        }
        return command.methods.map { method in
            // The settings of another method have no meaning for this one.
            let own = try? ConfigDocument.load(yamlFile: command.config[0], overrides: command.set).root.section("peft")
                .optionalString("method")
            return (method, command.config[0], own == method ? [] : ["peft={method: \(method)}"])
        }
    }

    /// A configuration's own rate, the rates given, or multiples of its own (`x3`).
    private static func rates(_ given: [String], own: Double) throws -> [Double] {
        if given.isEmpty { return [own] }
        return try given.map { text in
            let isFactor = text.hasPrefix("x")
            guard let value = Double(isFactor ? String(text.dropFirst()) : text), value > 0, value.isFinite else {
                throw Problem(
                    "--learning-rates: expected a rate as 1e-3, or a factor of the configuration's own as x3, got '\(text)'",
                    exitStatus: .usage)
            }
            // Six digits, so that 3 × 0.001 isn't 0.0030000000000000001.
            return isFactor ? rounded(own * value) : value
        }
    }

    private static func rounded(_ value: Double) -> Double {
        var scale = 1.0
        while value * scale < 1e5 { scale *= 10 }
        return (value * scale).rounded() / scale
    }

    private static func refuseDifferences(
        _ first: RunConfiguration, _ other: RunConfiguration, _ firstName: String, _ name: String
    ) throws {
        let pairs: [(key: String, isEqual: Bool)] = [
            ("model.path", first.modelPath == other.modelPath), ("task", first.task == other.task),
            ("data.train", first.data.train == other.data.train),
            ("data.validation", first.data.validation == other.data.validation),
            ("data", first.data == other.data), ("training.seed", first.training.seed == other.training.seed),
        ]
        guard let key = pairs.first(where: { !$0.isEqual })?.key else { return }
        throw Problem(
            "differs from \(firstName): methods are compared on the same model, data and seed", file: name, key: key)
    }
}
