public import Diagnostics
import Files
import JSONText
public import Tensors

/// The tensors of a model folder as transformers saves it: one safetensors file, or several with an index.
public final class ModelWeights: Sendable {
    /// The path as the user wrote it.
    public let folder: String
    /// The files that hold the tensors, in the order of their names.
    public let shards: [SafetensorsFile]
    /// Whether the folder has an index; there may be one for a single shard.
    public let isSharded: Bool

    private let shardIndexes: [String: Int]

    static let singleName = "model.safetensors"
    static let indexName = "model.safetensors.index.json"

    /// Opens the weights of `folder`.
    ///
    /// Throws a `Problem` where there are none in a form that can be read, or the index and its shards disagree.
    public init(folder: String, warn: WarningSink) throws {
        self.folder = folder
        let single = FileSystem.join(folder, Self.singleName)
        let index = FileSystem.join(folder, Self.indexName)
        if FileSystem.exists(single) {
            shards = [try SafetensorsFile(path: single, warn: warn)]
            isSharded = false
            shardIndexes = Dictionary(uniqueKeysWithValues: shards[0].tensors.map { ($0.name, 0) })
        } else if FileSystem.exists(index) {
            (shards, shardIndexes) = try ShardIndex(path: index).open(in: folder, warn: warn)
            isSharded = true
        } else {
            throw Self.absent(folder)
        }
    }

    /// Shard by shard, in the order of their bytes.
    public var tensors: [TensorEntry] { shards.flatMap(\.tensors) }

    /// The file that holds the tensor `name`; nil where none does.
    public func shard(of name: String) -> SafetensorsFile? { shardIndexes[name].map { shards[$0] } }

    /// What the files say of the tensor `name`; nil where there is none.
    public func entry(named name: String) -> TensorEntry? { shard(of: name)?.entry(named: name) }

    /// The tensor `name` as floats; see `SafetensorsFile.tensor(named:)`.
    public func tensor(named name: String) throws -> Tensor { try raw(named: name).tensor() }

    /// The tensor `name` as it is stored. Throws a `Problem` where there is none.
    public func raw(named name: String) throws -> RawTensor {
        guard let shard = shard(of: name) else { throw Problem("no such tensor", file: folder, key: name) }
        return try shard.raw(named: name)
    }

    private static func absent(_ folder: String) -> Problem {
        guard FileSystem.exists(folder) else {
            return Problem("no such folder", file: folder, exitStatus: .missingInput)
        }
        guard FileSystem.isFolder(folder) else {
            return Problem("expected a model's folder, found a file", file: folder, exitStatus: .missingInput)
        }
        for name in ["pytorch_model.bin", "pytorch_model.bin.index.json"]
        where FileSystem.exists(FileSystem.join(folder, name)) {
            return Problem(
                "the weights are there as \(name) only, a PyTorch pickle, which isn't read here: load the model in "
                    + "transformers and save it again with save_pretrained(..., safe_serialization=True)",
                file: folder, exitStatus: .missingInput)
        }
        return Problem(
            "no weights: neither \(singleName) nor \(indexName) is in the folder", file: folder,
            exitStatus: .missingInput)
    }
}
