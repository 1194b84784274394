import Diagnostics
import Files

/// A file that a command was asked to write its results to: never one of its own inputs, and an existing one only where
/// that may be replaced.
public struct OutputFile {
    public let path: String
    private let replaces: Bool

    /// Looks before any work is done whether the file can be written; nothing is.
    ///
    /// - Parameters:
    ///   - replacing: Whether an existing file gives way.
    ///   - advice: What to do about one that doesn't.
    ///   - inputs: The files and folders that the command reads; of a folder, its model's, adapter's and run's files
    ///     count, and those of its subfolders.
    /// - Throws: A `Problem` with the exit status `cannotCreate`.
    public init(
        _ path: String, replacing: Bool, advice: String = "give --overwrite to replace it", inputs: [String]
    ) throws {
        func problem(_ message: String, file: String) -> Problem {
            Problem(message, file: file, exitStatus: .cannotCreate)
        }
        self.path = path
        replaces = replacing
        let folder = FileSystem.split(path).folder
        if !FileSystem.isFolder(folder) { throw problem("no such folder to write '\(path)' to", file: folder) }
        if FileSystem.isFolder(path) { throw problem("is a folder where a file is to be made", file: path) }
        if FileSystem.exists(path) {
            for input in inputs where Self.holds(input, path) {
                throw problem(
                    "is an input of this command ('\(input)'), which would be lost: choose another file", file: path)
            }
            if !FileSystem.isFile(path) { throw problem("is no file that can be replaced", file: path) }
            if !replacing { throw problem("exists already: \(advice), or choose another file", file: path) }
        } else if FileSystem.isLink(path) {
            throw problem("is a link that leads nowhere", file: path)
        }
    }

    /// Writes the file, which appears whole. A folder that was removed since the beginning is made again.
    public func write(_ text: String) throws {
        try FileSystem.createFolder(FileSystem.split(path).folder)
        let file = try AtomicFile(path: path, replacing: replaces)
        var text = text
        try text.withUTF8 { try file.write(UnsafeRawBufferPointer($0)) }
        try file.commit()
    }

    private static func holds(_ input: String, _ path: String) -> Bool {
        if FileSystem.isSame(input, path) { return true }
        guard FileSystem.isFolder(input) else { return false }
        let folder = FileSystem.split(path).folder
        if FileSystem.isSame(folder, input) { return KnownFiles.isOurs(FileSystem.split(path).name) }
        let names = (try? FileSystem.names(in: input)) ?? []
        return names.contains { name in
            KnownFiles.isOurs(name) && FileSystem.isSame(FileSystem.join(input, name), path)
        } || FileSystem.realPath(folder).hasPrefix(FileSystem.realPath(input) + "/")
    }
}
