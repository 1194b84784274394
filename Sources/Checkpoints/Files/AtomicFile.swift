import Diagnostics
import Glibc

/// A file that is written under a temporary name, `.NAME.partial` beside it, and gets its own when it is complete and on
/// the disk, so that whoever reads `path` finds the old content or the new one, never a part.
///
/// What a crashed process left under the temporary name is overwritten.
public final class AtomicFile {
    /// The name that the file will have.
    public let path: String
    let temporary: String
    private let file: LockedFile
    private var isCommitted = false

    /// Throws a `Problem` with the exit status `cannotCreate`.
    public init(path: String) throws {
        self.path = path
        temporary = Self.temporaryName(of: path)
        do throws(LockedFile.Failure) {
            file = try LockedFile(path: temporary, flags: O_RDWR | O_CREAT)
        } catch .held {
            throw Problem("another process is writing it", file: path, exitStatus: .cannotCreate)
        } catch .system(let code) {
            throw Problem("can't be created: \(systemMessage(code))", file: path, exitStatus: .cannotCreate)
        }
        var information = stat()
        if fstat(file.descriptor, &information) != 0
            || information.st_size > 0 && ftruncate(file.descriptor, 0) != 0
        {
            throw FileSystem.writingProblem(path, errno)
        }
    }

    deinit { if !isCommitted { unlink(temporary) } }

    static func temporaryName(of path: String) -> String {
        let (folder, name) = FileSystem.split(path)
        let hidden = ".\(name).partial"
        return folder == "." && !path.utf8.starts(with: "./".utf8) ? hidden : FileSystem.join(folder, hidden)
    }

    /// Appends `bytes`. Throws a `Problem` with the exit status `inputOutput`, when the disk is full for instance.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard let base = bytes.baseAddress else { return }
        var written = 0
        while written < bytes.count {
            let result = Glibc.write(file.descriptor, base + written, bytes.count - written)
            if result < 0 {
                if errno == EINTR { continue }
                throw FileSystem.writingProblem(path, errno)
            }
            written += result
        }
    }

    /// Waits until the content is on the disk, and gives the file its name. Nothing can be written afterwards.
    public func commit() throws {
        precondition(!isCommitted, "AtomicFile: committed twice")
        if fsync(file.descriptor) != 0 { throw FileSystem.writingProblem(path, errno) }
        try FileSystem.rename(temporary, to: path)
        isCommitted = true
    }

    /// Writes a whole file.
    public static func write(_ bytes: UnsafeRawBufferPointer, to path: String) throws {
        let file = try AtomicFile(path: path)
        try file.write(bytes)
        try file.commit()
    }

    /// Writes a whole file.
    public static func write(_ bytes: [UInt8], to path: String) throws {
        try bytes.withUnsafeBytes { try write($0, to: path) }
    }

    /// Writes a whole file as UTF-8.
    public static func write(_ text: String, to path: String) throws { try write(Array(text.utf8), to: path) }
}
