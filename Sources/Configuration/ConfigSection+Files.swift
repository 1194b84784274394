import Diagnostics
import Host

/// A file, or a pattern for several, and how often its records are to come.
public struct WeightedPath: Sendable, Hashable {
    public var path: String
    /// 1 where none is given.
    public var weight: Double

    public init(path: String, weight: Double) { (self.path, self.weight) = (path, weight) }
}

extension ConfigSection {
    /// A list of paths, or of mappings of `path` and `weight`, or one of either for a list of one.
    public func optionalWeightedPaths(_ key: String) -> [WeightedPath]? {
        read(
            key,
            Reading("list of strings, or of path and weight", { .list($0.map(Self.encoded)) }) { node in
                guard case .list(let nodes) = node.content else { return Self.weightedPath(node).map { [$0] } }
                var paths: [WeightedPath] = []
                for node in nodes {
                    switch Self.weightedPath(node) {
                    case .success(let path): paths.append(path)
                    case .failure(let mismatch): return .failure(mismatch)
                    }
                }
                return .success(paths)
            })
    }

    private static func encoded(_ path: WeightedPath) -> ConfigValue {
        if path.weight == 1 { return .string(path.path) }
        let weight = Int(exactly: path.weight).map(ConfigValue.integer) ?? .number(path.weight)
        return .mapping([.init("path", .string(path.path)), .init("weight", weight)])
    }

    private static func weightedPath(_ node: ConfigNode) -> Result<WeightedPath, Mismatch> {
        guard case .mapping(let entries) = node.content else {
            return path.parse(node).map { WeightedPath(path: $0, weight: 1) }
        }
        var found = WeightedPath(path: "", weight: 1)
        for entry in entries {
            switch entry.key {
            case "path":
                switch path.parse(entry.value) {
                case .success(let path): found.path = path
                case .failure(let mismatch): return .failure(mismatch)
                }
            case "weight":
                switch number(Above(0)).parse(entry.value) {
                case .success(let weight) where weight > 1000:
                    return .failure(
                        Mismatch(
                            message: "a weight must be at most 1000, got \(entry.value.summary)", node: entry.value))
                case .success(let weight): found.weight = weight
                case .failure(let mismatch): return .failure(mismatch)
                }
            default:
                return .failure(
                    Mismatch(message: "a file has a path and a weight, and no '\(entry.key)'", node: entry.value))
            }
        }
        return found.path.isEmpty
            ? .failure(Mismatch(message: "names no file: a path is missing beside the weight", node: node))
            : .success(found)
    }
}
