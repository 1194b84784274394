import Diagnostics
import Files
import JSONText

/// `model.safetensors.index.json`: which file of the folder holds which tensor.
struct ShardIndex {
    private let path: String
    /// A tensor's file with the place where the index says so.
    private var places: [String: (shard: String, position: TextPosition)] = [:]

    init(path: String) throws {
        self.path = path
        for member in try JSONNode.load(path: path).object("weight_map") {
            let shard = try member.value.asString()
            if shard.isEmpty || shard.utf8.contains(UInt8(ascii: "/")) {
                throw member.value.problem("expected the name of a file in the same folder, got '\(shard)'")
            }
            if places.updateValue((shard, member.value.position), forKey: member.key) != nil {
                throw Problem(
                    "appears twice, in two Unicode spellings", file: path, position: member.keyPosition,
                    key: "weight_map.\(member.key)")
            }
        }
    }

    /// Opens the shards in the order of their names, and makes sure that they hold what the index lists and no more.
    func open(
        in folder: String, warn: WarningSink
    ) throws -> (shards: [SafetensorsFile], shardIndexes: [String: Int]) {
        let names = Set(places.values.map(\.shard)).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        for name in names where !FileSystem.exists(FileSystem.join(folder, name)) {
            throw Problem("the shard '\(name)' is missing from the folder", file: path, exitStatus: .missingInput)
        }
        let shards = try names.map { try SafetensorsFile(path: FileSystem.join(folder, $0), warn: warn) }
        var shardIndexes: [String: Int] = [:]
        for (index, shard) in shards.enumerated() {
            for tensor in shard.tensors {
                if let other = shardIndexes.updateValue(index, forKey: tensor.name) {
                    throw Problem("is also in '\(names[other])'", file: shard.path, key: tensor.name)
                }
                guard let place = places[tensor.name] else {
                    throw Problem(
                        "is not listed in \(ModelWeights.indexName)", file: shard.path, key: tensor.name)
                }
                if place.shard != names[index] {
                    throw Problem(
                        "listed under '\(place.shard)', but found in '\(names[index])'", file: path,
                        position: place.position, key: tensor.name)
                }
            }
        }
        let absent = places.filter { shardIndexes[$0.key] == nil }.min {
            ($0.value.position.line, $0.value.position.column) < ($1.value.position.line, $1.value.position.column)
        }
        if let (name, place) = absent {
            throw Problem("is not in '\(place.shard)'", file: path, position: place.position, key: name)
        }
        return (shards, shardIndexes)
    }
}
