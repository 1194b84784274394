public import Checkpoints
import Diagnostics
import Files
import Glibc
import JSONText

/// The path of a model's folder that means the same wherever it is read; a name of the Hub's cache stays one.
func absolutePath(ofModel path: String) -> String {
    guard FileSystem.isFolder(path), !path.hasPrefix("/"), let current = getcwd(nil, 0) else { return path }
    defer { free(current) }
    return FileSystem.join(String(cString: current), path.hasPrefix("./") ? String(path.dropFirst(2)) : path)
}

extension AdapterFolder {
    /// How far above an adapter a project's folder is looked for.
    private static let levels = 5

    /// The base model that the adapter names: a folder, or a name in the Hub's cache; nil where it names none.
    ///
    /// A relative path counts from the current folder, as everywhere. Where it leads nowhere, as in an adapter that is used
    /// elsewhere or a project that was moved, the folders in and above the adapter's are looked through, the nearest first.
    /// Of several that the name could mean, the one with the content that the adapter was trained on is taken.
    ///
    /// - Throws: A `Problem` where several models could be meant, and nothing says which.
    public func baseModel() throws -> String? {
        guard let named = try configuration.optionalString("base_model_name_or_path"), !named.isEmpty else {
            return nil
        }
        let fingerprints = AdapterFingerprints(self)
        let isKnown = fingerprints.base != nil || fingerprints.tokenizer != nil
        let isHere = Self.holdsModel(named)
        if !isHere, (try? HubCache.resolve(named)) != nil { return named }
        var candidates = isHere ? [named] : []
        // Where no content tells models apart, one that is further away than another isn't meant.
        let others = isKnown ? above(named) : Array(above(named).prefix(1))
        for other in named.hasPrefix("/") ? (isHere || !isKnown ? [] : moved(named)) : others
        where !candidates.contains(where: { FileSystem.isSame($0, other) }) {
            candidates.append(other)
        }
        if candidates.isEmpty { return named }
        if isKnown, candidates.count > 1 || !isHere {
            let fitting = candidates.first { candidate in
                (try? BaseModel.load(candidate, randomSeed: nil, warn: { _ in })).map {
                    fingerprints.difference(from: $0) == nil
                } ?? false
            }
            return fitting ?? (isHere ? named : candidates[0])
        }
        if candidates.count > 1 {
            throw Problem(
                "names its base model '\(named)', and that could be "
                    + candidates.map { "'\($0)'" }.joined(separator: " or ") + ": give one with --base", file: path)
        }
        return candidates[0]
    }

    private static func holdsModel(_ path: String) -> Bool {
        FileSystem.isFile(FileSystem.join(path, "config.json"))
    }

    /// The adapter's folder and those above it.
    private var folders: [String] {
        var folders = [FileSystem.realPath(path)]
        while folders.count <= Self.levels, let last = folders.last, last != "/" {
            folders.append(FileSystem.split(last).folder)
        }
        return folders
    }

    /// Models of a relative path in and above the adapter's folder.
    private func above(_ named: String) -> [String] {
        folders.map { FileSystem.join($0, named) }.filter(Self.holdsModel)
    }

    /// Models in and above the adapter's folder whose paths end as an absolute one that leads nowhere.
    private func moved(_ named: String) -> [String] {
        let parts = named.split(separator: "/")
        return (1...max(1, min(Self.levels, parts.count))).reversed().flatMap { count in
            above(parts.suffix(count).joined(separator: "/"))
        }
    }
}
