import Configuration
import Files

/// The files that a configuration names.
struct DataFiles {
    /// In the order of the configuration, those of a pattern sorted.
    private(set) var files: [WeightedPath] = []
    /// Whether the key is absent or names none, rather than something that can't be read.
    private(set) var isMissing: Bool

    /// Reads a key. Where `areNeeded`, a pattern that nothing matches is recorded as a problem; otherwise it stays as it is
    /// written, as a file that isn't there does.
    init(_ section: ConfigSection, _ key: String, areNeeded: Bool) {
        let paths =
            key == Self.weighted
            ? section.optionalWeightedPaths(key)
            : section.optionalPaths(key)?.map { WeightedPath(path: $0, weight: 1) }
        isMissing = paths?.isEmpty ?? !section.has(key)
        for path in paths ?? [] {
            guard FileSystem.isPattern(path.path), !FileSystem.exists(path.path) else {
                files.append(path)
                continue
            }
            let found = FileSystem.files(matching: path.path)
            if found.isEmpty {
                if areNeeded { section.record("no file matches '\(path.path)'", at: key) }
                files.append(path)
            }
            files += found.map { WeightedPath(path: $0, weight: path.weight) }
        }
        let inputs = files.count { $0.path == StandardInput.path }
        if inputs > 0, key != Self.weighted {
            section.record("stdin can be the training data alone: name a file", at: key)
        } else if inputs > 1 {
            section.record("has '-' twice, and stdin is there once", at: key)
        }
    }

    /// The key whose files may have weights.
    static let weighted = "train"
}
