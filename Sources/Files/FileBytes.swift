import Diagnostics
import Glibc

/// The bytes of a file: mapped read-only where it is a large regular file, read into memory otherwise (pipes too).
public final class FileBytes: Sendable {
    /// The path as the user wrote it.
    public let path: String
    /// The content; valid as long as this object lives.
    public nonisolated(unsafe) let bytes: UnsafeRawBufferPointer
    private let isMapped: Bool

    /// Files below this size are read: a page fault costs more than the copy.
    private static let smallestMapping = 1 << 18

    /// Opens the file at `path`. Throws a `Problem` with the exit status `missingInput` where it can't be opened.
    public convenience init(path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.unreadable(path, errno) }
        defer { close(descriptor) }
        try self.init(descriptor: descriptor, path: path)
    }

    /// The same of a file that is open, which it stays; from where it is read on, where it has no beginning.
    init(descriptor: Int32, path: String) throws {
        self.path = path
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { throw Self.unreadable(path, errno) }
        if information.st_mode & S_IFMT == S_IFDIR {
            throw Problem("expected a file, found a folder", file: path, exitStatus: .missingInput)
        }
        let size = Int(information.st_size)
        if information.st_mode & S_IFMT == S_IFREG, size >= Self.smallestMapping {
            guard let start = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
                throw Self.unreadable(path, errno)
            }
            bytes = UnsafeRawBufferPointer(start: start, count: size)
            isMapped = true
        } else {
            bytes = try Self.readAll(descriptor, expecting: size, path: path)
            isMapped = false
        }
    }

    /// Bytes that are in memory already; `path` stands for where they come from.
    public init(_ content: [UInt8], path: String) {
        self.path = path
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: content.count, alignment: 1)
        memory.copyBytes(from: content)
        bytes = UnsafeRawBufferPointer(memory)
        isMapped = false
    }

    deinit {
        if isMapped {
            munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
        } else {
            bytes.deallocate()
        }
    }

    /// Calls `body` with the bytes and keeps them alive meanwhile.
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(self) { try body(bytes) }
    }

    /// Gives back the memory of whole pages within `part`, which the file brings again when they are next read.
    public func releasePages(of part: UnsafeRawBufferPointer) {
        guard isMapped, let base = bytes.baseAddress, let start = part.baseAddress else { return }
        let pageSize = Int(getpagesize())
        let first = (start - base + pageSize - 1) / pageSize * pageSize
        let end = (start - base + part.count) / pageSize * pageSize
        if first >= 0, end <= bytes.count, first < end {
            madvise(UnsafeMutableRawPointer(mutating: base) + first, end - first, MADV_DONTNEED)
        }
    }

    private static func readAll(
        _ descriptor: Int32, expecting size: Int, path: String
    ) throws -> UnsafeRawBufferPointer {
        var capacity = max(size + 1, 4096)
        guard var memory = malloc(capacity) else { throw unreadable(path, ENOMEM) }
        var count = 0
        while true {
            if count == capacity {
                capacity *= 2
                guard let larger = realloc(memory, capacity) else {
                    free(memory)
                    throw unreadable(path, ENOMEM)
                }
                memory = larger
            }
            let received = read(descriptor, memory + count, capacity - count)
            if received == 0 { break }
            if received < 0 {
                if errno == EINTR { continue }
                let code = errno
                free(memory)
                throw unreadable(path, code)
            }
            count += received
        }
        return UnsafeRawBufferPointer(start: memory, count: count)
    }

    private static func unreadable(_ path: String, _ code: Int32) -> Problem {
        let reason = code == ENOENT ? "no such file" : "can't be read: \(String(cString: strerror(code)))"
        return Problem(reason, file: path, exitStatus: .of(code, otherwise: .missingInput))
    }
}
