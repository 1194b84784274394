import Checkpoints
import Diagnostics
import Files
import Glibc
import JSONText

/// The folder that a merged model appears in, complete or not at all.
struct MergeOutput {
    private let path: String
    private let staged: StagedFolder
    /// What the folder held.
    private let before: [String]

    var stagingPath: String { staged.stagingPath }

    /// - Parameters:
    ///   - overwrites: Whether a model that lies in the folder is replaced.
    ///   - base: The model's folder whose files are copied.
    /// - Throws: `Problem` where the output is one of the inputs or holds one, or has content that isn't to be replaced.
    init(_ output: String, overwrites: Bool, base: String, inputs: [String], warn: WarningSink) throws {
        // What a link leads to is replaced there, and the link stays.
        path = FileSystem.isLink(output) && FileSystem.isFolder(output) ? FileSystem.realPath(output) : output
        try FolderSwap.recover(path, warn: warn)
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
        if !content.isEmpty {
            if !overwrites {
                throw Problem(
                    "the folder exists and is not empty: choose another, or replace it with --overwrite", file: path,
                    exitStatus: .cannotCreate)
            }
            try Self.refuseForeign(content, in: path, base: base)
        }
        before = content
        staged = try StagedFolder(path: path, replacing: !content.isEmpty)
    }

    /// All of the folder would go, so all of it must be a model's.
    private static func refuseForeign(_ content: [String], in path: String, base: String) throws {
        func list(_ names: [String]) -> String {
            let most = 5
            let shown = names.prefix(most).map { "'\($0)'" }.joined(separator: ", ")
            return names.count > most ? "\(shown) and \(names.count - most) more" : shown
        }
        if !KnownFiles.areModel(content) {
            throw Problem(
                "the folder holds no model, which is all that --overwrite replaces, but \(list(content)): choose another "
                    + "folder", file: path, exitStatus: .cannotCreate)
        }
        let foreign = content.filter { !isModelFile($0, in: path, base: base) }
        if !foreign.isEmpty {
            throw Problem(
                "the folder holds more than a model, which is all that --overwrite replaces: \(list(foreign)); move that "
                    + "away, or choose another folder", file: path, exitStatus: .cannotCreate)
        }
    }

    /// Puts the folder in place. Notes beside a model that it replaces stay, where the new one has none of their name.
    func commit() throws {
        for name in KnownFiles.notes where before.contains(name) && !FileSystem.exists(staged.path(of: name)) {
            let bytes = try FileBytes(path: FileSystem.join(path, name)).withBytes { Array($0) }
            try AtomicFile.write(bytes, to: staged.path(of: name))
        }
        try staged.commit()
    }

    /// Writes the folder's files with `body`.
    func fill<Result>(_ body: () throws -> Result) throws -> Result { try staged.fill(body) }

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
