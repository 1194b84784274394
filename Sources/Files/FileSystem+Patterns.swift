import Glibc

extension FileSystem {
    /// Whether a path has characters that stand for others in a pattern.
    public static func isPattern(_ path: String) -> Bool { path.utf8.contains { "*?[".utf8.contains($0) } }

    /// The files whose paths match a shell's pattern (`*`, `?`, `[a-z]`), sorted by bytes; those that begin with a point
    /// only where the pattern says so.
    public static func files(matching pattern: String) -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(pattern, GLOB_NOSORT, nil, &found) == 0 else { return [] }
        return (0..<Int(found.gl_pathc)).compactMap { found.gl_pathv[$0].map { String(cString: $0) } }
            .filter { !isFolder($0) }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
}
