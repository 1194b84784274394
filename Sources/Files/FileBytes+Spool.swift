import Diagnostics
import Glibc

extension FileBytes {
    /// What stdin gives until its end, so that it can be read again and again: where that is no regular file itself, it
    /// goes into one without a name in the folder for temporary files, which is gone with the process.
    ///
    /// - Parameter name: What stands for it in messages.
    /// - Throws: `Problem` where stdin is a terminal or can't be read, and where there is no room.
    public convenience init(standardInputAs name: String) throws {
        var information = stat()
        if fstat(STDIN_FILENO, &information) == 0, information.st_mode & S_IFMT == S_IFREG {
            try self.init(descriptor: STDIN_FILENO, path: name)
            return
        }
        if isatty(STDIN_FILENO) != 0 {
            throw Problem(
                "is a terminal: let another command's output, or a file, come in", file: name, exitStatus: .usage)
        }
        let folder = FileSystem.temporaryFolder
        let descriptor = ScratchMemory.open(in: folder)
        func failed(_ code: Int32) -> Problem {
            Problem(
                "stdin can't be kept in a file there, for reading it more than once: \(systemMessage(code))",
                file: folder,
                exitStatus: .of(code, otherwise: .inputOutput))
        }
        guard descriptor >= 0 else { throw failed(errno) }
        defer { close(descriptor) }
        var part = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let count = read(STDIN_FILENO, &part, part.count)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw Problem("can't be read: \(systemMessage(errno))", file: name, exitStatus: .inputOutput)
            }
            var done = 0
            while done < count {
                let written = part.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + done }, count - done) }
                if written < 0 {
                    if errno == EINTR { continue }
                    throw failed(errno)
                }
                done += written
            }
        }
        guard lseek(descriptor, 0, SEEK_SET) == 0 else { throw failed(errno) }
        try self.init(descriptor: descriptor, path: name)
    }
}

extension FileSystem {
    /// Where files go that are gone with the process.
    public static var temporaryFolder: String {
        getenv("TMPDIR").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
    }
}
