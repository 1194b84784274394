import Diagnostics
import Glibc

/// A file that is written under a temporary name, `.NAME.partial` beside it, and gets its own when it is complete and on
/// the disk, so that whoever reads `path` finds the old content or the new one, never a part.
///
/// What a crashed process left under the temporary name is replaced; a link there is neither followed nor removed.
public final class AtomicFile {
    /// The name that the file will have.
    public let path: String
    let temporary: String
    private let file: LockedFile
    private let replaces: Bool
    private var isSettled = false

    /// Throws a `Problem` with the exit status `cannotCreate`.
    public convenience init(path: String) throws { try self.init(path: path, replacing: true) }

    /// - Parameter replacing: Whether a file of that name gives way, when this one is complete.
    public init(path: String, replacing: Bool) throws {
        self.path = path
        replaces = replacing
        temporary = Self.temporaryName(of: path)
        do throws(LockedFile.Failure) {
            file = try LockedFile.makingFile(temporary)
        } catch {
            throw Self.problem(error, temporary: temporary, path: path)
        }
    }

    // The name may have become someone else's.
    deinit { if !isSettled, file.isAt(temporary) { unlink(temporary) } }

    static func temporaryName(of path: String) -> String { hiddenName(of: path, "partial") }

    /// `.NAME.ending` beside `path`.
    package static func hiddenName(of path: String, _ ending: String) -> String {
        let (folder, name) = FileSystem.split(path)
        let hidden = ".\(name).\(ending)"
        return folder == "." && !path.utf8.starts(with: "./".utf8) ? hidden : FileSystem.join(folder, hidden)
    }

    static func problem(_ failure: LockedFile.Failure, temporary: String, path: String) -> Problem {
        let reason =
            switch failure {
            case .held: "another process is writing it"
            case .foreign:
                "can't be created: '\(temporary)', the name that it has until it is complete, is taken by something that "
                    + "no earlier run left there, such as a link; remove that"
            case .system(let code): "can't be created: \(systemMessage(code))"
            }
        return Problem(reason, file: path, exitStatus: .cannotCreate)
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
        require(!isSettled, "AtomicFile: committed twice")
        if fsync(file.descriptor) != 0 { throw FileSystem.writingProblem(path, errno) }
        guard file.isAt(temporary) else {
            throw Problem(
                "was lost: '\(temporary)', the name that it had until it was complete, was removed or replaced by "
                    + "another program", file: path, exitStatus: .inputOutput)
        }
        if replaces {
            try FileSystem.rename(temporary, to: path)
            isSettled = true
            return
        }
        isSettled = true
        if !(try FileSystem.renameToFree(temporary, to: path)) {
            throw Problem(
                "came into being meanwhile and isn't replaced; what was to be written is in '\(temporary)'", file: path,
                exitStatus: .cannotCreate)
        }
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
