import Glibc

/// An open file or folder that one process at a time holds, until it ends however it ends.
struct LockedFile: ~Copyable {
    let descriptor: Int32

    enum Failure: Error {
        case held
        case system(Int32)
    }

    /// Opens `path` with `flags`, or creates it where they say so, and takes the lock.
    ///
    /// File systems without locks are used without.
    init(path: String, flags: Int32) throws(Failure) {
        while true {
            let opened = open(path, flags | O_CLOEXEC, 0o666)
            if opened < 0 { throw .system(errno) }
            if flock(opened, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK {
                close(opened)
                throw .held
            }
            // Whoever held it may have removed or renamed it since it was opened.
            var (here, there) = (stat(), stat())
            if fstat(opened, &here) == 0, stat(path, &there) == 0, here.st_ino == there.st_ino,
                here.st_dev == there.st_dev
            {
                descriptor = opened
                return
            }
            close(opened)
        }
    }

    deinit { close(descriptor) }
}
