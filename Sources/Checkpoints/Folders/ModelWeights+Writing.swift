import Diagnostics
import Files
import JSONText

extension ModelWeights {
    /// The tensors of one file to be written.
    public struct OutgoingShard {
        /// The file's name, `model-00001-of-00002.safetensors`.
        public var name: String
        public var tensors: [OutgoingTensor]

        public init(name: String, tensors: [OutgoingTensor]) {
            self.name = name
            self.tensors = tensors
        }
    }

    /// The files' names, in the order of `shards`.
    public var shardNames: [String] { shards.map { FileSystem.split($0.path).name } }

    /// Writes all of a model's tensors as one file, `model.safetensors`.
    public static func write(_ tensors: [OutgoingTensor], to folder: String) throws {
        try SafetensorsWriter.write(tensors, to: FileSystem.join(folder, singleName))
    }

    /// Writes a model's tensors as several files, and the index as transformers lays it out.
    public static func write(_ shards: [OutgoingShard], to folder: String) throws {
        var map: [JSONValue.Member] = []
        var (elementCount, byteCount) = (0, 0)
        for shard in shards {
            try SafetensorsWriter.write(shard.tensors, to: FileSystem.join(folder, shard.name))
            for tensor in shard.tensors {
                map.append(.init(tensor.name, .string(shard.name)))
                elementCount += tensor.shape.reduce(1, *)
                byteCount += tensor.byteCount
            }
        }
        let index: JSONValue = [
            "metadata": ["total_parameters": .integer(elementCount), "total_size": .integer(byteCount)],
            "weight_map": .object(map),
        ]
        try AtomicFile.write(index.text(.python) + "\n", to: FileSystem.join(folder, indexName))
    }
}
