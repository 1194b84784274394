import Glibc

extension FileSystem {
    /// The path with links and relative parts resolved, so that two paths of one file are equal; the path itself where
    /// nothing is there.
    public static func realPath(_ path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
