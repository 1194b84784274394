import Glibc

extension String {
    /// The path with the user's home folder in place of a `~` that is its first part, as a shell reads it; where a path comes
    /// from a file, or from behind a `=`, no shell has.
    ///
    /// A folder that is really called `~` is `./~`.
    public var expandingHome: String {
        guard self == "~" || utf8.starts(with: "~/".utf8), let home = Self.home else { return self }
        return home + dropFirst()
    }

    private static var home: String? {
        if let home = getenv("HOME") { return String(cString: home) }
        return getpwuid(getuid())?.pointee.pw_dir.map { String(cString: $0) }
    }
}
