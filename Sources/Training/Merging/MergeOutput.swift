import Checkpoints
import Diagnostics
import Glibc

/// The folder that a merged model appears in, complete or not at all.
struct MergeOutput {
    private let path: String
    private let replaces: Bool
    private let staged: StagedFolder

    var stagingPath: String { staged.stagingPath }

    /// - Throws: `Problem` where the output is one of the inputs or holds one, or has content that isn't to be replaced.
    init(_ settings: MergeSettings, inputs: [String]) throws {
        path = settings.output
        let target = Self.resolved(path)
        for input in inputs {
            let source = Self.resolved(input)
            if source == target || source.hasPrefix(target + "/") {
                throw Problem(
                    "the output would replace '\(input)', which is an input: choose another folder", file: path,
                    exitStatus: .cannotCreate)
            }
        }
        let content = FileSystem.isFolder(path) ? try FileSystem.names(in: path) : []
        replaces = !content.isEmpty
        if replaces, !settings.overwrites {
            throw Problem(
                "the folder exists and is not empty: choose another, or replace it with --overwrite", file: path,
                exitStatus: .cannotCreate)
        }
        if replaces, !content.contains("config.json") {
            throw Problem(
                "the folder holds something else than a model, which --overwrite doesn't replace", file: path,
                exitStatus: .cannotCreate)
        }
        let (folder, name) = FileSystem.split(path)
        staged = try StagedFolder(path: replaces ? FileSystem.join(folder, ".\(name).merged") : path)
    }

    func commit() throws {
        try staged.commit()
        guard replaces else { return }
        try FileSystem.remove(path)
        if rename(staged.path, path) != 0 {
            throw Problem(
                "can't be created: \(String(cString: strerror(errno))); the merged model is in '\(staged.path)'",
                file: path,
                exitStatus: .cannotCreate)
        }
    }

    /// The path without links; of one that doesn't exist yet, as far as it does.
    private static func resolved(_ path: String) -> String {
        if let found = realpath(path, nil) {
            defer { free(found) }
            return String(cString: found)
        }
        let (folder, name) = FileSystem.split(path)
        if folder == path || name.isEmpty { return path }
        return FileSystem.join(resolved(folder), name)
    }
}
