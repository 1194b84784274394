import Diagnostics
import Glibc

/// Memory in a file without a name, which the kernel writes out to the disk where other memory is short, and which is
/// gone with the process, however that ends.
public final class ScratchMemory: @unchecked Sendable {
    /// The first byte; all are 0 at first. Valid as long as this object lives.
    public let base: UnsafeMutableRawPointer
    public let byteCount: Int

    /// Makes a file in an existing folder, with all its room on the disk.
    ///
    /// Throws a `Problem` where the folder can't hold it, or the disk has no room.
    public init(folder: String, byteCount: Int) throws {
        require(byteCount > 0, "ScratchMemory: \(byteCount) bytes")
        self.byteCount = byteCount
        func problem(_ what: String, _ code: Int32, _ status: ExitStatus) -> Problem {
            Problem("\(what): \(systemMessage(code))", file: folder, exitStatus: .of(code, otherwise: status))
        }
        let descriptor = Self.open(in: folder)
        guard descriptor >= 0 else { throw problem("no scratch file can be made in the folder", errno, .cannotCreate) }
        defer { close(descriptor) }
        var code: Int32
        repeat { code = posix_fallocate(descriptor, 0, byteCount) } while code == EINTR
        if code == ENOSPC || code == EDQUOT || code == EFBIG {
            throw Problem(
                "the disk has no room for a scratch file of \(byteCount) bytes: \(systemMessage(code))", file: folder,
                exitStatus: .inputOutput)
        }
        guard code == 0 else { throw problem("a scratch file can't be given its room", code, .inputOutput) }
        let memory = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let memory, memory != MAP_FAILED else {
            throw problem("a scratch file can't be mapped into memory", errno, .outOfResources)
        }
        base = memory
    }

    deinit { munmap(base, byteCount) }

    /// Whether a folder's files lie in memory themselves (tmpfs, ramfs), so that nothing is written out to a disk.
    public static func isInMemory(_ folder: String) -> Bool {
        var information = stat()
        guard stat(folder, &information) == 0, let mounts = try? FileSystem.text(of: "/proc/self/mountinfo") else {
            return false
        }
        // A device's two numbers as Linux packs them.
        let number = UInt64(information.st_dev)
        let major = number >> 8 & 0xFFF | number >> 32 & 0xFFFF_F000
        let device = "\(major):\(number & 0xFF | number >> 12 & 0xFFFF_FF00)"
        return mounts.split(separator: "\n").contains { line in
            let fields = line.split(separator: " ")
            guard fields.count > 2, fields[2] == device, let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count
            else { return false }
            return ["tmpfs", "ramfs"].contains(fields[dash + 1])
        }
    }

    /// A file that has no name from the start or, where the file system knows none of these, loses it at once.
    private static func open(in folder: String) -> Int32 {
        // O_TMPFILE, which Swift doesn't import.
        let nameless = Glibc.open(folder, 0o20_000_000 | O_DIRECTORY | O_RDWR | O_CLOEXEC, 0o600)
        if nameless >= 0 { return nameless }
        var path = Array(FileSystem.join(folder, ".scratch-XXXXXX").utf8CString)
        let descriptor = mkstemp(&path)
        if descriptor >= 0 {
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            unlink(path)
        }
        return descriptor
    }
}
