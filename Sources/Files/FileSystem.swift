import Diagnostics
import Glibc

/// What the tool asks of the file system, with `Problem`s as errors.
public enum FileSystem {
    private static func mode(_ path: String) -> mode_t? {
        var information = stat()
        return stat(path, &information) == 0 ? information.st_mode & S_IFMT : nil
    }

    /// Whether there is anything at `path`, links followed.
    public static func exists(_ path: String) -> Bool { mode(path) != nil }

    public static func isFolder(_ path: String) -> Bool { mode(path) == S_IFDIR }

    public static func isFile(_ path: String) -> Bool { mode(path) == S_IFREG }

    /// Whether two paths lead to the same file or folder, links followed; false where one of them leads nowhere.
    public static func isSame(_ first: String, _ second: String) -> Bool {
        var (one, other) = (stat(), stat())
        return stat(first, &one) == 0 && stat(second, &other) == 0 && one.st_ino == other.st_ino
            && one.st_dev == other.st_dev
    }

    /// Whether `path` itself is a link, wherever it leads.
    public static func isLink(_ path: String) -> Bool {
        var information = stat()
        return lstat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFLNK
    }

    /// The names in a folder, sorted by bytes. Throws a `Problem` with the exit status `missingInput`.
    public static func names(in folder: String) throws -> [String] {
        try names(of: open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), path: folder)
    }

    /// The names in a folder that was opened for this, which is closed; a negative descriptor is one that wasn't.
    static func names(of descriptor: Int32, path: String) throws -> [String] {
        guard descriptor >= 0, let stream = fdopendir(descriptor) else {
            let code = errno
            if descriptor >= 0 { close(descriptor) }
            throw Problem(
                "the folder can't be read: \(systemMessage(code))", file: path,
                exitStatus: .of(code, otherwise: .missingInput))
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// A file's content. Throws a `Problem` where it can't be read, or isn't UTF-8.
    public static func text(of path: String) throws -> String {
        try FileBytes(path: path).withBytes { bytes in
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw Problem("is not UTF-8 text", file: path)
            }
            return text
        }
    }

    /// `folder/name`
    public static func join(_ folder: String, _ name: String) -> String {
        folder.isEmpty ? name : folder.utf8.last == UInt8(ascii: "/") ? folder + name : folder + "/" + name
    }

    /// The folder that holds `path`, and the name in it; slashes at the end don't count.
    public static func split(_ path: String) -> (folder: String, name: String) {
        var bytes = path.utf8[...]
        while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return (".", String(Substring(bytes))) }
        let folder = bytes[..<slash]
        return (
            folder.isEmpty ? "/" : String(Substring(folder)), String(Substring(bytes[bytes.index(after: slash)...]))
        )
    }
}

/// The system's words for an error number.
package func systemMessage(_ code: Int32) -> String { String(cString: strerror(code)) }
