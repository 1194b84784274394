import Checkpoints
import Configuration
import Diagnostics
import JSONText
import Methods

/// The output folder of a run, locked while it runs.
final class RunFolder {
    static let configurationName = "training_config.yaml"

    let path: String
    let delivery: DeliveryWriter
    private let configuration: RunConfiguration
    private let existing: Trainer.Existing
    private let lock: FolderLock

    /// Creates the folder, or takes one that exists as `existing` says.
    init(_ configuration: RunConfiguration, base: BaseModel, existing: Trainer.Existing, warn: WarningSink) throws {
        self.configuration = configuration
        self.existing = existing
        path = configuration.training.outputFolder
        delivery = DeliveryWriter(base: base)
        try Self.refuseInputs(configuration, base: base)
        try FileSystem.createFolder(path)
        lock = try FolderLock(folder: path)
        let hasRun = try Self.holdsRun(path)
        switch existing {
        case .refuse:
            if hasRun {
                throw Problem(
                    "the folder already holds a run: give --resume to continue it, or --overwrite to begin anew",
                    file: path, exitStatus: .cannotCreate)
            }
        case .overwrite: try Self.clear(path)
        case .resume: try refuseOtherConfiguration()
        }
        try StagedFolder.removeUnfinished(in: path)
        let checkpoints = TrainingCheckpoint.folder(path)
        if FileSystem.isFolder(checkpoints) { try StagedFolder.removeUnfinished(in: checkpoints) }
        try AtomicFile.write(configuration.resolvedYAML, to: FileSystem.join(path, Self.configurationName))
    }

    /// The newest checkpoint, where the run is to go on and there is one.
    func checkpointToResume() throws -> String? {
        guard existing == .resume else { return nil }
        return try TrainingCheckpoint.steps(in: path).last.map { TrainingCheckpoint.path(path, step: $0) }
    }

    /// Writes the delivery and the model card.
    func finish(_ result: Delivery) throws {
        try delivery.write(result, to: path, forTraining: false)
        try AtomicFile.write(
            ModelCard(configuration, result).text, to: FileSystem.join(path, "README.md"))
    }

    private static let deliveredNames = [
        AdapterFolder.configurationName, AdapterFolder.weightsName, "model.safetensors",
    ]

    private static func holdsRun(_ path: String) throws -> Bool {
        try !TrainingCheckpoint.steps(in: path).isEmpty
            || deliveredNames.contains { FileSystem.exists(FileSystem.join(path, $0)) }
    }

    private static func clear(_ path: String) throws {
        for name in deliveredNames + ["metrics.jsonl", "README.md", "checkpoints"] {
            let file = FileSystem.join(path, name)
            if FileSystem.exists(file) { try FileSystem.remove(file) }
        }
    }

    /// An output that is also an input would be lost half-way.
    private static func refuseInputs(_ configuration: RunConfiguration, base: BaseModel) throws {
        let output = FileSystem.realPath(configuration.training.outputFolder)
        for input in [base.folder, configuration.initialAdapter].compactMap({ $0 })
        where FileSystem.realPath(input) == output {
            throw Problem(
                "training.output_dir is also an input of the run; choose another folder", file: input,
                exitStatus: .cannotCreate)
        }
    }

    /// Keys that may change between the parts of a run, because no number depends on them.
    private static let changeable: Set<String> = [
        "training.output_dir", "training.logging_steps", "training.save_steps", "training.save_total_limit",
        "training.eval_steps", "training.per_device_eval_batch_size", "data.validation",
    ]

    private func refuseOtherConfiguration() throws {
        let file = FileSystem.join(path, Self.configurationName)
        guard FileSystem.isFile(file) else { return }
        let before = Self.leaves(try ConfigDocument.load(yamlFile: file).node)
        let now = Self.leaves(try ConfigDocument.parse(yaml: configuration.resolvedYAML).node)
        let changed = Set(before.keys).union(now.keys).subtracting(Self.changeable)
            .filter { before[$0] != now[$0] }.sorted()
        if changed.isEmpty { return }
        throw Problems(
            changed.map {
                Problem(
                    "was \(before[$0] ?? "absent") when the run began and is \(now[$0] ?? "absent") now: a resumed run "
                        + "must be the same; set it back, or give --overwrite to begin anew", file: file, key: $0)
            })
    }

    /// The values of a tree by their paths, as text.
    private static func leaves(_ node: ConfigNode, path: String = "") -> [String: String] {
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
