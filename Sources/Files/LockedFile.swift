import Glibc

/// An open file or folder that one process at a time holds, until it ends however it ends.
///
/// Links are never followed: the names are predictable, so anybody who may write to the folder could put one there.
struct LockedFile: ~Copyable {
    let descriptor: Int32

    enum Failure: Error {
        case held
        /// Something has the name that no run of ours left there, such as a link.
        case foreign
        case system(Int32)
    }

    private init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Makes an empty file; one that a process left which has ended is removed.
    ///
    /// File systems without locks are used without.
    static func makingFile(_ path: String) throws(Failure) -> LockedFile {
        for _ in 0..<attempts {
            let created = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
            if created >= 0 {
                let file = LockedFile(descriptor: created)
                if isHeldElsewhere(created) { throw .held }
                if file.isAt(path) { return file }
                continue
            }
            if errno != EEXIST { throw .system(errno) }
            guard let left = try left(at: path, isFolder: false) else { continue }
            // A second name of someone's file loses that name alone.
            if unlink(path) != 0, errno != ENOENT { throw .system(errno) }
            _ = consume left
        }
        throw .held
    }

    /// Makes a folder, or takes one that a process left which has ended, with all that it holds.
    static func makingFolder(_ path: String) throws(Failure) -> LockedFile {
        for _ in 0..<attempts {
            if mkdir(path, 0o777) != 0, errno != EEXIST { throw .system(errno) }
            if let folder = try left(at: path, isFolder: true) { return folder }
        }
        throw .held
    }

    /// Takes a file or folder that a process of this user left which has ended; nil where it is gone.
    static func left(at path: String, isFolder: Bool) throws(Failure) -> LockedFile? {
        // Opening a pipe would wait for its other end.
        let flags = isFolder ? O_RDONLY | O_DIRECTORY : O_RDWR | O_NONBLOCK
        let opened = open(path, flags | O_NOFOLLOW | O_CLOEXEC)
        if opened < 0 {
            switch errno {
            case ENOENT: return nil
            case ELOOP, ENOTDIR, EISDIR, ENXIO: throw .foreign
            default: throw .system(errno)
            }
        }
        let file = LockedFile(descriptor: opened)
        var information = stat()
        let kind = isFolder ? S_IFDIR : S_IFREG
        guard fstat(opened, &information) == 0, information.st_mode & S_IFMT == kind,
            information.st_uid == geteuid()
        else { throw .foreign }
        if isHeldElsewhere(opened) { throw .held }
        // Whoever held it may have removed or renamed it since it was opened.
        if file.isAt(path) { return file }
        return nil
    }

    private static let attempts = 100

    private static func isHeldElsewhere(_ descriptor: Int32) -> Bool {
        flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }

    /// Whether it still has the name `path`.
    func isAt(_ path: String) -> Bool {
        var (here, there) = (stat(), stat())
        return fstat(descriptor, &here) == 0 && lstat(path, &there) == 0 && here.st_ino == there.st_ino
            && here.st_dev == there.st_dev
    }
}
