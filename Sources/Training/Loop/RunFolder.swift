import Checkpoints
import Configuration
import Datasets
import Diagnostics
import Files
import Glibc
import JSONText
import Methods

/// The output folder of a run, locked while it runs.
final class RunFolder {
    static let configurationName = "training_config.yaml"

    let path: String
    let delivery: DeliveryWriter
    private let configuration: RunConfiguration
    private let existing: Trainer.Existing
    private let stepCount: Int
    private let lock: FolderLock

    /// Creates the folder, or takes one that exists as `existing` says.
    ///
    /// - Parameters:
    ///   - chat: What conversations are written by.
    ///   - stepCount: The steps of the run.
    init(
        _ configuration: RunConfiguration, base: BaseModel, chat: ChatFormat?, existing: Trainer.Existing,
        stepCount: Int, warn: WarningSink
    ) throws {
        self.configuration = configuration
        self.existing = existing
        self.stepCount = stepCount
        path = configuration.training.outputFolder
        delivery = DeliveryWriter(base: base, chat: chat)
        try Self.refuseInputs(configuration, base: base)
        try FileSystem.createFolder(path)
        lock = try FolderLock(folder: path)
        try refuseForeignFiles()
        let checkpoints = TrainingCheckpoint.folder(path)
        if FileSystem.isFolder(checkpoints) { try StagedFolder.removeUnfinished(in: checkpoints, warn: warn) }
        let hasRun = try isDelivered || !TrainingCheckpoint.steps(in: path).isEmpty
        switch existing {
        case .refuse:
            if hasRun {
                throw Problem(
                    "the folder already holds a run: give --resume to continue it, or --overwrite to begin anew",
                    file: path, exitStatus: .cannotCreate)
            }
        case .overwrite: try clear()
        case .resume:
            if hasRun {
                try refuseOtherConfiguration(warn: warn)
                if isDelivered, !isFinished, try TrainingCheckpoint.steps(in: path).isEmpty { throw unextendable() }
            } else {
                warn(
                    Problem(
                        "the folder holds no checkpoint to go on from: the run begins at its first step", file: path,
                        severity: .warning))
            }
        }
        try StagedFolder.removeUnfinished(in: path, warn: warn)
        try AtomicFile.write(configuration.resolvedYAML, to: FileSystem.join(path, Self.configurationName))
    }

    /// Whether the folder is still the one that was locked, where it was.
    var isInPlace: Bool { lock.isInPlace }

    /// Whether nothing of another run is in the folder's place.
    private var isFree: Bool {
        let names = (try? FileSystem.names(in: path)) ?? []
        return isInPlace || !names.contains { KnownFiles.isOurs($0) || $0 == "checkpoints" }
    }

    /// Makes the folder again where it was removed or moved away, for a checkpoint to be written to.
    ///
    /// - Returns: Its path; another one where the place was taken meanwhile.
    func makeAnew() throws -> String {
        // Whoever is removing many files isn't done at once.
        for _ in 0..<20 where !isFree { usleep(100_000) }
        let target = isFree ? path : path + ".saved"
        try FileSystem.createFolder(target)
        try AtomicFile.write(configuration.resolvedYAML, to: FileSystem.join(target, Self.configurationName))
        return target
    }

    /// The newest checkpoint, where the run is to go on and there is one.
    func checkpointToResume() throws -> String? {
        guard existing == .resume else { return nil }
        return try TrainingCheckpoint.steps(in: path).last.map { TrainingCheckpoint.path(path, step: $0) }
    }

    /// Whether the folder holds all that a run delivers.
    private var isDelivered: Bool {
        DeliveryWriter.marks.contains { FileSystem.exists(FileSystem.join(path, $0)) }
    }

    /// Whether the folder holds what the run delivers after all of its steps, of which there may be more by now.
    var isFinished: Bool { isDelivered && MetricsLog.lastStep(in: path) ?? stepCount >= stepCount }

    private func unextendable() -> Problem {
        Problem(
            "the run is finished, and has no checkpoint from which it could go on to more steps; begin another run from its "
                + "result: \(startingPoint(path)) and another training.output_dir", file: path)
    }

    /// The setting by which a new run begins from what a run has delivered, or saved.
    private func startingPoint(_ folder: String) -> String {
        (configuration.deliversModel ? "model.path: " : "peft.init_from: ") + folder
    }

