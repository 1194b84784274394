import Diagnostics
import Glibc

/// A file that grows by pieces, each of which is handed to the system at once, so that a process that is stopped loses none
/// of those before. One process at a time writes it.
public final class AppendedFile {
    /// How the file begins.
    public enum Beginning: Sendable, Hashable {
        /// It must not exist yet.
        case new
        /// What exists under the name gives way.
        case replacing
        /// It exists, and what is behind so many bytes is cut off.
        case keeping(Int)
    }

    public let path: String
    private let descriptor: Int32

    /// Throws a `Problem` with the exit status `cannotCreate`.
    public init(path: String, _ beginning: Beginning) throws {
        self.path = path
        func problem(_ message: String) -> Problem { Problem(message, file: path, exitStatus: .cannotCreate) }
        switch beginning {
        case .new, .replacing:
            if beginning == .replacing { unlink(path) }
            descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        case .keeping: descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK)
        }
        if descriptor < 0 {
            if errno == EEXIST { throw problem("came into being meanwhile and isn't replaced") }
            throw problem("can't be \(beginning == .new ? "created" : "written"): \(systemMessage(errno))")
        }
        // File systems without locks are used without.
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
            throw problem("another process is writing it")
        }
        if case .keeping(let count) = beginning {
            if ftruncate(descriptor, off_t(count)) != 0 || lseek(descriptor, 0, SEEK_END) < 0 {
                throw problem("can't be written: \(systemMessage(errno))")
            }
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Throws a `Problem` with the exit status `inputOutput`, when the disk is full for instance.
    public func write(_ text: String) throws {
        var text = text
        try text.withUTF8 { try write(UnsafeRawBufferPointer($0)) }
    }

    /// The same with bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard let base = bytes.baseAddress else { return }
        var written = 0
        while written < bytes.count {
            let result = Glibc.write(descriptor, base + written, bytes.count - written)
            if result < 0 {
                if errno == EINTR { continue }
                throw FileSystem.writingProblem(path, errno)
            }
            written += result
        }
    }

    /// Waits until the content is on the disk.
    public func finish() throws {
        if fsync(descriptor) != 0 { throw FileSystem.writingProblem(path, errno) }
    }
}
