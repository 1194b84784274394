import Checkpoints
import Diagnostics
import Files
import JSONText

/// What a file or folder holds.
struct Inspection {
    enum Kind: String {
        case model
        /// A model's `config.json` with no weights beside it.
        case configuration
        case adapter
        case safetensors
        /// A run's output folder that holds no result yet.
        case run
    }

    let kind: Kind
    /// The path as it was found, which may lie below the given one.
    let path: String
    let model: ModelFacts?
    /// The configuration of an adapter.
    let adapter: JSONNode?
    let run: RunFacts?
    let weights: WeightFacts

    /// Throws a `Problem` where there is nothing at `path`, or nothing that is known.
    init(path given: String, warn: WarningSink) throws {
        let path = try HubCache.resolve(given)
        guard FileSystem.isFolder(path) else {
            kind = .safetensors
            self.path = path
            (model, adapter, run) = (nil, nil, nil)
            weights = try WeightFacts([SafetensorsFile(path: path, warn: warn)])
            return
        }
        let holds = { (name: String) in FileSystem.exists(FileSystem.join(path, name)) }
        run = try RunFacts(folder: path)
        if holds("config.json") {
            let hasWeights = try FileSystem.names(in: path).contains(where: Self.isWeights)
            kind = hasWeights ? .model : .configuration
            self.path = path
            model = try ModelFacts(configurationFile: FileSystem.join(path, "config.json"))
            adapter = nil
            weights = try WeightFacts(hasWeights ? ModelWeights(folder: path, warn: warn).shards : [])
        } else if let folder = try Self.adapterFolder(path) {
            let found = try AdapterFolder(path: folder, warn: warn)
            kind = .adapter
            self.path = found.path
            model = nil
            adapter = found.configuration
            weights = try WeightFacts([found.weights])
        } else if run != nil {
            kind = .run
            self.path = path
            (model, adapter) = (nil, nil)
            weights = try WeightFacts([])
        } else if ["model.safetensors", "model.safetensors.index.json"].contains(where: holds) {
            kind = .model
            self.path = path
            (model, adapter) = (nil, nil)
            weights = try WeightFacts(ModelWeights(folder: path, warn: warn).shards)
        } else {
            throw Problem(
                "nothing that is known: neither a model (config.json), nor an adapter (adapter_config.json), nor the "
                    + "output of a run (training_config.yaml) is in the folder", file: given, exitStatus: .missingInput)
        }
    }

    private static func isWeights(_ name: String) -> Bool {
        name.hasPrefix("model.safetensors") || name.hasPrefix("model-") && name.hasSuffix(".safetensors")
            || name.hasPrefix("pytorch_model.bin")
    }

    /// The folder itself where it holds an adapter, or where one of its folders does.
    private static func adapterFolder(_ path: String) throws -> String? {
        let candidates = [path] + (try FileSystem.names(in: path).map { FileSystem.join(path, $0) })
        return candidates.contains { FileSystem.exists(FileSystem.join($0, AdapterFolder.configurationName)) }
            ? path : nil
    }
}