    /// The size of batches of the run that a folder holds; nil where it holds none.
    static func batchSize(in folder: String) -> Int? {
        let file = FileSystem.join(folder, configurationName)
        guard FileSystem.isFile(file), let document = try? ConfigDocument.load(yamlFile: file) else { return nil }
        return leaves(document.node)["training.per_device_train_batch_size"].flatMap { Int($0) }
    }

    /// Writes the model card and the delivery.
    func finish(_ result: Delivery, _ facts: ModelCard.Facts) throws {
        let picture = LossPicture.fileName
        let card = ModelCard(
            configuration, facts, try LossCourse(folder: path),
            picture: FileSystem.isFile(FileSystem.join(path, picture)) ? picture : nil)
        try AtomicFile.write(card.text, to: FileSystem.join(path, ModelCard.fileName))
        try delivery.write(result, to: path)
    }

    private static let names =
        DeliveryWriter.marks + AdapterFolder.fileNames
        + [MetricsLog.fileName, LossPicture.fileName, ModelCard.fileName, KnownFiles.validationName]

    /// A run's folder is known by its configuration, which is written before anything else. In one without, nothing may
    /// be replaced or removed.
    private func refuseForeignFiles() throws {
        if FileSystem.exists(FileSystem.join(path, Self.configurationName)) { return }
        var names = Self.names + ["checkpoints"]
        if configuration.deliversModel { names += try companionNames(of: delivery.base.folder) }
        guard let name = names.first(where: { FileSystem.exists(FileSystem.join(path, $0)) }) else { return }
        throw Problem(
            "holds '\(name)', which no run has written and this one would replace; choose another folder", file: path,
            exitStatus: .cannotCreate)
    }

    /// Removes the former run: first what says that it is complete, then its checkpoints, each as a whole, so that
    /// nothing broken is found should this be interrupted. What no run has written stays, or keeps all from being removed
    /// where it lies among a checkpoint's files.
    private func clear() throws {
        let checkpoints = TrainingCheckpoint.folder(path)
        let isLink = FileSystem.isLink(checkpoints)
        let steps = isLink ? [] : try TrainingCheckpoint.steps(in: path)
        for step in steps {
            let folder = TrainingCheckpoint.path(path, step: step)
            if let name = try TrainingCheckpoint.foreignName(in: folder, base: delivery.base.folder) {
                throw Problem(
                    "holds '\(name)', which no run has written and --overwrite would remove: move it away, or choose "
                        + "another output folder", file: folder, exitStatus: .cannotCreate)
            }
        }
        let files = try (DeliveryWriter.marks + formerCompanions() + Self.names).map { FileSystem.join(path, $0) }
        for file in files where FileSystem.isFolder(file) && !FileSystem.isLink(file) {
            throw Problem(
                "is a folder where a run has a file, which --overwrite doesn't remove", file: file,
                exitStatus: .cannotCreate)
        }
        for file in files { try FileSystem.remove(file) }
        let events = FileSystem.join(path, EventLog.folderName)
        if !FileSystem.isLink(events) {
            for name in try EventLog.files(in: events) { try FileSystem.remove(FileSystem.join(events, name)) }
            // Left where it holds anything else.
            rmdir(events)
        }
        if isLink {
            try FileSystem.remove(checkpoints)
        } else {
            for step in steps { try TrainingCheckpoint.removeWhole(TrainingCheckpoint.path(path, step: step)) }
            // Left where it holds anything else.
            rmdir(checkpoints)
        }
    }

    /// What a former run that delivered a model copied from its base, as far as the base is still there.
    private func formerCompanions() throws -> [String] {
        let file = FileSystem.join(path, Self.configurationName)
        guard FileSystem.exists(FileSystem.join(path, DeliveryWriter.modelName)), FileSystem.isFile(file),
            let former = try? ConfigDocument.load(yamlFile: file),
            let base = try? HubCache.resolve(former.root.section("model").requiredPath("path"))
        else { return [] }
        return try companionNames(of: base).filter { isModelFile($0, in: path, base: base) }
    }

