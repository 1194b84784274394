import Diagnostics
import Glibc

/// Changes, which throw `Problem`s with the exit statuses `cannotCreate` and `inputOutput`.
extension FileSystem {
    /// Makes the folder `path` and those above it where they are missing.
    public static func createFolder(_ path: String) throws {
        if isFolder(path) { return }
        let parent = split(path).folder
        if parent != path && parent != "." { try createFolder(parent) }
        if mkdir(path, 0o777) != 0 {
            let code = errno
            if code == EEXIST {
                if isFolder(path) { return }
                throw Problem("is a file where a folder is to be made", file: path, exitStatus: .cannotCreate)
            }
            throw Problem(
                "the folder can't be created: \(systemMessage(code))", file: path, exitStatus: .cannotCreate)
        }
    }

    /// Copies a file's content; the copy appears whole or not at all.
    public static func copyFile(from source: String, to target: String) throws {
        try FileBytes(path: source).withBytes { bytes in try AtomicFile.write(bytes, to: target) }
    }

    /// Removes a file, or a folder with all it holds, links unfollowed; what isn't there is no error.
    public static func remove(_ path: String) throws { try remove(path, in: AT_FDCWD, path: path) }

    /// By descriptors, so that nobody can put a link in the place of a folder between two steps.
    private static func remove(_ name: String, in parent: Int32, path: String) throws {
        if unlinkat(parent, name, 0) == 0 { return }
        switch errno {
        case ENOENT, ENOTDIR: return
        // POSIX's word for folders, beside Linux's.
        case EISDIR, EPERM: break
        default: throw removalProblem(path, errno)
        }
        let folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard folder >= 0 else { throw removalProblem(path, errno) }
        defer { close(folder) }
        try removeContent(of: folder, path: path)
        if unlinkat(parent, name, Int32(AT_REMOVEDIR)) != 0 && errno != ENOENT { throw removalProblem(path, errno) }
    }

    /// Removes all that an open folder holds.
    static func removeContent(of folder: Int32, path: String) throws {
        for name in try names(of: openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), path: path) {
            try remove(name, in: folder, path: join(path, name))
        }
    }

    private static func removalProblem(_ path: String, _ code: Int32) -> Problem {
        Problem("can't be removed: \(systemMessage(code))", file: path, exitStatus: .inputOutput)
    }

    /// Renames within one file system, replacing a file or an empty folder, and makes the change permanent.
    static func rename(_ source: String, to target: String) throws {
        if Glibc.rename(source, target) != 0 {
            throw Problem(
                "can't be put in place: \(systemMessage(errno))", file: target,
                exitStatus: errno == ENOENT ? .inputOutput : .cannotCreate)
        }
        try synchronize(split(target).folder)
    }

    /// Renames a file within one file system where the name is free, and makes the change permanent; false where it isn't.
    static func renameToFree(_ source: String, to target: String) throws -> Bool {
        var code = renameat2(source, target, 1)
        if code == EINVAL || code == ENOSYS {
            code = link(source, target) == 0 ? 0 : errno
            if code == 0 { unlink(source) }
        }
        if code == EEXIST { return false }
        if code != 0 {
            throw Problem("can't be put in place: \(systemMessage(code))", file: target, exitStatus: .cannotCreate)
        }
        try synchronize(split(target).folder)
        return true
    }

    /// Waits until a file's content, or a folder's list of names, is on the disk.
    static func synchronize(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw writingProblem(path, errno) }
        defer { close(descriptor) }
        // File systems that can't do so for folders say EINVAL.
        if fsync(descriptor) != 0 && errno != EINVAL { throw writingProblem(path, errno) }
    }

    static func writingProblem(_ path: String, _ code: Int32) -> Problem {
        Problem("writing failed: \(systemMessage(code))", file: path, exitStatus: .inputOutput)
    }
}
