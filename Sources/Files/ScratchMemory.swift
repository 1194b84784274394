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
    public convenience init(folder: String, byteCount: Int) throws {
        try self.init(folder: folder, byteCount: byteCount, ordinaryBytes: 0)
    }

    /// The same, but about the first `ordinaryBytes` of it are ordinary memory; without a file where that is all of it.
    public init(folder: String, byteCount: Int, ordinaryBytes: Int) throws {
        require(byteCount > 0 && ordinaryBytes >= 0, "ScratchMemory: \(ordinaryBytes) of \(byteCount) bytes")
        self.byteCount = byteCount
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let ordinary = ordinaryBytes >= byteCount ? byteCount : ordinaryBytes / page * page
        func problem(_ what: String, _ code: Int32, _ status: ExitStatus) -> Problem {
            Problem("\(what): \(systemMessage(code))", file: folder, exitStatus: .of(code, otherwise: status))
        }
        func mapped(at place: UnsafeMutableRawPointer?, _ byteCount: Int, _ flags: Int32, _ file: Int32) throws
            -> UnsafeMutableRawPointer
        {
            let memory = mmap(place, byteCount, PROT_READ | PROT_WRITE, flags, file, 0)
            guard let memory, memory != MAP_FAILED else {
                throw problem(
                    file < 0 ? "no memory for \(byteCount) bytes" : "a scratch file can't be mapped into memory", errno,
                    .outOfResources)
            }
            return memory
        }
        if ordinary == byteCount {
            base = try mapped(at: nil, byteCount, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1)
            return
        }
        let descriptor = Self.open(in: folder)
        guard descriptor >= 0 else { throw problem("no scratch file can be made in the folder", errno, .cannotCreate) }
        defer { close(descriptor) }
        let fileBytes = byteCount - ordinary
        var code: Int32
        repeat { code = posix_fallocate(descriptor, 0, fileBytes) } while code == EINTR
        if code == ENOSPC || code == EDQUOT || code == EFBIG {
            throw Problem(
                "the disk has no room for a scratch file of \(fileBytes) bytes: \(systemMessage(code))", file: folder,
                exitStatus: .inputOutput)
        }
        guard code == 0 else { throw problem("a scratch file can't be given its room", code, .inputOutput) }
        if ordinary == 0 {
            base = try mapped(at: nil, byteCount, MAP_SHARED, descriptor)
            return
        }
        // One range of addresses for both, the file's pages over the end of the others.
        let whole = try mapped(at: nil, byteCount, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1)
        do {
            _ = try mapped(at: whole + ordinary, fileBytes, MAP_SHARED | MAP_FIXED, descriptor)
        } catch {
            munmap(whole, byteCount)
            throw error
        }
        base = whole
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
    static func open(in folder: String) -> Int32 {
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