    /// An output that is also an input would be lost half-way.
    private static func refuseInputs(_ configuration: RunConfiguration, base: BaseModel) throws {
        let output = FileSystem.realPath(configuration.training.outputFolder)
        let checkpoints = TrainingCheckpoint.folder(output) + "/"
        for input in [base.folder, configuration.initialAdapter].compactMap({ $0 }) {
            let source = FileSystem.realPath(input)
            guard source == output || source.hasPrefix(checkpoints) else { continue }
            throw Problem(
                "training.output_dir is also an input of the run; choose another folder", file: input,
                exitStatus: .cannotCreate)
        }
        for file in configuration.data.train + configuration.data.validation {
            let source = FileSystem.realPath(file)
            let (folder, name) = FileSystem.split(source)
            guard source.hasPrefix(checkpoints) || folder == output && KnownFiles.isOurs(name) else { continue }
            throw Problem(
                "is data of the run, and a file that a run writes to training.output_dir; choose another folder",
                file: file, exitStatus: .cannotCreate)
        }
    }

    /// Keys that may change between the parts of a run.
    private var changeable: Set<String> {
        var keys = Self.harmless
        // Which model is the best, and when a run ends, does depend on evaluations.
        if configuration.training.best.isTracked {
            keys.subtract(["training.eval_steps", "training.eval_strategy", "data.validation"])
        }
        if configuration.training.schedule.plateau != nil { keys.subtract(Self.watched) }
        return keys
    }

    /// Keys on which no number depends, or only in how it is rounded.
    static let harmless: Set<String> = [
        "training.output_dir", "training.logging_steps", "training.save_steps", "training.save_total_limit",
        "training.eval_steps", "training.per_device_eval_batch_size", "training.gradient_checkpointing",
        "data.validation", "training.optim_paging_dir", "training.keep_hidden_states", "training.hidden_states_memory",
        "training.hidden_states_dir", "training.max_time", "training.memory_limit", "training.eval_strategy",
        "training.save_strategy", "training.report_to", "training.logging_dir",
    ]

    /// Those of them that decide when and on what the loss is measured for which a learning rate waits.
    private static let watched: Set<String> = [
        "training.eval_steps", "training.per_device_eval_batch_size", "data.validation", "training.eval_strategy",
    ]

    /// The length of a run, which may grow.
    private static let lengths: Set<String> = ["training.num_train_epochs", "training.max_steps"]

    private func refuseOtherConfiguration(warn: WarningSink) throws {
        let file = FileSystem.join(path, Self.configurationName)
        guard FileSystem.isFile(file) else { return }
        let before = Self.leaves(try ConfigDocument.load(yamlFile: file).node)
        let now = Self.leaves(try ConfigDocument.parse(yaml: configuration.resolvedYAML).node)
        let changed = Set(before.keys).union(now.keys).subtracting(changeable)
            .filter { before[$0] != now[$0] }.sorted()
        let newest = try TrainingCheckpoint.steps(in: path).last
        var problems: [Problem] = []
        for key in changed {
            let change = "was \(before[key] ?? "absent") when the run began and is \(now[key] ?? "absent") now"
            if Self.lengths.contains(key), let old = before[key].flatMap(Double.init),
                let new = now[key].flatMap(Double.init), new > old
            {
                let start = newest.map { "goes on from step \($0) to" } ?? "has"
                warn(
                    Problem(
                        "\(change): the run \(start) \(stepCount) steps, and its learning rate follows the new total",
                        file: file, key: key, severity: .warning))
                continue
            }
            let source = newest.map { TrainingCheckpoint.path(path, step: $0) } ?? (isDelivered ? path : nil)
            let isFree = key.hasPrefix("training.") || key.hasPrefix("data.")
            let other =
                isFree
                ? source.map { ", or begin another run from there with \(startingPoint($0)) and another output_dir" }
                : nil
            problems.append(
                Problem(
                    "\(change): a resumed run must be the same; set it back, "
                        + (other == nil ? "or give --overwrite to begin anew" : "give --overwrite to begin anew")
                        + (other ?? ""), file: file, key: key))
        }
        if !problems.isEmpty { throw Problems(problems) }
    }

    /// The values of a tree by their paths, as text.
    static func leaves(_ node: ConfigNode, path: String = "") -> [String: String] {
        switch node.content {
        case .null: [:]
        case .scalar(let text, _): [path: text]
        case .list(let nodes):
            [path: nodes.map { leaves($0).values.sorted().joined(separator: ",") }.joined(separator: ", ")]
        case .mapping(let entries):
            entries.reduce(into: [:]) { result, entry in
                let below = leaves(entry.value, path: path.isEmpty ? entry.key : "\(path).\(entry.key)")
                result.merge(below) { first, _ in first }
            }
        }
    }
}
