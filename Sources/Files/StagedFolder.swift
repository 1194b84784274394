public import Diagnostics
import Glibc

/// A folder that is filled under a temporary name, `.NAME.partial` beside it, and gets its own when it is complete and on
/// the disk. What a crashed process left under the temporary name is removed; a link there is neither followed nor
/// removed.
public final class StagedFolder {
    /// The name that the folder will have.
    public let path: String
    /// Where the files are to be written.
    public let stagingPath: String
    private let folder: LockedFile
    private let replaces: Bool
    private var isCommitted = false

    /// Creates the folder under its temporary name, and those above it where they are missing.
    ///
    /// Throws a `Problem` with the exit status `cannotCreate`, also where `path` is a file or a folder with content.
    public convenience init(path: String) throws { try self.init(path: path, replacing: false) }

    /// - Parameter replacing: Whether a folder of that name, with all that it holds, gives way when this one is complete.
    public init(path: String, replacing: Bool) throws {
        self.path = path
        replaces = replacing
        stagingPath = AtomicFile.temporaryName(of: path)
        if FileSystem.isFolder(path) {
            if !replacing, !(try FileSystem.names(in: path).isEmpty) {
                throw Problem("the folder exists and is not empty", file: path, exitStatus: .cannotCreate)
            }
        } else if FileSystem.exists(path) {
            throw Problem("is a file where a folder is to be made", file: path, exitStatus: .cannotCreate)
        }
        try FileSystem.createFolder(FileSystem.split(path).folder)
        do throws(LockedFile.Failure) {
            folder = try LockedFile.makingFolder(stagingPath)
        } catch {
            throw AtomicFile.problem(error, temporary: stagingPath, path: path)
        }
        try FileSystem.removeContent(of: folder.descriptor, path: stagingPath)
    }

    deinit {
        guard !isCommitted, folder.isAt(stagingPath) else { return }
        try? FileSystem.removeContent(of: folder.descriptor, path: stagingPath)
        rmdir(stagingPath)
    }

    /// The path under which a file of the folder is to be written.
    public func path(of name: String) -> String { FileSystem.join(stagingPath, name) }

    /// Calls `body`, which writes the files, and says so where what fails is that the folder is gone.
    public func fill<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch  where !folder.isAt(stagingPath) { throw lost() }
    }

    /// Waits until the content is on the disk, and gives the folder its name. A folder that it replaces has the name
    /// until then, and is removed afterwards.
    public func commit() throws {
        require(!isCommitted, "StagedFolder: committed twice")
        try fill { try Self.synchronizeAll(stagingPath) }
        guard folder.isAt(stagingPath) else { throw lost() }
        if replaces, FileSystem.exists(path) {
            try FolderSwap.replace(path, by: stagingPath, exchange: FolderSwap.exchange)
        } else {
            try FileSystem.rename(stagingPath, to: path)
        }
        isCommitted = true
    }

    private func lost() -> Problem {
        Problem(
            "was lost: '\(stagingPath)', the name that it had until it was complete, was removed or replaced by another "
                + "program", file: path, exitStatus: .inputOutput)
    }

    /// Removes what crashed processes left unfinished in `parent`; what a living process is writing stays, and so does
    /// whatever isn't a file or a folder of this user.
    public static func removeUnfinished(in parent: String, warn: WarningSink) throws {
        for name in try FileSystem.names(in: parent) where name.utf8.first == UInt8(ascii: ".") {
            let path = FileSystem.join(parent, name)
            if name.hasSuffix(FolderSwap.ending) {
                try FolderSwap.recover(
                    FileSystem.join(parent, String(name.dropFirst().dropLast(FolderSwap.ending.count))), warn: warn)
            }
            guard name.hasSuffix(".partial"),
                let lock = try? LockedFile.left(at: path, isFolder: FileSystem.isFolder(path))
            else { continue }
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
