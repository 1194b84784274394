import Diagnostics
import Glibc

/// The right to write to an output folder, which one process at a time has; a file `.lock` in the folder stands for it.
public final class FolderLock {
    private let folder: String
    private let path: String
    private let file: LockedFile

    /// Takes the lock of an existing folder, until this object goes or the process ends.
    ///
    /// Throws a `Problem` with the exit status `cannotCreate`, which names the process that has it.
    public init(folder: String) throws {
        self.folder = folder
        path = FileSystem.join(folder, ".lock")
        do throws(LockedFile.Failure) {
            file = try LockedFile.makingFile(path)
        } catch .held {
            let holder = (try? FileSystem.text(of: path)).flatMap { Int($0.prefix { $0.isNumber }) }
            throw Problem(
                "another run is using this folder\(holder.map { " (process \($0))" } ?? ""): wait for its end, or choose "
                    + "another output folder", file: folder, exitStatus: .cannotCreate)
        } catch .foreign {
            throw Problem(
                "the folder can't be locked: '.lock' in it is something that no earlier run left there, such as a link; "
                    + "remove that", file: folder, exitStatus: .cannotCreate)
        } catch .system(let code) {
            throw Problem(
                "the folder can't be locked: \(systemMessage(code))", file: folder, exitStatus: .cannotCreate)
        }
        let words = Array("\(getpid())\n".utf8)
        if write(file.descriptor, words, words.count) != words.count { throw FileSystem.writingProblem(path, errno) }
    }

    // While the lock is still held, or another process's file could be removed.
    deinit { if file.isAt(path) { unlink(path) } }

    /// Whether the folder that was locked is still where it was, and not removed, moved or emptied.
    public var isInPlace: Bool { file.isAt(path) }
}
