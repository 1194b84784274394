import Diagnostics
import Glibc

/// A folder that is filled under a temporary name, `.NAME.partial` beside it, and gets its own when it is complete and on
/// the disk. What a crashed process left under the temporary name is removed.
public final class StagedFolder {
    /// The name that the folder will have.
    public let path: String
    /// Where the files are to be written.
    public let stagingPath: String
    private let folder: LockedFile
    private var isCommitted = false

    /// Creates the folder under its temporary name, and those above it where they are missing.
    ///
    /// Throws a `Problem` with the exit status `cannotCreate`, also where `path` is a file or a folder with content.
    public init(path: String) throws {
        self.path = path
        stagingPath = AtomicFile.temporaryName(of: path)
        if FileSystem.isFolder(path) {
            if !(try FileSystem.names(in: path).isEmpty) {
                throw Problem("the folder exists and is not empty", file: path, exitStatus: .cannotCreate)
            }
        } else if FileSystem.exists(path) {
            throw Problem("is a file where a folder is to be made", file: path, exitStatus: .cannotCreate)
        }
        try FileSystem.createFolder(stagingPath)
        do throws(LockedFile.Failure) {
            folder = try LockedFile(path: stagingPath, flags: O_RDONLY | O_DIRECTORY)
        } catch .held {
            throw Problem("another process is writing it", file: path, exitStatus: .cannotCreate)
        } catch .system(let code) {
            throw Problem("can't be created: \(systemMessage(code))", file: path, exitStatus: .cannotCreate)
        }
        try FileSystem.removeContent(of: stagingPath)
    }

    deinit { if !isCommitted { try? FileSystem.remove(stagingPath) } }

    /// The path under which a file of the folder is to be written.
    public func path(of name: String) -> String { FileSystem.join(stagingPath, name) }

    /// Waits until the content is on the disk, and gives the folder its name.
    public func commit() throws {
        precondition(!isCommitted, "StagedFolder: committed twice")
        try Self.synchronizeAll(stagingPath)
        try FileSystem.rename(stagingPath, to: path)
        isCommitted = true
    }

    /// Removes what crashed processes left unfinished in `parent`; what a living process is writing stays.
    public static func removeUnfinished(in parent: String) throws {
        for name in try FileSystem.names(in: parent)
        where name.utf8.first == UInt8(ascii: ".") && name.hasSuffix(".partial") {
            let path = FileSystem.join(parent, name)
            let flags = FileSystem.isFolder(path) ? O_RDONLY | O_DIRECTORY : O_RDWR
            guard let lock = try? LockedFile(path: path, flags: flags) else { continue }
            try FileSystem.remove(path)
            _ = consume lock
        }
    }

    private static func synchronizeAll(_ folder: String) throws {
        for name in try FileSystem.names(in: folder) {
            let child = FileSystem.join(folder, name)
            if FileSystem.isFolder(child) {
                try synchronizeAll(child)
            } else if FileSystem.isFile(child) {
                try FileSystem.synchronize(child)
            }
        }
        try FileSystem.synchronize(folder)
    }
}
